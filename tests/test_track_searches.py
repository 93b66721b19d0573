"""A search in MLflow: one run with its report, a child per trial with its values under each seed, once."""

import re
import shutil

import pytest

from harness.search.report import format_summary, write_report
from harness.track import database
from harness.track.searches import mirror_search
from harness.track.series import spell

from support.searches import make_findings, task_writer

pytest.importorskip("mlflow")


def test_a_search_and_its_trials_are_there_once(tmp_path, empty, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty, tmp_path)
    found = make_findings(task_writer(tmp_path)(), trials=12)
    place, notes = write_report(found, tmp_path, tmp_path / "journal.log")
    said, look, address = mirror_search(found, tmp_path, place, format_summary(found, notes), "abc123")
    assert said == "MLflow: 12 new trials in experiment 'toy/synthetic'"
    assert look == f"look at it: python -m harness.ui --output {tmp_path}"
    (experiment, whole) = re.fullmatch(
        r"search: http://127\.0\.0\.1:5000/#/experiments/(\w+)/runs/(\w+)", address
    ).groups()
    from mlflow import MlflowClient

    client = MlflowClient(database.find_address(tmp_path))
    tags = client.get_run(whole).data.tags
    expected = ("search", "video", "python -m harness.search toy")
    assert (tags["kind"], tags["supervision"], tags["mlflow.source.name"]) == expected
    note = tags["mlflow.note.content"]
    assert note == client.get_experiment(experiment).tags["mlflow.note.content"]
    assert "**mAP**: default 50." in note
    assert f"[the report](#/experiments/{experiment}/runs/{whole}/artifacts/report.html)" in note
    assert not any(line.startswith(("|", "#", "!")) for line in note.splitlines()), "MLflow draws none of these"
    measured = client.get_run(whole).data.metrics
    assert measured["tuned/mAP_avg"] - measured["default/mAP_avg"] == pytest.approx(found.headline.difference.delta)
    files = {file.path for file in client.list_artifacts(whole)}
    assert {"best.yaml", "report.html", "trials.csv"} <= files
    trials = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{whole}'")
    names = {run.info.run_name: run for run in trials}
    assert set(names) == {f"trial {number}" for number in range(12)}
    for trial in found.done:
        run = names[f"trial {trial.number}"].data
        assert run.params == {path: str(value) for path, value in trial.values.items()}
        (scores,) = trial.seeds
        history = client.get_metric_history(names[f"trial {trial.number}"].info.run_id, f"seed/{spell('video_map')}")
        assert {point.step: point.value for point in history} == dict(zip(found.task.seeds, scores))
    assert mirror_search(found, tmp_path, place)[0].startswith("MLflow: 0 new trials")
