"""Run store -> MLflow, for people to browse: first a study's runs, then the report written with their addresses.

One experiment per study and data set; a run per row, with a child per seed; a run that holds the report. Only the
driver calls this, under a file lock. What is mirrored already is recognised by its ``identity`` and ``result`` tags.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def mirror_runs(records: "Records", commit: str = "unknown") -> tuple[Mapping[str, str], str]:
    """Bring MLflow up to date with a study's runs; returns the address of each run by identity, and what was done.

    Nothing new: mlflow is not even imported.
    """
    study, root = records.study, records.root
    stamp = stamps.read_stamp(study, root)
    server, runs = keys.digest(database.find_address(root)), series.digest_runs(records)
    if (stamp.server, stamp.runs) == (server, runs) and is_there(root):
        return stamp.addresses, "MLflow is up to date"
    database.silence()
    with database.lock_database(root):
        experiment = open_experiment(study, root, commit)
        new = mirror_rows(experiment, records)
        report = experiment.find_or_open(stamps.identify_report(study), f"report ({study.base})", {"kind": "report"})
        experiment.client.set_terminated(report)
    stamps.write_stamp(study, root, stamps.Stamp(server, runs, "", experiment.addresses()))
    return experiment.addresses(), f"MLflow: {new} new runs in experiment '{experiment.name}'"


def mirror_report(study: "Study", root: Path, report: Path) -> None:
    """Keep a report's files at its run; its Markdown table is the run's description. Runs are mirrored before."""
    stamp = stamps.read_stamp(study, root)
    digest = series.digest_files(report)
    identity = stamps.identify_report(study)
    if stamp.report == digest or identity not in stamp.addresses:
        return
    database.silence()
    from mlflow import MlflowClient

    with database.lock_database(root):
        client = MlflowClient(database.find_address(root))
        run = stamp.addresses[identity].rsplit("/", 1)[-1]
        for path in series.list_files(report):
            client.log_artifact(run, str(path))
        table = report / "table.md"
        if table.exists():
            client.set_tag(run, "mlflow.note.content", table.read_text()[:5000])
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

    def log(self, run: str, points: Sequence[series.Point]) -> None:
        """Log finite values in batches: one call per value would take milliseconds each."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        values = [Metric(name, value, now, step) for name, value, step in points if math.isfinite(value)]
        for i in range(0, len(values), BATCH):
            self.client.log_batch(run, metrics=values[i : i + BATCH])

    def log_params(self, run: str, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in values.items()]
        for i in range(0, len(params), PARAMS):
            self.client.log_batch(run, params=params[i : i + PARAMS])


def open_experiment(study: "Study", root: Path, commit: str) -> Experiment:
    """The experiment of a study on its data, made or restored where necessary; call it under the lock."""
    database.create_database(root)
    from mlflow import MlflowClient

    client = MlflowClient(database.find_address(root))
    name = f"{study.name}/{study.data}"
    found = client.get_experiment_by_name(name)
    if found is None:
        location = None if database.has_server() else f"{database.locate_artifacts(root)}/{name}"
        tags = {"mlflow.note.content": study.title}
        number = client.create_experiment(name, artifact_location=location, tags=tags)
    else:
        number = str(found.experiment_id)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(number)
    tags = {"study": study.name, "data": study.data, "base": study.base, "commit": commit}
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
    for row in records.study.rows:
        parent = mirror_row(experiment, row, summary.get(row.number, {}))
        mine = [record for record in records.records if record.run.row == row.number and record.training]
        new += sum(mirror_run(experiment, row, record, parent) for record in mine)
    return new


def mirror_row(experiment: Experiment, row: "Row", summary: Mapping[str, float]) -> str:
    """Run of a row, its statistics brought up to date."""
    identity = stamps.identify_row(row)
    found = experiment.known.get(identity)
    if found is None:
        found = experiment.open(identity, f"{row.number} {row.label}", {"row": row.number, "kind": "row"})
        experiment.log_params(found.info.run_id, keys.flat(row.settings))
        published = {column: float(value) for column, value in row.paper.items() if value is not None}
        paper = {f"paper/{series.spell(column)}": value for column, value in published.items()}
        experiment.log(found.info.run_id, series.list_points(paper))
        experiment.client.set_terminated(found.info.run_id)
    changed = {name: value for name, value in summary.items() if found.data.metrics.get(name) != value}
    experiment.log(found.info.run_id, series.list_points(changed))
    return str(found.info.run_id)


def mirror_run(experiment: Experiment, row: "Row", record: "Record", parent: str) -> bool:
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
    addresses = {"key": run.scoring_key, "training_key": run.training_key, "digest": training["digest"]}
    what = {"kind": "seed", "row": run.row, "seed": run.seed, "mlflow.parentRunId": parent}
    outcome = {"status": training["status"], "reason": training.get("reason", ""), "result": version}
    name = f"{row.number} {row.label}, seed {run.seed}"
    opened = experiment.open(identity, name, addresses | what | outcome, start).info.run_id
    flat = keys.flat(run.settings)
    experiment.log_params(opened, flat | {"seed": run.seed})
    experiment.log(opened, series.list_curves(record))
    text = yaml.safe_dump(series.layer(flat), sort_keys=False)  # a layer: it can be given to a study
    experiment.client.log_text(opened, text, "settings.yaml")
    for path in record.files():
        experiment.client.log_artifact(opened, str(path))
    experiment.client.set_terminated(opened, "FINISHED" if training["status"] == "ok" else "FAILED", end)
    return True
