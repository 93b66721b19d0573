"""Run store -> MLflow, for people to browse: first a study's runs, then the report written with their addresses.

One experiment per study and data set; a run per row, with a child per seed; a run that holds the report. Only the
driver calls this, under a file lock. What is mirrored already is recognised by two tags.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from harness.store.records import find_differences
from harness.study import keys
from harness.track import database, series, stamps
from harness.track.experiments import NOTE, Experiment, open_experiment, save_report

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Tracked

    from harness.store.records import Record, Records
    from harness.study import Row

RESULT = "mlflow.case.result"  # the tag that tells a run's result from an older one; pages hide those of "mlflow."


def mirror_runs(records: "Records", commit: str = "unknown") -> str:
    """Bring MLflow up to date with a study's runs; returns what was done. Where each run is shown says the stamp.

    Nothing new: mlflow is not even imported. A damaged database is moved aside and made anew.
    """
    study, root = records.study, records.root
    stamp = stamps.read_stamp(study, root)
    server, runs = keys.digest(database.find_address(root)), series.digest_runs(records)
    if (stamp.server, stamp.runs) == (server, runs) and is_there(root):
        return "MLflow is up to date"
    database.silence()
    with database.locked(root):
        if database.is_damaged(root):
            aside = database.move_aside(root)
            print(f"{root / 'mlflow.db'}: damaged; moved to {aside.name} and made anew", file=sys.stderr)
        experiment = open_experiment(study, root, commit)
        new = mirror_rows(experiment, records)
        start, end = series.measure_span(records.records)
        identity, title = stamps.identify_report(study), f"report ({stamps.name_variant(study)})"
        experiment.end(experiment.find_or_open(identity, title, {"kind": "report"}, start), end)
        table = experiment.save_views(study)
    places = {identity: experiment.place(run.info.run_id) for identity, run in experiment.known.items()}
    stamps.write_stamp(study, root, stamps.Stamp(server, runs, "", experiment.name, table, places))
    return f"MLflow: {new} new runs in experiment '{experiment.name}'"


def mirror_report(records: "Records", report: Path, findings: Sequence[str] = ()) -> None:
    """Keep a report's files at its run, and say what was found in notes that MLflow shows. Runs are mirrored before.

    ``findings``: what became of the study's claims, all of them in a sentence first, then a line each.
    """
    study, root = records.study, records.root
    stamp = stamps.read_stamp(study, root)
    digest = series.digest_files(report)
    identity = stamps.identify_report(study)
    if stamp.report == digest or identity not in stamp.places:
        return
    database.silence()
    from mlflow import MlflowClient

    with database.locked(root):
        client = MlflowClient(database.find_address(root))
        run = stamp.places[identity].rsplit("/", 1)[-1]
        links = {"the table": stamp.table, "the report": stamp.places[identity] + "/artifacts/report.html"}
        save_report(client, run, report, series.describe(records, findings, links))
    stamps.write_stamp(study, root, replace(stamp, report=digest))


def is_there(root: Path) -> bool:
    """Whether what was mirrored before can still be there."""
    return database.has_server() or (root / "mlflow.db").exists()


def mirror_rows(experiment: Experiment, records: "Records") -> int:
    """Mirror rows and their seeds; returns how many seeds are new."""
    new = 0
    differing = find_differences(records.study.rows)
    for row in records.study.rows:
        mine = [record for record in records.by_row.get(row.number, []) if record.training]
        settings = {"row": row.number, **differing[row.number]}
        name = f"r{row.number:0{len(str(len(records.study.rows)))}}"  # so names sort as rows do
        parent = mirror_row(experiment, records, row, name, settings)
        for record in mine:
            title = f"{name} s{record.run.seed} {row.label}"
            new += mirror_run(experiment, record, title, parent, settings)
        _, end = series.measure_span(mine)
        experiment.end(parent, end)
    return new


def mirror_row(
    experiment: Experiment, records: "Records", row: "Row", name: str, settings: Mapping[str, Any]
) -> "Tracked":
    """Run of a row, its statistics and description brought up to date."""
    identity = stamps.identify_row(row)
    found = experiment.known.get(identity)
    if found is None:
        start, _ = series.measure_span(records.by_row.get(row.number, []))
        found = experiment.open(identity, f"{name} {row.label}", {"kind": "row"}, start)
        published = {column: float(value) for column, value in row.paper.items() if value is not None}
        paper = {f"paper/{series.spell(column)}": value for column, value in published.items()}
        experiment.log(found.info.run_id, series.list_points(paper), settings)
        log_data(experiment.client, found.info.run_id, row)
    summary = series.summarise(records, row)
    changed = {name: value for name, value in summary.items() if found.data.metrics.get(name) != value}
    if changed:
        experiment.log(found.info.run_id, series.list_points(changed))
        experiment.client.set_tag(found.info.run_id, NOTE, series.describe_row(records, row))
    return found


def log_data(client: "MlflowClient", run: str, row: "Row") -> None:
    """Say which data a row is trained on, with their fingerprint."""
    from mlflow.entities import Dataset, DatasetInput

    source = row.settings.source
    data = Dataset(source.name, row.fingerprint or "absent", "code", json.dumps({"scale": source.scale}))
    client.log_inputs(run, datasets=[DatasetInput(data)])


def mirror_run(
    experiment: Experiment, record: "Record", title: str, parent: "Tracked", settings: Mapping[str, Any]
) -> bool:
    """Child run of one seed; False when this result is mirrored already, an older result of it is replaced."""
    run, training = record.run, record.training
    identity = stamps.identify_run(run)
    version = series.tell_version(record)
    old = experiment.known.get(identity)
    if old is not None and old.data.tags.get(RESULT) == version:
        return False
    if old is not None:
        experiment.client.delete_run(old.info.run_id)
    start, end = series.tell_times(training)
    tags = {"kind": "seed", "mlflow.parentRunId": parent.info.run_id, RESULT: version}
    tags |= {"store": f"store/{run.training_key}/{run.scoring_key}"}  # where checkpoint, scores and detections lie
    if training["status"] != "ok":
        tags |= {"reason": training.get("reason", "")}
    opened = experiment.open(identity, title, tags, start).info.run_id
    experiment.log(opened, series.list_curves(record), {"seed": run.seed, **settings})
    text = yaml.safe_dump(series.layer(keys.flat(run.settings)), sort_keys=False)  # a layer: it can be given to a study
    experiment.client.log_text(opened, text, "settings.yaml")
    log = record.log()
    if training["status"] != "ok" and log.exists():
        experiment.client.log_artifact(opened, str(log))
    experiment.client.set_terminated(opened, "FINISHED" if training["status"] == "ok" else "FAILED", end)
    return True
