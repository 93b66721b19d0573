"""Study files: expansion to rows and runs, keys, overrides, and every kind of bad input at its line and column."""

import subprocess
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import study
from harness.config import ConfigError, Mark
from harness.keys import flat, keys
from harness.layers import build, fold
from harness.presets import HOME, STUDIES, base_layers, preset
from harness.settings import Settings
from model.settings import CoLabel, ProposedOptions

ALL = sorted(STUDIES.glob("*.yaml"))
TABLE2 = (STUDIES / "table2.yaml").read_text(encoding="utf-8")


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write x.yaml into an empty working directory; gives its name."""
    monkeypatch.chdir(tmp_path)

    def file(text, name="x.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return name

    return file


def refused(path, **options):
    with pytest.raises(ConfigError) as caught:
        study.load(path, **options)
    return caught.value.errors


def trainings(found, seed=0):
    return [run.training_key for run in found.runs if run.seed == seed]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_every_study_expands(path):
    found = study.load(path)
    assert [row.number for row in found.rows] == list(range(1, len(found.rows) + 1))
    assert found.title != found.name
    assert {column.name for column in found.columns} >= {name for row in found.rows for name in row.paper}
    assert found.missing or len({(r.row, r.seed, r.columns) for r in found.runs}) == len(found.runs) > 0
    assert all(row.label for row in found.rows)


@pytest.mark.parametrize("name", ["paper", "released", "repaired", "activitynet"])
def test_every_study_runs_on_every_preset(name):
    for path in ALL:
        assert study.load(path, base=name).base == name


def test_table2_is_six_trainings_a_seed():
    found = study.load("table2")
    assert (len(found.rows), found.seeds, len(found.runs)) == (8, 5, 40)
    keys_of = trainings(found)
    assert len(set(keys_of)) == 6
    assert keys_of[3] == keys_of[4]  # rows 4 and 5, 7 and 8 differ in CAT alone
    assert keys_of[6] == keys_of[7]
    assert len({run.scoring_key for run in found.runs}) == 40
    assert found.rows[0].paper == {"mAP": 38.3, "ACC": 73.6}
    assert [row.label for row in found.rows][:3] == ["baseline", "SCC", "SCC + TSCL"]
    assert (found.name, found.data, found.base, found.quick, found.reference) == (
        "table2",
        "synthetic",
        "paper",
        False,
        1,
    )


def test_table2_rows_differ_only_in_what_is_off():
    rows = [row.settings for row in study.load("table2").rows]
    full = rows[7].case
    off = replace(full, lambda_c=0.0, lambda_r=0.0, sigma=inf, co_label=CoLabel(False, False, False), cat=0.0)
    assert rows[0].case == off
    assert rows[1].case == replace(off, lambda_c=full.lambda_c)
    assert rows[5].case == replace(full, co_label=off.co_label)
    assert rows[6].case == replace(full, cat=0.0)
    assert len({repr(replace(row, case=full)) for row in rows}) == 1


def test_claims_of_table2_are_the_printed_differences():
    found = study.load("table2")
    for claim in found.claims:
        above, below = (found.rows[claim[key] - 1].paper[claim["on"]] for key in ("row", "beats"))
        assert above - below == pytest.approx(claim["by"])


def test_paper_preset_is_what_the_dataclasses_say():
    text = (STUDIES / "base" / "paper.yaml").read_text()
    own = {path: value for path, value in flat(Settings()).items() if not path.startswith("source.")}
    unset = {"training.keep_embeddings", "localization.q_r", "localization.match"}  # no setting of the paper
    assert all(path.rpartition(".")[2] + ":" in text for path in own.keys() - unset)
    assert flat(preset("paper", "paper")) == flat(Settings()) | {
        "source.scale": "paper",
        "training.evaluate_every": 600,
    }


def test_released_preset_has_the_released_numbers():
    found = preset("released")
    assert found.case.options == ProposedOptions(2.0, 0.7, True, 1e-7, 1.0, 1e-10, 1 / 3, 0.2, 8, 1)
    assert (found.case.lambda_c, found.case.lambda_r, found.case.epsilon, found.case.mean) == (2.0, 0.6, 2.0, "logits")
    assert (found.case.rank, found.case.head, found.case.initial_q_r) == ("argsort", "projected", "uniform")
    assert (found.case.sinkhorn_steps, found.case.sinkhorn_steps_r, found.training.weight_decay) == (3, 3, 5e-4)
    nms = found.localization
    assert (nms.oic_lambda, nms.oic_gamma, nms.nms, nms.nms_plus) == (0.15, 0.2, "soft", 1.0)


def test_repaired_is_three_lines_away_from_released():
    lines = (STUDIES / "base" / "repaired.yaml").read_text().splitlines()
    assert len([line for line in lines if line.startswith(("case", "training", "localization", "metrics"))]) == 3
    released, repaired = flat(preset("released")), flat(preset("repaired"))
    changed = {path: repaired[path] for path in released if released[path] != repaired[path]}
    assert changed == {"case.rank": "exact", "case.sigma": 0.1, "case.sinkhorn_steps_r": 100}


def test_activitynet_preset():
    errors = []
    found = build(fold(base_layers("activitynet", Mark("test"), errors)), errors)
    assert errors == []
    assert (found.training.snippets, found.case.options.topk, found.case.clusters) == (50, 2, 64)
    assert found.metrics.tiou == tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
    assert found.case == replace(Settings().case, clusters=64, options=ProposedOptions(topk=2))


SCORING = ["case.cat=0.3", "case.options.omega_test=0.4", "localization.oic_gamma=0", "localization.nms=soft",
           "metrics.acc_threshold=0.4", "metrics.tiou=[0.5]", "localization.thresholds.calibrated=[0.5]"]  # fmt: skip
TRAINING = ["case.lambda_c=2", "case.options.omega=0.4", "training.steps=7", "case.sigma=.inf", "source.seed=1",
            "source.knobs.lead_in=2", "case.co_label.select=false", "source.streams=[flow, rgb]",
            "source.split=validation"]  # fmt: skip


@pytest.mark.parametrize("change", SCORING)
def test_scoring_settings_change_the_scoring_key_alone(write, change):
    name = write("title: x\n")
    before, after = (study.load(name, seeds=1, sets=sets).runs[0] for sets in ([], [change]))
    assert before.training_key == after.training_key
    assert before.scoring_key != after.scoring_key


@pytest.mark.parametrize("change", TRAINING)
def test_other_settings_change_both_keys(write, change):
    name = write("title: x\n")
    before, after = (study.load(name, seeds=1, sets=sets).runs[0] for sets in ([], [change]))
    assert before.training_key != after.training_key
    assert before.scoring_key != after.scoring_key


def test_keys_know_neither_path_nor_spelling(write):
    first = study.load(write("set: {case.lambda_c: 2, case: {cat: 5.0e-1}}"), seeds=1).runs[0]
    again = study.load(write("title: y\nset: {case: {lambda_c: 2.0}}\nbase: paper", "y.yaml"), seeds=1).runs[0]
    assert (first.training_key, first.scoring_key) == (again.training_key, again.scoring_key)
    here = Settings()
    there = replace(here, source=replace(here.source, path="/else/where"))
    assert keys(here, 0, "f") == keys(there, 0, "f") != keys(here, 0, "g")
    assert keys(here, 0, "f")[0] != keys(here, 1, "f")[0]
    assert all(len(key) == 16 for key in keys(here, 0, "f"))


def test_infinity_is_text_in_flat_settings():
    values = flat(study.load("table2").rows[0].settings)
    assert values["case.sigma"] == "inf"
    assert values["metrics.tiou"] == "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]"
    assert all(isinstance(value, str | int | float | bool) for value in values.values())


def test_columns_under_their_own_scoring_share_the_training():
    found = study.load("table5", seeds=2)
    assert len(found.runs) == 3 * 2 * 3
    assert len(set(trainings(found))) == 3
    first = [run for run in found.runs if (run.row, run.seed) == (1, 0)]
    assert [(run.columns, run.settings.case.cat) for run in first] == [
        (("P^A",), 0),
        (("hat P^A",), 1),
        (("fused",), 0.5),
    ]
    table2 = study.load("table2", seeds=2).runs
    assert first[0].scoring_key in {run.scoring_key for run in table2 if run.row == 7}
    assert first[2].scoring_key in {run.scoring_key for run in table2 if run.row == 8}


def test_rows_of_other_studies_are_trained_once():
    table2 = {(run.row, run.scoring_key) for run in study.load("table2", seeds=1).runs}
    table3 = {run.row: run.scoring_key for run in study.load("table3", seeds=1).runs}
    table10 = {run.row: run.scoring_key for run in study.load("table10", seeds=1).runs}
    assert (2, table3[5]) in table2
    assert (6, table10[1]) in table2
    assert (8, table10[6]) in table2


def test_sweeps(write):
    text = "sweep: {case.clusters: [2, 4, .inf], label: K, paper: {mAP: [1, null, 3]}}\n"
    errors = refused(write(text))
    assert errors == ["x.yaml:1:31: case.clusters: found .inf; allowed: a whole number from 0 on"]
    found = study.load(write(text.replace(".inf", "8")))
    assert [row.label for row in found.rows] == ["K = 2", "K = 4", "K = 8"]
    assert [row.paper["mAP"] for row in found.rows] == [1, None, 3]
    assert [row.settings.case.clusters for row in found.rows] == [2, 4, 8]


def test_sweeps_multiply_each_other_and_rows(write):
    found = study.load(write("sweep: {case.cat: [0, 1], source.knobs.key_share: [[0.1, 0.2], [0.3, 0.4]]}"))
    assert found.rows[1].label == "case.cat = 0, source.knobs.key_share = [0.3, 0.4]"
    assert len(found.rows) == 4
    rows = "rows: [{label: a, set: {case.sigma: 1}}, {label: b, set: {case.sigma: 2}}]\n"
    found = study.load(write(rows + "sweep: {case.clusters: [2, 4]}"))
    assert [row.label for row in found.rows] == [f"case.clusters = {k}, {name}" for k in (2, 4) for name in "ab"]
    assert [row.settings.case.sigma for row in found.rows] == [1, 2, 1, 2]


def test_a_study_in_no_line_has_one_row(write):
    found = study.load(write(""))
    assert (len(found.rows), found.seeds, [c.metric for c in found.columns]) == (1, 5, ["map/avg", "acc"])


def test_order_of_layers(write):
    name = write("set: {training.steps: 11}\nrows: [{set: {}}, {set: {training.steps: 12}}]\n")
    steps = [
        [row.settings.training.steps for row in study.load(name, sets=s).rows] for s in ([], ["training.steps=13"])
    ]
    assert steps == [[11, 12], [13, 13]]
    quick = study.load(write("title: q\n"), quick=True)
    assert (quick.data, quick.rows[0].settings.training.steps, quick.rows[0].settings.source.scale) == (
        "synthetic-tiny",
        120,
        "tiny",
    )
    assert study.load(write("set: {training.steps: 11}"), quick=True).rows[0].settings.training.steps == 11


def test_command_line_settings(write):
    name = write("title: x\n")
    found = study.load(name, sets=["case.co_label={select: false}", "case.sigma=.inf", "case.cat=0.1", "case.cat=0.2"])
    case = found.rows[0].settings.case
    assert (case.co_label, case.sigma, case.cat) == (CoLabel(select=False), inf, 0.2)
    assert refused(name, sets=["case.cat=2", "case.clustrs=3", "foo", "case.epsilon=[1", "case.rho="]) == [
        "--set:1:10: case.cat: found 2; allowed: a number from 0 to 1",
        *[
            e
            for e in refused(name, sets=["", "case.clustrs=3"])
            if e.startswith("--set:2:1: case.clustrs: unknown key")
        ],
        "--set:3:1: found 'foo'; allowed: PATH=VALUE, e.g. case.clusters=32",
        "--set:4:14: not YAML: did not find expected ',' or ']'",
        "--set:5:1: case.rho: found nothing; allowed: a number above 0",
    ]


def test_presets_beside_the_study(write):
    write("base: released\ncase.rho: 3\n", "mine.yaml")
    write("case.rho: 4\n", "base/other.yaml")
    assert study.load(write("base: mine\n")).rows[0].settings.case == replace(preset("released").case, rho=3.0)
    assert study.load("x.yaml", base="other").rows[0].settings.case.rho == 4
    assert study.load("x.yaml", base="mine.yaml").rows[0].settings.case.rho == 3
    write("base: b\n", "a.yaml")
    write("base: a\n", "b.yaml")
    assert refused("x.yaml", base="a") == ["b.yaml:1:7: base: 'a' inherits itself (a -> b -> a)"]
    assert refused(write("base: relesed"))[0].startswith(
        "x.yaml:1:7: base: unknown preset 'relesed'; did you mean 'released'?"
    )
    assert refused("x.yaml", base="papr")[0].startswith(
        "--base:1:1: base: unknown preset 'papr'; did you mean 'paper'?"
    )


def test_rows_on_their_own_preset(write):
    found = study.load(write("rows: [{label: a}, {label: b, base: released, reference: 2}]"), base="repaired")
    assert [row.settings.case.rank for row in found.rows] == ["exact", "argsort"]
    assert [row.reference for row in found.rows] == [1, 2]


def test_seeds(write):
    name = write("seeds: {at_least: 3, at_most: 20, until: decided}\nrows: [{label: a}, {label: b}]\n")
    found = study.load(name)
    assert (found.seeds, found.until) == (3, study.Seeds(3, 20))
    more = study.with_seeds(found, {2: 5})
    assert [[run.seed for run in more.runs if run.row == row] for row in (1, 2)] == [[0, 1, 2], [0, 1, 2, 3, 4]]
    assert set(found.runs) <= set(more.runs) if all(map(hashable, found.runs)) else found.runs[0] in more.runs
    asked = study.load(name, seeds=8)
    assert (asked.seeds, asked.until, len(asked.runs)) == (8, None, 16)
    assert study.load(write("seeds: 2")).until is None


def hashable(value):
    try:
        return bool(hash(value)) or True
    except TypeError:
        return False


def folder(tmp_path, yaml=None):
    """A data folder that is none, but for its data.yaml."""
    path = tmp_path / "mine"
    path.mkdir()
    if yaml is not None:
        (path / "data.yaml").write_text(yaml)
    return path


def test_data_folder_with_its_own_settings(write, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.data.fingerprint", lambda source, root: f"{source.name} {Path(source.path).name}")
    path = folder(tmp_path, "training: {snippets: 99}\nsource.streams: [acc, gyr]\n")
    found = study.load(write("title: x\n"), data=str(path))
    row = found.rows[0]
    assert (found.data, found.seeds, row.fingerprint) == ("mine", 5, "folder mine")
    assert (row.settings.training.snippets, row.settings.source.streams) == (99, ("acc", "gyr"))
    quick = study.load("x.yaml", data=str(path), quick=True)
    assert (quick.data, quick.seeds, quick.rows[0].settings.source.name) == ("mine-quick", 2, "folder")
    assert quick.rows[0].settings.training.steps == 120


def test_data_folder_without_settings_takes_those_of_its_width(write, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.data.fingerprint", lambda source, root: "f")
    path = folder(tmp_path)
    for like, snippets in (("synthetic", 150), ("thumos14", 750)):
        monkeypatch.setattr("harness.data.info", lambda source, root, like=like: {"like": like})
        found = study.load(write("title: x\n"), data=str(path)).rows[0].settings
        assert (found.training.snippets, found.source.name, found.source.scale) == (snippets, "folder", "default")


def test_missing_data(write, tmp_path):
    assert refused(write("title: x"), data="sythetic")[0].startswith(
        "--data:1:1: 'sythetic' is neither a folder nor a data set; did you mean 'synthetic'? allowed: activitynet-1.2"
    )
    assert "--data:1:1: data set 'thumos14' is not here" in refused("x.yaml", data="thumos14")[0]
    assert refused(write("data: thumos15"))[0].startswith("x.yaml:1:7: 'thumos15' is neither a folder nor a data set")
    found = study.load(write("data: thumos14"))  # asked for by the study: its rows show a dash, with the reason
    assert (found.runs, found.data) == ([], "thumos14")
    assert "no folder 'data/thumos14'" in found.missing
    assert refused("x.yaml", data=str(folder(tmp_path)))


def test_bad_knobs_are_told_where_they_stand(write):
    errors = refused(write("set:\n  source.knobs.key_shar: 3\n  source.knobs.lead_in: -1\n  case.cta: 1\n"))
    assert errors[0].startswith("x.yaml:2:3: source.knobs.key_shar: unknown knob 'key_shar'; did you mean 'key_share'?")
    assert errors[1].startswith("x.yaml:3:3: source.knobs.lead_in: -1")
    assert errors[2].startswith("x.yaml:4:3: case.cta: unknown key; did you mean 'cat'?")


BAD = [
    ("titel: x", "x.yaml:1:1: titel: unknown key; did you mean 'title'? allowed: title, base, data, seeds"),
    ("title: 3", "x.yaml:1:8: title: found 3; allowed: text (in quotes)"),
    ("seeds: five", "x.yaml:1:8: seeds: found the text 'five'; allowed: a whole number or a mapping"),
    ("seeds: 0", "x.yaml:1:8: seeds.at_least: found 0; allowed: greater than or equal to 1"),
    ("seeds: {at_least: 3, at_most: 2}", "x.yaml:1:31: seeds.at_most: found 2; allowed: from 3 on"),
    ("seeds: {at_leest: 3}", "x.yaml:1:9: seeds.at_leest: unknown key; did you mean 'at_least'?"),
    ("seeds: {at_least: 3, until: done}", "x.yaml:1:29: seeds.until: found the text 'done'; allowed: decided"),
    ("rows: 3", "x.yaml:1:7: rows: found 3; allowed: a list"),
    ("rows: [3]", "x.yaml:1:8: rows.1: found 3; allowed: a mapping"),
    ("rows: [{on: [A]}]", "x.yaml:1:14: rows.1.on: unknown toggle 'A'; allowed: none"),
    ("rows: [{on: A}]", "x.yaml:1:13: rows.1.on: found the text 'A'; allowed: a list"),
    ("rows: [{set: 1}]", "x.yaml:1:14: rows.1.set: found 1; allowed: a mapping"),
    ("rows: [{lable: x}]", "x.yaml:1:9: rows.1.lable: unknown key; did you mean 'label'? allowed: on, set, base"),
    ("rows: [{paper: {mAPP: 3}}]", "x.yaml:1:17: rows.1.paper.mAPP: unknown column 'mAPP'; did you mean 'mAP'?"),
    ("rows: [{paper: {mAP: '3'}}]", "x.yaml:1:22: rows.1.paper.mAP: found the text '3'; allowed: a number"),
    ("rows: [{reference: 2}]", "x.yaml:1:20: reference: no row 2; allowed: 1 to 1"),
    ("reference: 2", "x.yaml:1:12: reference: no row 2; allowed: 1 to 1"),
    ("toggles: {A: {case.cat: 0}}\nrows: [{on: [B]}]", "x.yaml:2:14: rows.1.on: unknown toggle 'B'; allowed: A"),
    ("toggles: {A: {case.cat: 0}}\nrows: [{set: {}}]", "x.yaml:2:8: rows.1: no 'on'; the study has toggles"),
    ("toggles: {A: {case.cta: 0}}\nrows: [{on: []}]", "x.yaml:1:15: case.cta: unknown key; did you mean 'cat'?"),
    ("toggles: {A: 0}", "x.yaml:1:14: toggles.A: found 0; allowed: a mapping"),
    ("columns: {}", "x.yaml:1:10: columns: found a mapping"),
    ("columns: {x: map/avgg}", "x.yaml:1:14: columns.x: unknown metric 'map/avgg'; did you mean 'map/avg'? allowed:"),
    ("columns: {x: {metric: acc, selection: bst}}", "x.yaml:1:39: columns.x.selection: found the text 'bst'; did"),
    ("columns: {x: {selection: best}}", "x.yaml:1:14: columns.x.metric: missing"),
    ("columns: {x: 3}", "x.yaml:1:14: columns.x: found 3; allowed: a metric's name or a mapping"),
    ("columns: {x: {metric: acc, scoring: {case.rho: 1}}}", "x.yaml:1:38: columns.x.scoring: 'case.rho' changes"),
    ("columns: {x: {metric: acc, scoring: {case.cat: 3}}}", "x.yaml:1:48: case.cat: found 3"),
    ("sweep: {case.cat: 1}", "x.yaml:1:19: sweep.case.cat: found 1; allowed: a list of values"),
    ("sweep: {label: x}", "x.yaml:1:8: sweep: 0 rows; allowed: 1 to 1000"),
    ("sweep: {case.cta: [1]}", "x.yaml:1:9: case.cta: unknown key; did you mean 'cat'?"),
    ("sweep: {case.cat: [0, 1], paper: {mAP: [1]}}", "x.yaml:1:40: sweep.paper.mAP: found 1 values; allowed: a list"),
    ("sweep: {case.cat: [0, 1], paper: {mAPP: [1, 2]}}", "x.yaml:1:35: sweep.paper: unknown column 'mAPP'"),
    ("sweep: {case.cat: [0, 1], paper: {mAP: [1, x]}}", "x.yaml:1:44: sweep.paper.mAP: found the text 'x'"),
    ("reported: [{venue: x}]", "x.yaml:1:12: reported.1.label: missing"),
    ("reported: [{label: x, paper: {A: 1}}]", "x.yaml:1:31: reported.1.paper.A: unknown column 'A'"),
    ("set: {case.clusters: 1}", "x.yaml:1:22: case.clusters: found 1; a single cluster separates nothing"),
    ("set: 3", "x.yaml:1:6: set: found 3; allowed: a mapping"),
    ("- 1", "x.yaml:1:1: found a list; allowed: a mapping with title, base"),
    ("set: {case.rho: {tune: [unif, 1, 2]}}", "x.yaml:1:24: case.rho: tune: found the text 'unif'; did you mean"),
    ("set: {case.rho: {tune: [loguniform, 0, 2]}}", "x.yaml:1:37: case.rho: tune: found 0; allowed: a number above 0"),
    ("set: {case.rho: {tune: [uniform, 3, 2]}}", "x.yaml:1:24: case.rho: tune: uniform: low 3 is not below high 2"),
    ("set: {case.rho: {tune: [uniform, 3]}}", "x.yaml:1:24: case.rho: tune: uniform takes low, high and perhaps"),
    ("set: {case.rh: {tune: [uniform, 3, 4]}}", "case.rh: unknown key"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_studies(write, text, message):
    errors = refused(write(text))
    assert any(message in error for error in errors), errors


CLAIM = "claims: [{quote: q, section: '4', "
BAD_CLAIMS = [
    ("row: 1}]", "x.yaml:2:10: claims.1: found no kind; allowed: one of beats, stable_within"),
    ("row: 1, beats: 2, on: mAPP}]", "claims.1.on: unknown column 'mAPP'; did you mean 'mAP'? allowed: mAP, ACC"),
    ("row: 1, beats: 9, on: mAP}]", "x.yaml:2:50: claims.1.beats: no row 9; allowed: 1 to 2"),
    ("row: 1, beats: 1, on: mAP}]", "claims.1.beats: a row cannot beat itself"),
    ("row: 1, beats: 2}]", "claims.1: 'beats' needs 'on'"),
    ("row: 1, beats: 2, on: mAP, by_share: 0.1}]", "claims.1: 'by_share' means nothing beside 'beats'"),
    ("row: 1, below: 2, above: 1, on: mAP}]", "claims.1: found below and above; allowed: one of"),
    ("row: 1, below: 2, on: mAP}]", "claims.1: 'below' needs 'by_share'"),
    ("row: 1, below: 2, on: mAP, by_share: 2}]", "claims.1.by_share: found 2; allowed: less than or equal to 1"),
    ("rows: [1], stable_within: 2, on: mAP}]", "claims.1.rows: found a list; allowed: list should have at least 2"),
    ("rows: [1, 7], stable_within: 2, on: mAP}]", "claims.1.rows: no row 7"),
    ("rows: [1, 2], stable_within: 0, on: mAP}]", "claims.1.stable_within: found 0; allowed: greater than 0"),
    ("row: 1, highest_on: [mAP, XYZ]}]", "claims.1.highest_on: unknown column 'XYZ'"),
    ("row: 1, lowest_on: mAP, wins: 1}]", "claims.1.wins: unknown key"),
]


@pytest.mark.parametrize(("text", "message"), BAD_CLAIMS)
def test_bad_claims(write, text, message):
    errors = refused(write(f"rows: [{{label: a}}, {{label: b}}]\n{CLAIM}{text}\n"))
    assert any(message in error for error in errors), errors


def test_good_claims(write):
    kinds = ["row: 1, beats: 2, on: mAP, by: 2.3", "rows: [1, 2], stable_within: 0.6, on: mAP",
             "row: 2, highest_on: mAP",
             "row: 1, below: 0.1, on: mAP, by_share: 0.14", "row: 1, lowest_on: [mAP, ACC], also: text"]  # fmt: skip
    claims = "".join(f"  - {{quote: q, section: '4.3', {kind}}}\n" for kind in kinds)
    found = study.load(write(f"rows: [{{label: a}}, {{label: b}}]\nclaims:\n{claims}")).claims
    assert found[0] == {"quote": "q", "section": "4.3", "row": 1, "beats": 2, "on": "mAP", "by": 2.3}
    assert found[2]["highest_on"] == ["mAP"]


def test_a_missing_section_is_told(write):
    errors = refused(
        write("claims: [{quote: q, row: 1, highest_on: mAP}, {quote: q, section: 4.3, row: 1, highest_on: X}]")
    )
    assert errors[0] == "x.yaml:1:10: claims.1.section: missing"
    assert errors[1].startswith("x.yaml:1:67: claims.2.section: found 4.3; allowed: text (in quotes)")


def test_everything_wrong_at_once(write):
    text = "titel: x\nseeds: no\nset: {case.cta: 1, case.clusters: 1}\nrows: [{lable: 1}, 3]\ncolumns: {x: y}\n"
    errors = refused(write(text), data="nope", base="papr", sets=["x"])
    for start in ("--data", "--base", "--set", "x.yaml:1:1", "x.yaml:2:8", "x.yaml:3:7", "x.yaml:3:35", "x.yaml:4:9",
                  "x.yaml:4:20", "x.yaml:5:14"):  # fmt: skip
        assert any(error.startswith(start) for error in errors), (start, errors)
    assert len(errors) == 10


def test_search_spaces(write):
    text = "set: {case.rho: {tune: [loguniform, 1, 100]}, case.rank: {tune: [categorical, exact, argsort]}}\n"
    text += "objective: {metric: map/avg}\n"
    found = study.load(write(text))
    assert found.space == {"case.rho": ("loguniform", 1, 100), "case.rank": ("categorical", "exact", "argsort")}
    assert found.search == {"objective": {"metric": "map/avg"}}
    assert found.rows[0].settings.case.rho == 10  # the preset's stands until a trial sets it
    trial = study.load("x.yaml", sets=["case.rho=33"])
    assert (trial.rows[0].settings.case.rho, list(trial.space)) == (33, ["case.rank"])


def test_unknown_study_names_the_nearest():
    assert refused("tabel2.yaml")[0].startswith("tabel2.yaml: no such study file; did you mean 'table2'?")
    assert "use it with --base paper" in refused(STUDIES / "base" / "paper.yaml")[0]


def test_known_lists_everything_with_a_title():
    found = study.known()
    assert found["studies"]["table2"] == "Contribution of each component (Table 2)"
    assert set(found) == {"studies", "data sets", "presets", "baselines"}
    assert all(text for names in found.values() for text in names.values())


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_study_is_refused_in_words(tmp_path, data):
    """Whatever stands in the file, the answer is a Study or a ConfigError."""
    lines = TABLE2.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        i = data.draw(st.integers(0, len(lines) - 1))
        start = data.draw(st.integers(0, len(lines[i])))
        end = data.draw(st.integers(start, min(len(lines[i]), start + 8)))
        new = data.draw(
            st.sampled_from(
                ["", "x", "3", ": ", "[", "]", "{}", "{", "}", ", ", "on: ", "null", "- ", " ", "'", ".inf", "1"]
            )
        )
        lines[i] = lines[i][:start] + new + lines[i][end:]
    path = tmp_path / "damaged.yaml"
    path.write_text("\n".join(lines))
    try:
        errors = [] if study.load(path, seeds=1).runs else ["no runs"]
    except ConfigError as error:
        errors = error.errors or ["no message"]
    assert all("damaged.yaml" in line for line in errors)


def test_loading_needs_no_heavy_library():
    code = "import sys; from harness import study; study.load('table2'); print(HEAVY & set(sys.modules))"
    code = code.replace("HEAVY", "{'torch', 'mlflow', 'pandas', 'scipy', 'optuna'}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOME)
    assert done.stdout.strip() == "set()"
