"""Run store -> MLflow, for people to browse: first a study's runs, then the report written with their addresses.

One experiment per study and data set; a run per row, with a child per seed; a run that holds the report. Only the
driver calls this, under a file lock. What is mirrored already is recognised by its ``identity`` and ``result`` tags.
"""

import json
import math
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from harness.study import keys
from harness.track import database, series, stamps

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Tracked

    from harness.store.records import Record, Records
    from harness.study import Row, Study

BATCH = 1000  # metrics MLflow takes at once
PARAMS = 100  # params MLflow takes at once
NOTE = "mlflow.note.content"  # the tag that MLflow shows as a description


def mirror_runs(records: "Records", commit: str = "unknown") -> tuple[Mapping[str, str], str]:
    """Bring MLflow up to date with a study's runs; returns the address of each run by identity, and what was done.

    Nothing new: mlflow is not even imported. A damaged database is moved aside and made anew.
    """
    study, root = records.study, records.root
    stamp = stamps.read_stamp(study, root)
    server, runs = keys.digest(database.find_address(root)), series.digest_runs(records)
    if (stamp.server, stamp.runs) == (server, runs) and is_there(root):
        return stamp.addresses, "MLflow is up to date"
    database.silence()
    with database.locked(root):
        if database.is_damaged(root):
            aside = database.move_aside(root)
            print(f"{root / 'mlflow.db'}: damaged; moved to {aside.name} and made anew", file=sys.stderr)
        experiment = open_experiment(study, root, commit)
        new = mirror_rows(experiment, records)
        report = experiment.find_or_open(stamps.identify_report(study), f"report ({study.base})", {"kind": "report"})
        experiment.client.set_terminated(report)
    stamps.write_stamp(study, root, stamps.Stamp(server, runs, "", experiment.addresses()))
    return experiment.addresses(), f"MLflow: {new} new runs in experiment '{experiment.name}'"


def mirror_report(records: "Records", report: Path) -> None:
    """Keep a report's files at its run, and say what was found in notes that MLflow shows. Runs are mirrored before."""
    study, root = records.study, records.root
    stamp = stamps.read_stamp(study, root)
    digest = series.digest_files(report)
    identity = stamps.identify_report(study)
    if stamp.report == digest or identity not in stamp.addresses:
        return
    database.silence()
    from mlflow import MlflowClient

    with database.locked(root):
        client = MlflowClient(database.find_address(root))
        run = stamp.addresses[identity].rsplit("/", 1)[-1]
        for path in series.list_files(report):
            client.log_artifact(run, str(path))
        note = series.describe(records)
        client.set_tag(run, NOTE, note)
        client.set_experiment_tag(client.get_run(run).info.experiment_id, NOTE, note)
    stamps.write_stamp(study, root, replace(stamp, report=digest))


def is_there(root: Path) -> bool:
    """Whether what was mirrored before can still be there."""
    return database.has_server() or (root / "mlflow.db").exists()


@dataclass
class Experiment:
    """A study's experiment in MLflow, and the runs in it by identity."""

    name: str
    number: str
    client: "MlflowClient"
    tags: Mapping[str, str]  # of every run
    known: dict[str, "Tracked"] = field(default_factory=dict)

    def find_or_open(self, identity: str, name: str, tags: Mapping[str, Any]) -> str:
        """Identifier of the run of this identity."""
        found = self.known.get(identity) or self.open(identity, name, tags)
        return str(found.info.run_id)

    def open(self, identity: str, name: str, tags: Mapping[str, Any], start: int | None = None) -> "Tracked":
        """A new run with the tags that every run of this experiment carries."""
        text = {name: str(value) for name, value in tags.items()}
        every = {**self.tags, "identity": identity, **text}
        opened = self.client.create_run(self.number, start_time=start, tags=every, run_name=name)
        self.known[identity] = opened
        return opened

    def addresses(self) -> dict[str, str]:
        """Identity -> address of the run's page."""
        pages = f"{database.find_pages()}/#/experiments/{self.number}/runs"
        return {identity: f"{pages}/{run.info.run_id}" for identity, run in self.known.items()}

    def log(self, run: str, points: Sequence[series.Point], settings: Mapping[str, Any] | None = None) -> None:
        """Log finite values and settings in as few transactions as MLflow allows: one value each takes milliseconds."""
        from mlflow.entities import Metric, Param

        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, step) for name, value, step in points if math.isfinite(value)]
        params = [Param(name, str(value)) for name, value in (settings or {}).items()]
        while metrics or params:
            self.client.log_batch(run, metrics=metrics[: BATCH - PARAMS], params=params[:PARAMS])
            metrics, params = metrics[BATCH - PARAMS :], params[PARAMS:]


def open_experiment(study: "Study", root: Path, commit: str) -> Experiment:
    """The experiment of a study on its data, made or restored where necessary; call it under the lock."""
    database.create_database(root)
    from mlflow import MlflowClient

    client = MlflowClient(database.find_address(root))
    name = f"{study.name}/{study.data}"
    found = client.get_experiment_by_name(name)
    if found is None:
        location = None if database.has_server() else f"{database.locate_artifacts(root)}/{quote(name)}"
        tags = {NOTE: study.title}
        number = client.create_experiment(name, artifact_location=location, tags=tags)
    else:
        number = str(found.experiment_id)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(number)
    source = {"mlflow.source.name": f"python -m harness.run {study.name}", "mlflow.source.type": "LOCAL"}
    tags = {"base": study.base, "mlflow.source.git.commit": commit, **source}
    experiment = Experiment(name, number, client, tags)
    experiment.known.update(find_runs(client, number))
    return experiment


def find_runs(client: "MlflowClient", experiment: str) -> Iterator[tuple[str, "Tracked"]]:
    """(identity, run) of the runs mirrored before; one that still runs was left half-way by its driver and goes.

    The lock is held: no other driver of this folder can be mirroring it now.
    """
    token = None
    while True:
        page = client.search_runs([experiment], max_results=500, page_token=token)
        for run in page:
            identity = run.data.tags.get("identity")
            if run.info.status == "RUNNING":
                client.delete_run(run.info.run_id)
            elif identity:
                yield identity, run
        token = page.token
        if not token:
            return


def mirror_rows(experiment: Experiment, records: "Records") -> int:
    """Mirror rows and their seeds; returns how many seeds are new."""
    new = 0
    summary = series.summarise(records)
    varied = series.list_varied(records.study.rows)
    by_row: dict[int, list[Record]] = {}
    for record in records.records:
        if record.training:
            by_row.setdefault(record.run.row, []).append(record)
    for row in records.study.rows:
        parent = mirror_row(experiment, row, summary.get(row.number, {}), varied)
        new += sum(mirror_run(experiment, row, record, parent, varied) for record in by_row.get(row.number, ()))
    return new


def mirror_row(experiment: Experiment, row: "Row", summary: Mapping[str, float], varied: Collection[str]) -> str:
    """Run of a row, its statistics brought up to date."""
    identity = stamps.identify_row(row)
    found = experiment.known.get(identity)
    if found is None:
        found = experiment.open(identity, f"r{row.number} {row.label}", {"row": row.number, "kind": "row"})
        run = found.info.run_id
        published = {column: float(value) for column, value in row.paper.items() if value is not None}
        paper = {f"paper/{series.spell(column)}": value for column, value in published.items()}
        flat = keys.flat(row.settings)
        experiment.log(run, series.list_points(paper), {name: flat.get(name) for name in varied})
        log_data(experiment.client, run, row)
        experiment.client.set_terminated(run)
    changed = {name: value for name, value in summary.items() if found.data.metrics.get(name) != value}
    experiment.log(found.info.run_id, series.list_points(changed))
    return str(found.info.run_id)


def log_data(client: "MlflowClient", run: str, row: "Row") -> None:
    """Say which data a row is trained on, with their fingerprint."""
    from mlflow.entities import Dataset, DatasetInput

    source = row.settings.source
    data = Dataset(source.name, row.fingerprint or "absent", "code", json.dumps({"scale": source.scale}))
    client.log_inputs(run, datasets=[DatasetInput(data)])


def mirror_run(experiment: Experiment, row: "Row", record: "Record", parent: str, varied: Collection[str]) -> bool:
    """Child run of one seed; False when this result is mirrored already, an older result of it is replaced."""
    run, training = record.run, record.training
    identity = stamps.identify_run(run)
    version = series.tell_version(record)
    old = experiment.known.get(identity)
    if old is not None and old.data.tags.get("result") == version:
        return False
    if old is not None:
        experiment.client.delete_run(old.info.run_id)
    end = int(datetime.fromisoformat(training["finished"]).timestamp() * 1000)
    start = end - int(1000 * training.get("seconds", {}).get("total", 0))
    tags = {"kind": "seed", "row": run.row, "seed": run.seed, "mlflow.parentRunId": parent, "result": version}
    tags |= {"store": f"store/{run.training_key}/{run.scoring_key}"}  # where checkpoint, scores and detections lie
    if training["status"] != "ok":
        tags |= {"reason": training.get("reason", "")}
    opened = experiment.open(identity, f"r{row.number} s{run.seed} {row.label}", tags, start).info.run_id
    flat = keys.flat(run.settings)
    differing = {name: flat.get(name) for name in varied}
    experiment.log(opened, series.list_curves(record), {"row": row.number, "seed": run.seed, **differing})
    text = yaml.safe_dump(series.layer(flat), sort_keys=False)  # a layer: it can be given to a study
    experiment.client.log_text(opened, text, "settings.yaml")
    log = record.log()
    if training["status"] != "ok" and log.exists():
        experiment.client.log_artifact(opened, str(log))
    experiment.client.set_terminated(opened, "FINISHED" if training["status"] == "ok" else "FAILED", end)
    return True
