"""Reading YAML with places, folding layers, validating settings: each mistake gives its message at its place."""

from dataclasses import dataclass, replace
from math import inf
from typing import Annotated

import pytest
from annotated_types import Ge
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.settings import Settings
from harness.study import document as config
from harness.study.building import build
from harness.study.document import Mark, Node, parse, wrap
from harness.study.layers import flatten, fold
from model.options import OPTIONS, AslOptions
from model.settings import CaseSettings, CoLabel

HERE = Mark("x.yaml", 1, 1)


def read(text):
    return parse(text, HERE).plain()


def errors_of(text):
    with pytest.raises(ConfigError) as caught:
        parse(text, HERE)
    return caught.value.errors


def settings(*texts):
    """Layers folded and built: (settings, errors)."""
    errors = []
    found = build(fold([flatten(parse(text, Mark(f"{i}.yaml", 1, 1)), errors) for i, text in enumerate(texts)]), errors)
    return found, errors


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("1E5", 1e5), ("-3", -3), ("+0.5", 0.5), (".5", 0.5), (".inf", inf), ("-.INF", -inf),
        ("on", "on"), ("off", "off"), ("no", "no"), ("yes", "yes"), ("y", "y"), ("true", True), ("False", False),
        ("null", None), ("~", None), ("", None), ("010", "010"), ("0x10", "0x10"), ("1_000", "1_000"), ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"), ("'1'", "1"), ('"true"', "true"), ("'10'", "10"), ("1e", "1e"), ("<<", "<<"),
        ("[1, on, .inf]", [1, "on", inf]), ("{on: [], 0.5: x}", {"on": [], "0.5": "x"}),
    ],
)  # fmt: skip
def test_scalars(text, value):
    found = read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False))
def test_every_float_is_read_back(x):
    assert read(f"a: {str(x).replace('inf', '.inf')}") == {"a": x}


@given(st.integers(-(10**17), 10**17))
def test_every_integer_is_read_back(x):
    assert read(f"[{x}]") == [x]


def test_places_count_from_one():
    node = parse("a:\n  b: [1, {c: x}]\n", HERE)
    inner = node.at(["a", "b", 1, "c"])
    assert (str(inner.mark), str(inner.key)) == ("x.yaml:2:14", "x.yaml:2:11")
    assert str(node.at(["a", "nowhere"]).mark) == "x.yaml:2:3"  # the last node on the way


def test_places_count_characters_not_bytes():
    assert str(parse("é: ü", HERE).at(["é"]).mark) == "x.yaml:1:4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "x.yaml:3:1: duplicate key 'a' (first in line 1)"),
        ("a: {b: 1, b: 1}", "x.yaml:1:11: duplicate key 'b' (first in line 1)"),
        ("a: !!str 1", "x.yaml:1:4: tag 'tag:yaml.org,2002:str'; tags are not allowed, only plain YAML"),
        ("a: !x {}", "x.yaml:1:4: tag '!x'; tags are not allowed, only plain YAML"),
        ("a: &b 1", "x.yaml:1:4: anchor '&b'; anchors and aliases are not allowed"),
        ("a: *b", "x.yaml:1:4: alias '*b'; anchors and aliases are not allowed, write the value out"),
        ("? [1]\n: 2\n", "x.yaml:1:3: a key that is no name; allowed: text"),
        ("a: 1\n---\nb: 2\n", "x.yaml:2:1: a second document; allowed: one document per file"),
    ],
)
def test_what_yaml_may_not_have(text, message):
    assert message in errors_of(text)


def test_alias_bomb_is_refused_at_once():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijkl", "bcdefghijklm"))
    assert len(errors_of(bomb)) == 13 + 2 * 12


def test_deep_and_large_texts_are_refused():
    assert "nested deeper than" in errors_of("[" * 500 + "]" * 500)[0]
    assert "characters; allowed" in errors_of("a" * (config.LARGEST + 1))[0]


@pytest.mark.parametrize("text", ["a: [1", "a: b: c", "a: 'x", "\ta: 1", "a: \x01", "- 1\nb: 2", "@"])
def test_broken_yaml_names_its_place(text):
    assert errors_of(text)[0].startswith("x.yaml")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    for name, message in (("latin.yaml", "not UTF-8 text (byte 3)"), ("none.yaml", "cannot be read"), (".", "cannot")):
        with pytest.raises(ConfigError, match=r"not UTF-8|cannot be read") as caught:
            config.read_document(tmp_path / name)
        assert message in caught.value.errors[0]


def test_errors_come_in_the_order_of_lines_and_once():
    found = ConfigError(["b:10:1: x", "a:2:1: x", "b:9:1: y", "b:10:1: x"]).errors
    assert found == ["b:9:1: y", "b:10:1: x", "a:2:1: x"]


def test_no_layer_gives_the_defaults():
    assert settings() == (Settings(), [])


def test_every_default_is_within_its_own_limits():
    for name in OPTIONS:
        found, errors = settings(f"case.baseline: {name}")
        assert errors == []
        assert type(found.case.options) is OPTIONS[name]


def test_later_layers_win_nested_or_dotted():
    found, errors = settings("case: {lambda_c: 3, co_label: {select: false}}", "case.lambda_c: 4\ncase.sigma: .inf\n")
    assert errors == []
    assert found.case == replace(CaseSettings(), lambda_c=4.0, sigma=inf, co_label=CoLabel(select=False))
    assert type(found.case.lambda_c) is float


def test_a_path_below_a_mapping_sets_one_entry():
    found, _ = settings("source.knobs: {a: 1, b: [2, 3]}", "source.knobs.a: 5\n", "source.knobs.c: 6")
    assert found.source.knobs == {"a": 5, "b": [2, 3], "c": 6}
    found, _ = settings("source.knobs: {a: 1}", "source.knobs: {b: 2}")
    assert found.source.knobs == {"b": 2}
    found, errors = settings("case.baseline: wum\nlocalization.thresholds.cas: [0.5]")
    assert errors == []
    assert found.localization.thresholds["cas"] == (0.5,)
    assert len(found.localization.thresholds["magnitude"]) == 9


def test_another_baseline_starts_its_options_anew():
    found, errors = settings(
        "case.options.lambda_a: 7\nlocalization.nms_plus: 0\n",
        "localization.oic_gamma: 0.9\ncase.baseline: asl\ncase.options.gamma: 0.5\n",
        "case.baseline: asl\n",
    )
    assert errors == []
    assert found.case.options == AslOptions(gamma=0.5)  # lambda_a is ASL's again
    assert found.localization.nms_plus == 1  # ASL's
    assert found.localization.oic_gamma == 0.9  # the rest of the same layer comes after
    assert found.training.weight_decay == 5e-4


def test_the_same_baseline_changes_nothing():
    found, _ = settings("case.options.lambda_a: 7\nlocalization.nms_plus: 3\n", "case.baseline: proposed\n")
    assert (found.case.options.lambda_a, found.localization.nms_plus) == (7, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case.lamda_c: 0", "0.yaml:1:1: case.lamda_c: unknown key; did you mean 'lambda_c'? allowed: baseline, width"),
        ("case:\n  lamda_c: 0", "0.yaml:2:3: case.lamda_c: unknown key; did you mean 'lambda_c'?"),
        ("lambda_c: 0", "0.yaml:1:1: lambda_c: unknown key; did you mean 'case.lambda_c'?"),
        ("cse.cat: 0", "0.yaml:1:1: cse.cat: unknown key; did you mean 'case.cat'?"),
        ("xlambda_c: 0", "0.yaml:1:1: xlambda_c: unknown key; did you mean 'case.lambda_c'?"),
        ("zzz: 0", "0.yaml:1:1: zzz: unknown key; allowed: case.NAME, localization.NAME"),
        (
            "case.co_label: false",
            "0.yaml:1:16: case.co_label: found false; allowed: a mapping with select, classes, clusters",
        ),
        ("case: 3", "0.yaml:1:7: case: found 3; allowed: a mapping with"),
        ("case.options.margin: 3", "0.yaml:1:1: case.options.margin: unknown key"),
        (
            "case.baseline: bas",
            "0.yaml:1:16: case.baseline: found the text 'bas'; did you mean 'basnet'? allowed: proposed",
        ),
        (
            "case.rank: argsrt",
            "0.yaml:1:12: case.rank: found the text 'argsrt'; did you mean 'argsort'? allowed: exact",
        ),
        ("case.cat: half", "0.yaml:1:11: case.cat: found the text 'half'; allowed: a number from 0 to 1"),
        ("case.cat: '0.5'", "0.yaml:1:11: case.cat: found the text '0.5'"),
        ("case.cat: true", "0.yaml:1:11: case.cat: found true"),
        ("case.cat: 1.01", "0.yaml:1:11: case.cat: found 1.01"),
        ("case.cat: .nan", "0.yaml:1:11: case.cat: found nan"),
        ("case.cat:", "0.yaml:1:10: case.cat: found nothing"),
        ("case.clusters: 2.0", "0.yaml:1:16: case.clusters: found 2.0; allowed: a whole number from 0 on"),
        ("case.clusters: -1", "0.yaml:1:16: case.clusters: found -1"),
        ("case.clusters: 1", "0.yaml:1:16: case.clusters: found 1; a single cluster separates nothing; allowed: 0"),
        (
            "case.clusters: 0",
            "0.yaml:1:16: case.clusters: case.clusters is 0 (no clustering head) and case.cat is 0.5;",
        ),
        ("case.sigma: 0", "0.yaml:1:13: case.sigma: found 0; allowed: a number above 0 or .inf"),
        ("case.lambda_c: .inf", "0.yaml:1:16: case.lambda_c: found .inf; allowed: a number from 0 on"),
        ("case.hard: on", "0.yaml:1:12: case.hard: found the text 'on'; allowed: true or false"),
        ("case.initial_q_r: 2", "0.yaml:1:19: case.initial_q_r: found 2; allowed: a number from 0 to 1 or 'uniform'"),
        ("case.options.omega: 2", "0.yaml:1:21: case.options.omega: found 2; allowed: a number from 0 to 1"),
        ("case.options.kernel: 2", "0.yaml:1:22: case.options.kernel: found 2; allowed: an odd number"),
        (
            "case.options.topk: 751",
            "0.yaml:1:20: case.options.topk: case.options.topk is 751 and training.snippets 750",
        ),
        ("training.snippets: 5", "0.yaml:1:20: case.options.topk: case.options.topk is 8 and training.snippets 5"),
        ("training.steps: 0", "0.yaml:1:17: training.steps: found 0; allowed: a whole number from 1 on"),
        ("metrics.tiou: []", "0.yaml:1:15: metrics.tiou: found an empty list"),
        ("metrics.tiou: [0.5, x]", "0.yaml:1:21: metrics.tiou: found the text 'x'"),
        ("metrics.tiou: [0.5, 0.1]", "0.yaml:1:15: metrics.tiou: allowed: increasing numbers"),
        ("localization.thresholds: {cas: [0.1]}", "unknown sequence 'cas'"),
        ("localization.thresholds.calibrated: [1.5]", "0.yaml:1:38: localization.thresholds: found 1.5"),
        (
            "source.name: sythetic",
            "0.yaml:1:14: source.name: unknown data source 'sythetic'; did you mean 'synthetic'?",
        ),
        ("case.cat: 0\ncase: {cat: 1}", "0.yaml:2:8: case.cat: set twice (first in line 1)"),
        ("[1]", "0.yaml:1:1: settings: found a list; allowed: a mapping"),
    ],
)
def test_bad_settings(text, message):
    assert any(message in error for error in settings(text)[1]), settings(text)[1]


def test_no_head_without_cat_is_allowed():
    assert settings("case: {clusters: 0, cat: 0}")[1] == []


def test_a_clash_is_told_where_it_can_be_changed():
    _, errors = settings("case.cat: 0.3", "case.clusters: 0")
    assert errors == [
        "1.yaml:1:16: case.clusters: case.clusters is 0 (no clustering head) and case.cat is 0.3; "
        "without a head allowed: case.cat 0"
    ]


def test_all_mistakes_at_once():
    _, errors = settings("case.lamda_c: 0\ncase.cat: 3\ncase.clusters: 1\n", "training.lr: fast")
    assert [error.split(": ")[1] for error in ConfigError(errors).errors] == [
        "case.lamda_c", "case.cat", "case.clusters", "training.lr",
    ]  # fmt: skip


@dataclass(frozen=True)
class ToyOptions:
    """A baseline that the project does not have."""

    pooled: Annotated[int, Ge(1)] = 8  # snippets


def test_a_new_baseline_brings_its_ranges_on_its_fields(tmp_path, monkeypatch):
    (tmp_path / "toy.yaml").write_text("localization.thresholds: {toy: [0.5]}\ntraining.weight_decay: 3\n")
    monkeypatch.setattr("harness.study.layers.BASELINES", tmp_path)
    monkeypatch.setitem(OPTIONS, "toy", ToyOptions)
    toy, errors = settings("case: {baseline: toy, options.pooled: 4}")
    assert errors == []
    assert (toy.case.options, toy.training.weight_decay) == (ToyOptions(4), 3)
    assert toy.localization.thresholds == {"toy": (0.5,)}
    assert settings("case: {baseline: toy, options.pooled: 0}")[1] == [
        "0.yaml:1:39: case.options.pooled: found 0; allowed: a whole number from 1 on"
    ]


def test_wrap_is_the_inverse_of_plain():
    value = {"a": [1, {"b": None}], "c": "x"}
    assert wrap(value, HERE).plain() == value
    assert isinstance(wrap((1, 2), HERE).value[0], Node)
