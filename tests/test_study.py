"""Study files: expansion to rows and runs, presets and data sets, overrides, keys."""

import subprocess
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from harness import study
from harness.settings import Settings
from harness.sources import HOME
from harness.study.keys import flat, keys
from harness.study.presets import STUDIES
from model.settings import CoLabel

from support import study_files

ALL = sorted(STUDIES.glob("*.yaml"))

QUOTE = "quote: as printed, section: '4'"


@pytest.fixture
def write(tmp_path, monkeypatch):
    return study_files.writer(tmp_path, monkeypatch)


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
        above, below = (found.rows[number - 1].paper[claim.on] for number in (claim.row, claim.beats))
        assert above - below == pytest.approx(claim.by)


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
        (("P^A", "AUC of P^A"), 0),
        (("hat P^A", "AUC of hat P^A"), 1),
        (("fused", "AUC fused"), 0.5),
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


@pytest.mark.parametrize(
    ("asked", "watched"),
    [
        ("columns: {mAP: map/avg}", set()),
        ("columns: {mAP: map/avg, loss: curve/loss, H: curve/entropy/Q_C}\nfigures: [entropy, effects]", set()),
        ("columns: {mAP: map/avg, best: {metric: map/avg, selection: best}}", {"mAP", "best"}),
        ("columns: {mAP: map/avg, ACC: curve/acc}", {"mAP", "ACC"}),
        ("columns: {mAP: map/avg, ACC: {metric: curve/acc, scoring: {case.cat: 0}}}", {"ACC"}),
        ("columns: {mAP: map/avg}\nfigures: ['mine:draw']", {"mAP"}),
        (f"columns: {{mAP: map/avg}}\nclaims: [{{{QUOTE}, row: 1, on: mAP, by_share: 0.5, above: 20}}]", {"mAP"}),
        (f"columns: {{H: entropy/Q_R}}\nclaims: [{{{QUOTE}, row: 1, on: H, by_share: 0.5, below: 1}}]", set()),
    ],
)
def test_evaluated_during_training_is_what_a_study_reads_over_the_steps(write, asked, watched):
    """A table of last checkpoints needs one evaluation; losses, label entropies and monitors are there anyway."""
    runs = study.load(write(f"title: t\n{asked}\n")).runs
    assert {name for run in runs if run.watched for name in run.columns} == watched


def test_sweeps(write):
    text = "sweep: {case.clusters: [2, 4, .inf], label: K, paper: {mAP: [1, null, 3]}}\n"
    errors = study_files.refused(write(text))
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


def test_rows_are_compared_with_rows_by_number_or_label(write):
    rows = "rows: [{label: a}, {label: b, reference: 1, set: {case.cat: 0}}, {label: c, set: {case.cat: 1}}]\n"
    assert [row.reference for row in study.load(write(rows + "reference: c")).rows] == [3, 1, 3]
    assert [row.reference for row in study.load(write(rows.replace("reference: 1", "reference: c"))).rows] == [1, 3, 1]


def test_a_study_in_no_line_has_one_row(write):
    found = study.load(write(""))
    assert (len(found.rows), found.seeds, [c.metric for c in found.columns]) == (1, 5, ["map/avg", "acc", "auc"])


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
    assert study_files.refused(name, sets=["case.cat=2", "case.clustrs=3", "foo", "case.epsilon=[1", "case.rho="]) == [
        "--set:1:10: case.cat: found 2; allowed: a number from 0 to 1",
        *[
            e
            for e in study_files.refused(name, sets=["", "case.clustrs=3"])
            if e.startswith("--set:2:1: case.clustrs: unknown key")
        ],
        "--set:3:1: found 'foo'; allowed: PATH=VALUE, e.g. case.clusters=32",
        "--set:4:14: not YAML: did not find expected ',' or ']'",
        "--set:5:1: case.rho: found nothing; allowed: a number above 0",
    ]


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
    assert all(run in more.runs for run in found.runs)
    asked = study.load(name, seeds=8)
    assert (asked.seeds, asked.until, len(asked.runs)) == (8, None, 16)
    assert study.load(write("seeds: 2")).until is None


def test_data_folder_with_its_own_settings(write, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.data.fingerprint", lambda source, root: f"{source.name} {Path(source.path).name}")
    path = study_files.folder(tmp_path, "training: {snippets: 99}\nsource.streams: [acc, gyr]\n")
    found = study.load(write("title: x\n"), data=str(path))
    row = found.rows[0]
    assert (found.data, found.seeds, row.fingerprint) == ("mine", 5, "folder mine")
    assert (row.settings.training.snippets, row.settings.source.streams) == (99, ("acc", "gyr"))
    quick = study.load("x.yaml", data=str(path), quick=True)
    assert (quick.data, quick.seeds, quick.rows[0].settings.source.name) == ("mine-quick", 2, "folder")
    assert quick.rows[0].settings.training.steps == 120


def test_a_data_set_is_here_where_the_command_line_says_its_path(write, tmp_path, monkeypatch):
    """Its own scale stays; without the path it is told to be absent."""
    monkeypatch.setattr("harness.data.fingerprint", lambda source, root: source.path)
    name, place = write("title: x\ndata: shrec21\n"), f"source.path={study_files.folder(tmp_path)}"
    for found in (study.load(name, sets=[place]), study.load(name, data="shrec21", sets=[place])):
        assert (found.missing, f"source.path={found.rows[0].fingerprint}") == ("", place)
        assert found.rows[0].settings.training.snippets == 200
        assert len(found.runs) == 5
    assert "no folder 'data/shrec21'" in study.load(name).missing


def test_data_folder_without_settings_takes_those_of_its_width(write, tmp_path, monkeypatch):
    monkeypatch.setattr("harness.data.fingerprint", lambda source, root: "f")
    path = study_files.folder(tmp_path)
    for like, snippets in (("synthetic", 150), ("thumos14", 750)):
        monkeypatch.setattr("harness.data.info", lambda source, root, like=like: {"like": like})
        found = study.load(write("title: x\n"), data=str(path)).rows[0].settings
        assert (found.training.snippets, found.source.name, found.source.scale) == (snippets, "folder", "default")


def test_search_spaces(write):
    text = "set: {case.rho: {tune: [loguniform, 1, 100]}, case.rank: {tune: [categorical, exact, argsort]}}\n"
    text += "objective: {metric: map/avg}\n"
    found = study.load(write(text))
    assert found.space == {"case.rho": ("loguniform", 1, 100), "case.rank": ("categorical", "exact", "argsort")}
    assert found.search == {"objective": {"metric": "map/avg"}}
    assert found.rows[0].settings.case.rho == 10  # the preset's stands until a trial sets it
    trial = study.load("x.yaml", sets=["case.rho=33"])
    assert (trial.rows[0].settings.case.rho, list(trial.space)) == (33, ["case.rank"])


def test_loading_needs_no_heavy_library():
    code = "import sys; from harness import study; study.load('table2'); print(HEAVY & set(sys.modules))"
    code = code.replace("HEAVY", "{'torch', 'mlflow', 'pandas', 'scipy', 'optuna'}")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOME)
    assert done.stdout.strip() == "set()"
