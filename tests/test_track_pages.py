"""What MLflow's pages show of a study: links, saved views, notes, how long runs lasted, files of a moved folder."""

import json
import os
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import ui
from harness.store import records
from harness.track import database, pages, stamps, views
from harness.track import mirror as track

from support import workers
from support.mirrored import close_databases, mirror, runs

pytest.importorskip("mlflow")


def test_views_show_the_table_and_the_seeds(root):
    """What a link opens is saved with the experiment: rows in order, each column's mean, std and paper's number."""
    mirror(root, workers.study())
    client, (report,) = runs(root, kind="report")
    tags = client.get_experiment(report.info.experiment_id).tags
    address = pages.address_table(workers.study(), root)
    start = f"http://127.0.0.1:5000/#/experiments/{report.info.experiment_id}/runs?viewStateShareKey="
    assert address == f"{start}table-paper"
    table = json.loads(json.loads(tags["mlflow.sharedViewState.table-paper"])["state"])
    assert table["selectedColumns"] == [f"metrics.`{what}/mAP_0.5`" for what in ("mean", "paper", "std")]
    found = client.search_runs([report.info.experiment_id], table["searchFilter"], order_by=[table["orderByKey"]])
    assert [run.info.run_name for run in found] == ["r1 label 1", "r2 label 2"]
    known = {f"metrics.`{name}`" for run in found for name in run.data.metrics}
    assert known.issuperset(table["selectedColumns"])
    seeds = json.loads(json.loads(tags["mlflow.sharedViewState.seeds-paper"])["state"])
    found = client.search_runs([report.info.experiment_id], seeds["searchFilter"], order_by=[seeds["orderByKey"]])
    assert [run.info.run_name[:5] for run in found] == ["r1 s0", "r1 s1", "r2 s0", "r2 s1"]
    known = {f"metrics.`{name}`" for run in found for name in run.data.metrics}
    assert known | {"params.`row`", "params.`seed`"} >= set(seeds["selectedColumns"])


@pytest.mark.parametrize("columns", [1, 40, 400])
def test_view_of_many_columns_fits_a_tag(columns):
    study = workers.study()
    study.columns = [SimpleNamespace(name=f"column {i}", metric=f"map/0.{i}") for i in range(columns)]
    from mlflow.utils.validation import MAX_EXPERIMENT_TAG_VAL_LENGTH

    for view in views.list_views(study, 0).values():
        assert len(view) < MAX_EXPERIMENT_TAG_VAL_LENGTH
        assert json.loads(json.loads(view)["state"])["selectedColumns"]


@pytest.mark.parametrize("name", ["other", "a_b%c!d", "artifacts"])
def test_moved_folder_finds_its_files(root, name):
    """Also one whose name has characters that mean something to SQL or in addresses."""
    study, folder = workers.study(), root / "moved" / name
    mirror(root, study)
    close_databases()
    held = [path for path in root.iterdir() if not path.name.endswith(("-wal", "-shm"))]
    folder.mkdir(parents=True)
    for path in held:
        shutil.move(path, folder / path.name)
    database.mend_locations(folder)
    client, found = runs(folder)
    for run in found:
        assert run.info.artifact_uri.startswith(f"{database.locate_artifacts(folder)}/toy/synthetic-tiny/")
    (report,) = [run for run in found if run.data.tags["kind"] == "report"]
    assert {f.path for f in client.list_artifacts(report.info.run_id)} == {"table.csv", "table.md"}
    assert mirror(folder, study).startswith("MLflow: 0 new")


def test_links_follow_the_port_in_use(root):
    study = workers.study()
    mirror(root, study)
    page, text = (
        root / "reports/toy/report.html",
        '<a href="{0}#/experiments/1/runs/a">x</a> http://127.0.0.1:5000/else',
    )
    page.write_text(text.format("http://127.0.0.1:5000/"))
    pages.move_pages(root, 6123)
    assert page.read_text() == text.format("http://127.0.0.1:6123/"), "only links to runs change"
    assert all(link.startswith("http://127.0.0.1:6123/#/") for link in pages.read_addresses(study, root).values())
    assert list(pages.list_tables(root)) == [("toy/synthetic-tiny", pages.address_table(study, root))]


def test_notes_tell_the_table_without_a_table(root):
    """MLflow's pages draw no pipe tables; the experiment and the report's run say the same, claims first."""
    mirror(root, workers.study())
    client, (report,) = runs(root, kind="report")
    note = report.data.tags["mlflow.note.content"]
    assert "- **1 label 1**: mAP@0.5 40.50 ± 0.71 (paper 38.3)" in note.splitlines()
    assert note.startswith("**A toy**: 2 claims: 1 appears, 1 undecided\n")
    assert "- appears: row 2 beats row 1" in note.splitlines()
    assert f"[the report](#/experiments/{report.info.experiment_id}/runs/{report.info.run_id}/artifacts/" in note
    assert client.get_experiment(report.info.experiment_id).tags["mlflow.note.content"] == note
    (row,) = runs(root, kind="row", row=1)[1]
    assert row.data.tags["mlflow.note.content"] == "mAP@0.5 40.50 ± 0.71 (paper 38.3)"


def test_addresses_lead_to_the_runs(root):
    """A report finds the address of each of its runs, and of itself, by identity; another preset's are kept apart."""
    study = workers.study()
    track.mirror_runs(records.read(study, root))
    addresses = pages.read_addresses(study, root)
    assert len(addresses) == 2 + 4 + 1
    _, (child,) = runs(root, kind="seed", row=2, seed=1)
    (run,) = [run for run in study.runs if (run.row, run.seed) == (2, 1)]
    address = addresses[stamps.identify_run(run)]
    assert address == f"http://127.0.0.1:5000/#/experiments/{child.info.experiment_id}/runs/{child.info.run_id}"
    study.base = "../../elsewhere/paper.yaml"
    study.base_name = "paper-0a1b2c3d"  # what harness.study.names calls it
    assert pages.read_addresses(study, root) == {}
    assert stamps.locate_stamp(study, root).parent == root / "reports" / ".mirrored"


def test_ui_refuses_what_it_cannot_show(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "run a study first" in ui.refusal(tmp_path, 5000)
    assert "run a study first" in ui.refusal(Path("x" * 5000), 5000)
    os.mkfifo(tmp_path / "mlflow.db")
    assert "run a study first" in ui.refusal(tmp_path, 5000), "opening a pipe would wait for ever"
    (tmp_path / "mlflow.db").unlink()
    (tmp_path / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind((ui.LOCAL, 0))
        taken.listen()
        assert "choose another" in ui.refusal(tmp_path, taken.getsockname()[1])
    assert "is damaged; python -m harness.track sync" in ui.refusal(tmp_path, 0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://team:5000")
    assert "by that server" in ui.refusal(tmp_path, 5000)
    assert database.find_address(tmp_path) == "http://team:5000"


def test_rows_and_report_last_as_long_as_their_trainings(root):
    """From the start of the first to the end of the last, not as long as mirroring takes; a further seed extends it."""
    ends = {0: "2026-01-01T10:00:00+00:00", 1: "2026-01-01T10:01:30+00:00", 2: "2026-01-01T11:00:00+00:00"}
    workers.finish(workers.job(root, "t2", 2, scorings=("s1", "s2")), value=42.0)
    for seed, end in ends.items():
        path = root / f"store/t{seed}/training.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"finished": end}))
    for seeds, seconds in ((2, 92), (3, 3602)):  # each takes 2 s
        mirror(root, workers.study(seeds=range(seeds)))
        spans = {run.info.end_time - run.info.start_time for run in runs(root)[1] if run.data.tags["kind"] != "seed"}
        assert spans == {1000 * seconds}
