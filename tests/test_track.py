"""The MLflow mirror: what stands in the run store stands there once, under legal names, and half-made runs go."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from harness import sources
from harness.store import results
from harness.track import database, series, stamps

from support import workers
from support.mirrored import close_databases, mirror, runs

pytest.importorskip("mlflow")


def test_rows_seeds_and_report_are_there(root):
    mirror(root, workers.study())
    client, parents = runs(root, kind="row")
    assert {run.info.run_name for run in parents} == {"r1 label 1", "r2 label 2"}
    assert {(run.data.metrics["mean/mAP_0.5"], run.data.metrics["n/mAP_0.5"]) for run in parents} == {(40.5, 2)}
    assert parents[0].data.metrics["std/mAP_0.5"] == 0.71, "0.5**0.5, short enough for a column"
    assert parents[0].data.metrics["paper/mAP_0.5"] == 38.3
    (child,) = runs(root, kind="seed", row=1, seed=1)[1]
    assert child.info.status == "FINISHED"
    assert child.data.params == {"row": "1", "seed": "1"}, "settings that differ between rows, and no others"
    assert child.data.tags["mlflow.parentRunId"] in {run.info.run_id for run in parents}
    expected = {"preset": "paper", "kind": "seed", "store": "store/t1/s1"}
    assert {name: text for name, text in child.data.tags.items() if not name.startswith("mlflow.")} == expected
    assert child.data.tags["mlflow.source.git.commit"] == "abc123"
    assert child.info.run_name == "r1 s1 label 1"
    assert child.info.end_time - child.info.start_time == 2000
    assert {f.path for f in client.list_artifacts(child.info.run_id)} == {"settings.yaml"}
    (given,) = parents[0].inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("synthetic", "f1")
    (report,) = runs(root, kind="report")[1]
    assert {f.path for f in client.list_artifacts(report.info.run_id)} == {"table.csv", "table.md"}
    made = {path.name for path in root.iterdir() if not path.name.startswith("mlflow.db-")}  # SQLite's own, while open
    assert made == {"store", "reports", "mlflow.db", "mlflow.lock", "artifacts"}


def test_curves_are_thinned_and_named_legally(root):
    mirror(root, workers.study())
    client, (child,) = runs(root, kind="seed", row=1, seed=0)
    loss = client.get_metric_history(child.info.run_id, "train/loss")
    assert 8 <= len(loss) <= 16
    assert all(point.value == pytest.approx(1 / point.step) for point in loss)
    assert max(point.step for point in loss) == 300
    history = client.get_metric_history(child.info.run_id, "test/mAP_avg")
    assert [(point.step, point.value) for point in history] == [(150, 20.0), (300, 40.0)]
    assert {"test/mAP_0.50", "test/mAP_0.1-0.5", "test/ACC", "train/loss_video", "best_on_test/mAP_avg"} <= set(
        child.data.metrics
    )


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "page"])
def test_damaged_database_is_moved_aside_and_made_anew(root, damage, capsys):
    study = workers.study()
    mirror(root, study)
    close_databases()
    path = root / "mlflow.db"
    content = path.read_bytes()
    wrong = {"cut": content[: len(content) // 2], "text": b"no database" * 1000, "empty": b""}
    path.write_bytes(wrong.get(damage, content[:4096] + b"x" * 8192 + content[12288:]))
    stamps.locate_stamp(study, root).unlink()
    assert mirror(root, study).startswith("MLflow: 4 new")
    assert "moved to mlflow.db.damaged-" in capsys.readouterr().err
    assert len(runs(root, kind="seed")[1]) == 4


def test_deleted_database_is_filled_again(root):
    """By the same call, for all that was mirrored to it before."""
    study = workers.study()
    mirror(root, study)
    close_databases()
    for path in root.glob("mlflow.db*"):
        path.unlink()
    assert mirror(root, study).startswith("MLflow: 4 new")


@pytest.mark.parametrize("name", ["what?", "c#", "100%", "a b", "ü?x=1&y#%20"])
def test_folder_of_any_name_holds_its_own_database(root, name):
    folder = root / name
    shutil.copytree(root / "store", folder / "store")
    shutil.copytree(root / "reports", folder / "reports")
    assert mirror(folder, workers.study()).startswith("MLflow: 4 new")
    assert (folder / "mlflow.db").exists()
    assert list((folder / "artifacts").rglob("settings.yaml"))
    beside = {path.name for path in root.iterdir() if not path.name.startswith("mlflow.")}
    assert beside == {"store", "reports", name}
    assert len(runs(folder, kind="seed")[1]) == 4


def test_again_mirrors_nothing_and_does_not_import_mlflow(root, monkeypatch):
    study = workers.study()
    mirror(root, study)
    before = {run.info.run_id for run in runs(root)[1]}
    monkeypatch.setattr(database, "silence", lambda: pytest.fail("mlflow would be imported"))
    assert "up to date" in mirror(root, study)
    monkeypatch.undo()
    stamps.locate_stamp(study, root).unlink()
    assert mirror(root, study).startswith("MLflow: 0 new")
    assert {run.info.run_id for run in runs(root)[1]} == before


def test_new_seed_and_new_result(root):
    """A further seed is added; a result that was made again replaces its run; statistics follow."""
    mirror(root, workers.study())
    workers.finish(workers.job(root, "t2", 2, scorings=("s1", "s2")), value=42.0)
    path = root / "store/t0/training.json"
    path.write_text(path.read_text().replace(sources.digest("proposed"), "0" * 16))
    assert mirror(root, workers.study(seeds=(0, 1, 2))).startswith("MLflow: 4 new")
    assert len(runs(root, kind="seed")[1]) == 6
    assert len(runs(root, kind="row")[1]) == 2
    assert runs(root, kind="row", row=2)[1][0].data.metrics["n/mAP_0.5"] == 3


def test_failed_run_has_status_reason_and_log(root):
    results.write_failure(workers.job(root, "t1", 1), "ValueError: planted")
    (root / "store/t1/log.txt").write_text("Traceback")
    mirror(root, workers.study(rows=(1,)))
    client, (child,) = runs(root, kind="seed", seed=1)
    assert (child.info.status, child.data.tags["reason"]) == ("FAILED", "ValueError: planted")
    assert {f.path for f in client.list_artifacts(child.info.run_id)} == {"settings.yaml", "log.txt"}


def test_run_that_was_left_half_way_is_made_again(root):
    """Whoever opened it, here or on another machine: under the lock of the mirror nobody else can be at it."""
    study = workers.study()
    mirror(root, study)
    client, (child,) = runs(root, kind="seed", row=1, seed=0)
    client.update_run(child.info.run_id, status="RUNNING")
    stamps.locate_stamp(study, root).unlink()
    assert mirror(root, study).startswith("MLflow: 1 new")
    (again,) = runs(root, kind="seed", row=1, seed=0)[1]
    assert (again.info.status, again.info.run_id != child.info.run_id) == ("FINISHED", True)


def test_database_is_whole_and_in_wal_mode(empty):
    assert [path.name for path in empty.parent.iterdir()] == ["mlflow.db"]
    with closing(sqlite3.connect(empty)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("map/0.50", "mAP_0.50"),
        ("map/0.1:0.5", "mAP_0.1-0.5"),
        ("mAP@0.5 (%)", "mAP_0.5 ___"),
        ("acc/fused", "ACC_fused"),
        ("P_A/min", "P_A_min"),
    ],
)
def test_names_are_legal(name, spelt):
    from mlflow.utils.validation import _validate_metric_name

    assert series.spell(name) == spelt
    _validate_metric_name(f"test/{spelt}")


@pytest.mark.parametrize("n", [1, 7, 50, 51, 300, 3600])
def test_thinning_keeps_the_last_point(n):
    kept = list(series.thin(n))
    assert kept[-1] == n - 1
    assert min(n, series.POINTS) <= len(kept) <= 2 * series.POINTS
