"""The run store: what is written is read back, half-written is never finished, staleness is noticed."""

import ast
import inspect
import json
import shutil

import numpy as np
import pytest

from harness import sources
from harness.store import files, plan, records, results
from harness.study import keys, load

from support import workers
from support.workers import study


def test_training_reads_back_bit_for_bit(tmp_path):
    workers.finish(workers.job(tmp_path, "t0"))
    record = results.read_training(tmp_path, "t0")
    assert (record["status"], record["key"], record["digest"]) == ("ok", "t0", sources.digest("proposed"))
    assert record["settings"]["training.snippets"] == 750
    np.testing.assert_array_equal(results.read_curves(tmp_path, "t0")["loss"], 1 / np.arange(1, 301))
    np.testing.assert_array_equal(results.read_scores(tmp_path, "t0")["attention"], np.full((2, 2, 3), 0.25))
    assert results.read_result(tmp_path, "t0", "s1")["metrics"]["map/avg"] == 40.0
    assert (tmp_path / "store/t0/checkpoint.pt").read_bytes() == b"weights"
    assert not list(tmp_path.rglob(".*")), "temporary files are left"


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file.json"
    files.write_json(path, {"a": 1})

    def half():
        with files.landing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_half_written_successor_is_not_finished(tmp_path):
    """A retraining that stops in its arrays leaves no record of the old one: old arrays cannot pass as new."""
    job = workers.job(tmp_path, "t0")
    workers.finish(job)

    def breaks(path):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        results.write_training(tmp_path, "t0", {"status": "ok"}, {}, {"checkpoint.pt": breaks}, job.settings)
    assert results.read_training(tmp_path, "t0") is None
    assert results.read_result(tmp_path, "t0", "s1") is None


def test_cut_off_json_counts_as_absent(tmp_path):
    workers.finish(workers.job(tmp_path, "t0"))
    path = tmp_path / "store/t0/training.json"
    path.write_text(path.read_text()[:20])
    assert results.read_training(tmp_path, "t0") is None


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ('"""Other."""\ndef f(x):\n    "Doc."\n    # note\n    return (x + 1)\n', True),
        ("def f(x):\n    return x + 2\n", False),
        ("def f(y):\n    return y + 1\n", False),
    ],
)
def test_digest_sees_code_and_nothing_else(other, same):
    assert (sources.code("def f(x): return x+1") == sources.code(other)) is same


def test_a_new_or_changed_baseline_leaves_the_results_of_others(tmp_path):
    (tmp_path / "one.py").write_text("from model.mil import pool\nfrom model.baselines.two import inference, losses\n")
    (tmp_path / "two.py").write_text("x = 1\n")
    (tmp_path / "three.py").write_text("x = 2\n")
    assert {path.name for path in sources.own_files(tmp_path, "one")} == {"one.py", "two.py"}
    assert {path.name for path in sources.own_files(tmp_path, "three")} == {"three.py"}
    assert sources.digest("proposed") != sources.digest("asl") != sources.digest("wum")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the sources, and how to get their digest."""
    for name in ("model", "harness"):
        shutil.copytree(sources.HOME / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "HOME", tmp_path)
    return tmp_path, sources.digest.__wrapped__


def add(path, text):
    path.write_text(path.read_text() + text)


def test_the_options_of_a_new_baseline_leave_the_results_of_others(copied):
    place, digest = copied
    before = digest("proposed")
    (place / "model/baselines/toy.py").write_text("x = 1\n")
    add(place / "model/options.py", "\n\n@dataclass(frozen=True)\nclass ToyOptions:\n    topk: Divisor = 8\n")
    assert digest("proposed") == before
    add(place / "model/mil.py", "x = 1\n")
    assert digest("proposed") != before


def test_what_no_digest_sees_only_declares():
    """A function there could change a result unseen; the one that there is has its value in the key."""
    found = []
    for name in sources.DECLARATIONS:
        tree = ast.parse((sources.HOME / name).read_text())
        found += [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    assert found == ["clustered"]
    assert "case.clustered" in inspect.getsource(keys.keys)


def test_rows_that_share_a_training_become_one_job(tmp_path):
    jobs = plan.list_jobs([study()], tmp_path)
    assert [(j.training_key, tuple(j.scorings), j.label) for j in jobs] == [
        ("t0", ("s1", "s2"), "toy row 1+2, seed 0"),
        ("t1", ("s1", "s2"), "toy row 1+2, seed 1"),
    ]


def test_plan_asks_only_for_what_is_missing(tmp_path):
    toy = study()
    assert plan.make_plan([toy], tmp_path).trainings == 2
    workers.finish(workers.job(tmp_path, "t0", scorings=("s1", "s2")))
    workers.finish(workers.job(tmp_path, "t1"))
    todo = plan.make_plan([toy], tmp_path).todo
    assert [(j.training_key, tuple(j.scorings), j.rescore) for j in todo] == [("t1", ("s2",), True)]
    workers.score(todo[0], 41.0)
    assert plan.make_plan([toy], tmp_path).todo == ()


def test_scoring_cut_off_right_after_training_is_trained_again(tmp_path):
    """Re-scoring knows no curve: it must not stand in for the evaluations an interrupted training lost."""
    job = workers.job(tmp_path, "t0", scorings=("s1", "s2"))

    def cut_off():
        with results.mark_unfinished(job):
            workers.finish(workers.job(tmp_path, "t0"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    (todo,) = plan.make_plan([study(seeds=(0,))], tmp_path).todo
    assert (todo.rescore, tuple(todo.scorings)) == (False, ("s1", "s2"))


def score_once(job, value):
    """As ``workers.score``, but evaluated at the end alone."""
    metrics = {"map/avg": value}
    result = {"metrics": metrics, "curve": {"step": [3600], "map/avg": [value]}, "best": None}
    for key, settings in job.scorings.items():
        results.write_result(job.root, job.training_key, key, result, {}, settings)


def test_a_result_without_the_curve_that_is_asked_for_is_trained_again_with_all_its_scorings(tmp_path):
    """Another study's scoring of the same training must not be lost by it."""
    toy = study(seeds=(0,), rows=(1,))
    job = workers.job(tmp_path, "t0", scorings=("s1", "s2"))
    workers.finish(job)
    score_once(job, 41.0)
    assert plan.make_plan([toy], tmp_path).todo == ()
    toy.runs[0].watched = True
    (todo,) = plan.make_plan([toy], tmp_path).todo
    assert (todo.rescore, set(todo.scorings), todo.watched) == (False, {"s1", "s2"}, {"s1"})
    assert todo.scorings["s2"] == job.scorings["s2"], "read back from its record"
    assert todo.find_due(50) == {"s1": todo.scorings["s1"]}
    assert todo.find_due(3600) == todo.scorings


def test_a_scoring_that_was_watched_is_not_trained_again(tmp_path):
    toy = study(seeds=(0,), rows=(1,))
    toy.runs[0].watched = True
    job = workers.job(tmp_path, "t0")
    workers.finish(job)
    steps = [*range(50, 3601, 50)]
    result = {"metrics": {"map/avg": 1.0}, "curve": {"step": steps, "map/avg": [1.0] * len(steps)}, "best": None}
    results.write_result(tmp_path, "t0", "s1", result, {}, job.scorings["s1"])
    assert plan.make_plan([toy], tmp_path).todo == ()


def test_stale_is_trained_again_unless_accepted(tmp_path):
    toy = study(seeds=(0,), rows=(1,))
    workers.finish(workers.job(tmp_path, "t0"))
    path = tmp_path / "store/t0/training.json"
    path.write_text(path.read_text().replace(sources.digest("proposed"), "0" * 16))
    assert plan.make_plan([toy], tmp_path).trainings == 1
    assert plan.make_plan([toy], tmp_path).stale == ("t0",)
    assert plan.make_plan([toy], tmp_path, accept_stale=True).todo == ()
    assert records.read(toy, tmp_path).states == ["stale"]


def test_nan_is_not_tried_again_and_failed_is(tmp_path):
    toy = study(rows=(1,))
    workers.finish(workers.job(tmp_path, "t0", seed=0), status="nan")
    results.write_failure(workers.job(tmp_path, "t1", seed=1), "out of memory")
    found = plan.make_plan([toy], tmp_path)
    assert ([job.training_key for job in found.todo], found.nan) == (["t1"], ("t0",))
    frame = records.read(toy, tmp_path).frame()
    assert frame.status.tolist() == ["nan", "failed"]
    assert frame.value.isna().all()


def test_failed_scoring_keeps_the_training(tmp_path):
    workers.finish(workers.job(tmp_path, "t0"))
    results.write_failure(workers.job(tmp_path, "t0", scorings=("s2",), rescore=True), "bad threshold")
    assert results.read_training(tmp_path, "t0")["status"] == "ok"
    assert results.read_result(tmp_path, "t0", "s1") is not None


def test_frame_is_tidy(tmp_path):
    toy = study(rows=(1,))
    workers.finish(workers.job(tmp_path, "t0", scorings=("s1",)), value=30.0)
    frame = records.read(toy, tmp_path).frame()
    assert tuple(frame.columns) == (*records.FRAME, "paper")
    assert frame.value.tolist()[0] == 30.0
    assert frame.status.tolist() == ["ok", "missing"]
    assert frame.label.tolist() == ["label 1"] * 2


def test_best_is_nan_without_a_curve(tmp_path):
    toy = study(seeds=(0,), rows=(1,))
    toy.columns[0].selection = "best"
    workers.finish(workers.job(tmp_path, "t0"))
    assert records.read(toy, tmp_path).frame().value.tolist() == [40.0]
    path = tmp_path / "store/t0/s1/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"best": None}))
    assert records.read(toy, tmp_path).frame().value.isna().all()


def test_estimate_rests_on_runs_of_this_scale(tmp_path):
    toy = study()
    assert plan.estimate_seconds(plan.make_plan([toy], tmp_path), slots=2) == (plan.GUESS, False)
    workers.finish(workers.job(tmp_path, "t0", scorings=("s1", "s2")))
    assert plan.estimate_seconds(plan.make_plan([toy], tmp_path), slots=2) == (2.0, True)


def test_frame_carries_printed_numbers_and_the_settings_in_which_rows_differ(tmp_path):
    text = "title: t\nseeds: 2\nsweep: {case.sigma: [0.5, .inf], paper: {mAP: [41.0, null]}}\n"
    (tmp_path / "s.yaml").write_text(text)
    table = records.read(load(tmp_path / "s.yaml", root=tmp_path), tmp_path).frame()
    assert [*table.columns] == [*records.FRAME, "paper", "case.sigma"]
    assert table["case.sigma"].tolist() == [0.5] * 6 + ["inf"] * 6  # mAP, ACC and AUC of two seeds
    assert table.query("column == 'mAP'")["paper"].fillna(-1).tolist() == [41, 41, -1, -1]
    assert table.query("column == 'ACC'")["paper"].isna().all()
