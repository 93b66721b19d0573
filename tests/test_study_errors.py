"""Bad study files: every mistake is refused with its line and column, what was found and what is allowed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import study
from harness.errors import ConfigError
from harness.study.claims import Beats
from harness.study.presets import STUDIES

from support import study_files
from support.study_files import refused

TABLE2 = (STUDIES / "table2.yaml").read_text(encoding="utf-8")


@pytest.fixture
def write(tmp_path, monkeypatch):
    return study_files.writer(tmp_path, monkeypatch)


def test_missing_data(write, tmp_path):
    assert refused(write("title: x"), data="sythetic")[0].startswith(
        "--data:1:1: 'sythetic' is neither a folder nor a data set; did you mean 'synthetic'? allowed: activitynet-1.2"
    )
    assert "--data:1:1: data set 'thumos14' is not here" in refused("x.yaml", data="thumos14")[0]
    assert refused(write("data: thumos15"))[0].startswith("x.yaml:1:7: 'thumos15' is neither a folder nor a data set")
    found = study.load(write("data: thumos14"))  # asked for by the study: its rows show a dash, with the reason
    assert (found.runs, found.data) == ([], "thumos14")
    assert "no folder 'data/thumos14'" in found.missing
    assert refused("x.yaml", data=str(study_files.folder(tmp_path)))


def test_bad_knobs_are_told_where_they_stand(write):
    errors = refused(write("set:\n  source.knobs.key_shar: 3\n  source.knobs.lead_in: -1\n  case.cta: 1\n"))
    assert errors[0].startswith("x.yaml:2:3: source.knobs.key_shar: unknown knob 'key_shar'; did you mean 'key_share'?")
    assert errors[1].startswith("x.yaml:3:3: source.knobs.lead_in: found -1")
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
    ("rows: [{label: a, reference: b}]", "x.yaml:1:30: rows.1.reference: no row 'b'; allowed: a"),
    ("rows: [{label: ab}]\nreference: abc", "x.yaml:2:12: reference: no row 'abc'; did you mean 'ab'?"),
    ("toggles: {A: {case.cat: 0}}\nrows: [{on: [B]}]", "x.yaml:2:14: rows.1.on: unknown toggle 'B'; allowed: A"),
    ("toggles: {A: {case.cat: 0}}\nrows: [{set: {}}]", "x.yaml:2:8: rows.1: no 'on'; the study has toggles"),
    ("toggles: {A: {case.cta: 0}}\nrows: [{on: []}]", "x.yaml:1:15: case.cta: unknown key; did you mean 'cat'?"),
    ("toggles: {A: 0}", "x.yaml:1:14: toggles.A: found 0; allowed: a mapping"),
    ("columns: {}", "x.yaml:1:10: columns: found a mapping"),
    ("columns: {x: map/avgg}", "x.yaml:1:14: columns.x: unknown metric 'map/avgg'; did you mean 'map/avg'? allowed:"),
    ("columns: {x: {metric: acc, selection: bst}}", "x.yaml:1:39: columns.x.selection: found the text 'bst'; did"),
    ("columns: {x: map/0.2:0.6}", "x.yaml:1:14: columns.x: unknown metric 'map/0.2:0.6'"),
    ("columns: {x: seconds}", "x.yaml:1:14: columns.x: unknown metric 'seconds'"),
    ("columns: {x: curve/P_A/men}", "x.yaml:1:14: columns.x: unknown curve 'P_A/men'; did you mean 'P_A/mean'?"),
    ("columns: {x: {metric: curve/P_A/min, selection: best}}", "columns.x: a curve is read at its end; allowed: sel"),
    ("figures: [entropy, entropie]", "x.yaml:1:20: figures: unknown figure 'entropie'; did you mean 'entropy'?"),
    ("figures: [../x]", "x.yaml:1:11: figures: unknown figure '../x'; allowed: forest, effects"),
    ("seeds: 1000000000", "x.yaml:1:8: seeds: 1000000000 seeds of 1 scorings are 1000000000 runs; allowed: 100000"),
    ("seeds: {at_least: 3, at_most: 1000000}", "x.yaml:1:31: seeds: 1000000 seeds of 1 scorings are 1000000 runs;"),
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
    ("set: {case.clusters: {tune: [int, 2, 8, -1]}}", "tune: int: found step -1; allowed: above 0, at most 6"),
    ("set: {case.rho: {tune: [uniform, 0.1, 0.5, 5]}}", "uniform: found step 5; allowed: above 0, at most 0.4"),
    ("set: {case.epsilon: {tune: [int, 2.5, 8]}}", "case.epsilon: tune: int: found 2.5; allowed: whole numbers"),
    ("set: {case.clusters: {tune: [uniform, 2, 9]}}", "uniform: found 4.33"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD)
def test_bad_studies(write, text, message):
    errors = refused(write(text))
    assert any(message in error for error in errors), errors


CLAIM = "claims: [{quote: q, section: '4', "
BAD_CLAIMS = [
    ("row: 1}]", "x.yaml:2:10: claims.1: found no kind; allowed: one of beats, beat, stable_within"),
    ("row: 1, beats: 2, on: mAPP}]", "claims.1.on: unknown column 'mAPP'; did you mean 'mAP'? allowed: mAP, ACC"),
    ("row: 1, beats: 9, on: mAP}]", "x.yaml:2:50: claims.1.beats: no row 9; allowed: 1 to 2"),
    ("row: 1, beats: 1, on: mAP}]", "claims.1.beats: a row cannot beat itself"),
    ("row: 1, beats: 2}]", "x.yaml:2:10: claims.1.on: missing"),
    (
        "row: 1, beats: 2, on: mAP, by_share: 0.1}]",
        "claims.1.by_share: unknown key; allowed: quote, section, also, note, unjudged, row",
    ),
    ("row: 1, below: 2, above: 1, on: mAP}]", "claims.1: found below and above; allowed: one of"),
    ("row: 1, below: 2, on: mAP}]", "x.yaml:2:10: claims.1.by_share: missing"),
    ("row: 1, below: 2, on: mAP, by_share: 2}]", "claims.1.by_share: found 2; allowed: less than or equal to 1"),
    ("rows: [1], stable_within: 2, on: mAP}]", "claims.1.rows: found a list; allowed: list should have at least 2"),
    ("rows: [1, 7], stable_within: 2, on: mAP}]", "claims.1.rows: no row 7"),
    ("rows: [1, 2], stable_within: 0, on: mAP}]", "claims.1.stable_within: found 0; allowed: greater than 0"),
    ("rows: [1, 2], beat: [2], on: mAP}]", "claims.1.beat: found a list; allowed: list should have at least 2"),
    ("rows: [1, 2], beat: [2, 1, 1], on: mAP}]", "x.yaml:2:55: claims.1.beat: found 3 rows; allowed: 2"),
    ("rows: [1, 2, 1], stable_within: 1, on: mAP}]", "x.yaml:2:48: claims.1.rows: 1 is named twice"),
    ("row: 1, beats: 2, on: mAP, by: -2}]", "claims.1.by: found -2; allowed: greater than 0"),
    ("row: 1, highest_on: []}]", "claims.1.highest_on: found an empty list; allowed: a column, or several"),
    ("row: 1, lowest_on: [mAP, ACC, mAP]}]", "claims.1.lowest_on: mAP is named twice"),
    ("rows: [1, 2], beat: [1, 1], on: mAP}]", "claims.1.beat: a row cannot beat itself"),
    ("rows: [1, 2], beat: [2, 9], on: mAP}]", "x.yaml:2:59: claims.1.beat: no row 9; allowed: 1 to 2"),
    ("row: 1, highest_on: [mAP, XYZ]}]", "claims.1.highest_on: unknown column 'XYZ'"),
    ("row: 1, lowest_on: mAP, wins: 1}]", "claims.1.wins: unknown key"),
    ("row: whole, beats: prt, on: mAP}]", "x.yaml:2:54: claims.1.beats: no row 'prt'; did you mean 'part'? allowed"),
    ("rows: [part, hole], stable_within: 1, on: mAP}]", "x.yaml:2:48: claims.1.rows.2: no row 'hole'; did you mean"),
    ("row: 1, beats: '', on: mAP}]", "x.yaml:2:50: claims.1.beats: no row ''; allowed: part, whole"),
    ("row: part, beats: 1, on: mAP}]", "claims.1.beats: a row cannot beat itself"),
]


@pytest.mark.parametrize(("text", "message"), BAD_CLAIMS)
def test_bad_claims(write, text, message):
    errors = refused(write(f"rows: [{{label: part}}, {{label: whole}}]\n{CLAIM}{text}\n"))
    assert any(message in error for error in errors), errors


def test_good_claims(write):
    kinds = ["row: 1, beats: 2, on: mAP, by: 2.3", "rows: [1, 2], stable_within: 0.6, on: mAP",
             "row: 2, highest_on: mAP", "rows: [1, 2], beat: [2, 1], on: mAP, on_average: true",
             "row: 1, below: 0.1, on: mAP, by_share: 0.14", "row: 1, lowest_on: [mAP, ACC], also: text"]  # fmt: skip
    claims = "".join(f"  - {{quote: q, section: '4.3', {kind}}}\n" for kind in kinds)
    found = study.load(write(f"rows: [{{label: a}}, {{label: b}}]\nclaims:\n{claims}")).claims
    assert found[0] == Beats(quote="q", section="4.3", row=1, beats=2, on="mAP", by=2.3)
    assert found[2].highest_on == ["mAP"]


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ("rows: [{label: part}, {label: whole}]", ("part", "whole")),
        ("toggles: {A: {case.cat: 0}, B: {case.rho: 1}}\nrows: [{on: []}, {on: [A, B]}]", ("baseline", "A + B")),
        ("sweep: {label: sigma, case.sigma: [0.1, .inf]}", ("sigma = 0.1", "sigma = inf")),
        ("rows: [{label: a}, {label: b}]\nsweep: {case.rho: [2]}", ("case.rho = 2, a", "case.rho = 2, b")),
    ],
)
def test_a_claim_names_rows_by_number_or_label(write, rows, labels):
    first, second = map(repr, labels)
    claims = [f"row: {second}, beats: {first}, on: mAP", f"row: 2, beats: {first}, on: mAP",
              f"rows: [{second}, 1], stable_within: 1, on: mAP", f"row: {second}, highest_on: mAP"]  # fmt: skip
    listed = "".join(f"  - {{quote: q, section: '4', {claim}}}\n" for claim in claims)
    beats, mixed, stable, extreme = study.load(write(f"{rows}\nclaims:\n{listed}")).claims
    assert (beats.row, beats.beats) == (mixed.row, mixed.beats) == (2, 1)
    assert (stable.rows, extreme.row) == ([2, 1], 2)


def test_a_label_of_two_rows_names_none(write):
    rows = "rows: [{label: a}, {label: b}, {label: b}]\n"
    (error,) = refused(write(f"{rows}{CLAIM}row: b, beats: a, on: mAP}}]"))
    assert error == "x.yaml:2:40: claims.1.row: rows 2, 3 are called 'b'; allowed: one row's number"


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


def test_too_many_runs_are_refused_before_they_are_made(write):
    name = write("rows: [{label: a}, {label: b}]\ncolumns: {x: acc, y: {metric: acc, scoring: {case.cat: 1}}}")
    assert refused(name, seeds=10**9) == [
        "--seeds:1:1: seeds: 1000000000 seeds of 4 scorings are 4000000000 runs; allowed: 100000, here 25000 seeds"
    ]
    assert len(study.load(name, seeds=30).runs) == 120


def test_unknown_study_names_the_nearest():
    assert refused("tabel2.yaml")[0].startswith("tabel2.yaml: no such study file; did you mean 'table2'?")
    assert "use it with --base paper" in refused(STUDIES / "base" / "paper.yaml")[0]


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
