"""An experiment of MLflow: the runs of a study on its data, known by identity, and the views saved with it."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.track import database, series, stamps, views

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as Tracked

    from harness.study import Study

BATCH = 1000  # metrics MLflow takes at once
PARAMS = 100  # params MLflow takes at once
NOTE = "mlflow.note.content"  # the tag that MLflow shows as a description
IDENTITY = "mlflow.case.identity"  # the tag that names a run for this package: pages hide those of "mlflow."


@dataclass
class Experiment:
    """A study's experiment in MLflow, and the runs in it by identity."""

    name: str
    number: str
    client: "MlflowClient"
    tags: Mapping[str, str]  # of every run
    known: dict[str, "Tracked"] = field(default_factory=dict)

    def find_or_open(self, identity: str, name: str, tags: Mapping[str, Any], start: int | None = None) -> "Tracked":
        """The run of this identity."""
        return self.known.get(identity) or self.open(identity, name, tags, start)

    def open(self, identity: str, name: str, tags: Mapping[str, Any], start: int | None = None) -> "Tracked":
        """A new run with the tags that every run of this experiment carries; ``start`` in milliseconds."""
        text = {name: str(value) for name, value in tags.items()}
        every = {**self.tags, IDENTITY: identity, **text}
        opened = self.client.create_run(self.number, start_time=start, tags=every, run_name=name)
        self.known[identity] = opened
        return opened

    def end(self, run: "Tracked", end: int | None) -> None:
        """Let a run that stands for several trainings have lasted as long as they did."""
        self.client.set_terminated(run.info.run_id, end_time=end)

    def place(self, run: str) -> str:
        """Where MLflow shows a run, after the address of its pages."""
        return f"#/experiments/{self.number}/runs/{run}"

    def save_views(self, study: "Study") -> str:
        """Save the views of a study's table and seeds; returns where MLflow shows the table."""
        for tag, view in views.list_views(study, int(1000 * time.time())).items():
            self.client.set_experiment_tag(self.number, tag, view)
        return f"#/experiments/{self.number}/runs?viewStateShareKey={quote(views.name_view(study, 'table'))}"

    def log(self, run: str, points: Sequence[series.Point], settings: Mapping[str, Any] | None = None) -> None:
        """Log finite values and settings in as few transactions as MLflow allows: one value each takes milliseconds."""
        from mlflow.entities import Metric, Param

        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, step) for name, value, step in points if math.isfinite(value)]
        params = [Param(name, str(value)) for name, value in (settings or {}).items()]
        while metrics or params:
            self.client.log_batch(run, metrics=metrics[: BATCH - PARAMS], params=params[:PARAMS])
            metrics, params = metrics[BATCH - PARAMS :], params[PARAMS:]


def open_experiment(study: "Study", root: Path, commit: str, command: str = "run") -> Experiment:
    """The experiment of a study on its data, made or restored where necessary; call it under the lock.

    ``command`` of the harness is what its runs say they come from.
    """
    database.create_database(root)
    database.mend_locations(root)
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
    source = {"mlflow.source.name": f"python -m harness.{command} {study.name}", "mlflow.source.type": "LOCAL"}
    tags = {"preset": stamps.name_variant(study), "mlflow.source.git.commit": commit, **source}
    experiment = Experiment(name, number, client, tags)
    experiment.known.update(find_runs(client, number))
    return experiment


def save_report(client: "MlflowClient", run: str, report: Path, note: str) -> None:
    """Give a run the files of a report, and the note to it and to its experiment."""
    for path in series.list_files(report):
        client.log_artifact(run, str(path))
    client.set_tag(run, NOTE, note)
    client.set_experiment_tag(client.get_run(run).info.experiment_id, NOTE, note)


def find_runs(client: "MlflowClient", experiment: str) -> Iterator[tuple[str, "Tracked"]]:
    """(identity, run) of the runs mirrored before; one that still runs was left half-way by its driver and goes.

    The lock is held: no other driver of this folder can be mirroring it now.
    """
    token = None
    while True:
        page = client.search_runs([experiment], max_results=500, page_token=token)
        for run in page:
            identity = run.data.tags.get(IDENTITY)
            if run.info.status == "RUNNING":
                client.delete_run(run.info.run_id)
            elif identity:
                yield identity, run
        token = page.token
        if not token:
            return
