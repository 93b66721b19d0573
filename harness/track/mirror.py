"""Run store -> MLflow, for people to browse. The only file that imports mlflow, and late: it takes seconds.

One experiment per study and data set; a run per row, with a child per seed; a run that holds the report. Only the
driver calls this, under a file lock. What is mirrored already is recognised by its ``identity`` and ``result`` tags.
"""

import logging
import math
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock

from harness.store import files, results
from harness.study import keys
from harness.track import series

if TYPE_CHECKING:
    from mlflow.entities import Run as Tracked

    from harness.search.findings import Findings
    from harness.study import Row, Run, Study

BATCH = 1000  # metrics MLflow takes at once
PARAMS = 100  # params MLflow takes at once


def address(root: Path) -> str:
    """Where runs are tracked: ``MLFLOW_TRACKING_URI`` when set, else the database of ``root``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').resolve()}"


def quiet() -> None:
    """No telemetry, no migration chatter; set before mlflow is imported."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # a server that is down costs seconds, not minutes
    logging.getLogger("alembic").setLevel(logging.WARNING)


def create(root: Path) -> None:
    """Make ``root``/mlflow.db where it is missing: migrated in a temporary file, then renamed, so that it is whole."""
    path = root / "mlflow.db"
    if path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with files.landing(path) as temporary:
        store: Any = SqlAlchemyStore  # untyped
        store(f"sqlite:///{temporary.resolve()}", artifacts(root)).engine.dispose()
        with closing(sqlite3.connect(temporary)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # readers (the UI) and this writer do not wait for each other


def artifacts(root: Path) -> str:
    return (root / "artifacts").resolve().as_uri()


def mirror(
    study: "Study",
    root: Path,
    report: Path | None = None,
    commit: str = "unknown",
    rewrite: Callable[[], object] | None = None,
) -> str:
    """Bring MLflow up to date with ``study``; returns what was done. Nothing new: mlflow is not even imported.

    ``rewrite`` writes the folder ``report`` again once the runs are mirrored, as its page links to them.
    """
    stamp = root / "reports" / ".mirrored" / f"{study.name}-{study.data}-{study.base}.json"
    there = bool(os.environ.get("MLFLOW_TRACKING_URI")) or (root / "mlflow.db").exists()
    if files.read_json(stamp) == state(study, root, report) and there:
        return "MLflow is up to date"
    quiet()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "mlflow.lock"):
        if "MLFLOW_TRACKING_URI" not in os.environ:
            create(root)
        tracked = Mirror(study, root, commit)
        new = tracked.runs()
        if rewrite:
            rewrite()
        if report:
            tracked.report(report)
    files.write_json(stamp, state(study, root, report))
    return f"MLflow: {new} new runs in experiment '{tracked.name}'"


def mirror_search(found: "Findings", root: Path, report: Path, commit: str = "unknown") -> str:
    """A run per search (report, figures, best.yaml) with a child per trial; a metric's step in a child is the seed."""
    quiet()
    with FileLock(root / "mlflow.lock"):
        if "MLFLOW_TRACKING_URI" not in os.environ:
            create(root)
        tracked = Mirror(found.task.study, root, commit)
        new = tracked.search(found, report)
    return f"MLflow: {new} new trials in experiment '{tracked.name}'"


def state(study: "Study", root: Path, report: Path | None) -> dict[str, str]:
    """What is tracked and where, as digests."""
    return {"address": keys.digest(address(root)), "content": series.content(study, root, report)}


@dataclass
class Mirror:
    """One study on its way into one MLflow experiment."""

    study: "Study"
    root: Path
    commit: str

    def __post_init__(self) -> None:
        from mlflow import MlflowClient

        self.client: MlflowClient = MlflowClient(address(self.root))
        self.experiment = self._experiment()
        self.known = self._known()

    def runs(self) -> int:
        """Mirror rows and their seeds; returns how many seeds are new."""
        new = 0
        summary = series.summary(self.study, self.root)
        for row in self.study.rows:
            parent = self._row(row, summary.get(row.number, {}))
            for run in self.study.runs:
                if run.row == row.number and (stamp := series.version(self.root, run)):
                    new += self._run(row, run, parent, stamp)
        return new

    @property
    def name(self) -> str:
        return f"{self.study.name}/{self.study.data}"

    def _experiment(self) -> str:
        """Identifier of this study's experiment on this data, made or restored where necessary."""
        found = self.client.get_experiment_by_name(self.name)
        if found is None:
            location = None if "MLFLOW_TRACKING_URI" in os.environ else f"{artifacts(self.root)}/{self.name}"
            tags = {"mlflow.note.content": self.study.title}
            return self.client.create_experiment(self.name, artifact_location=location, tags=tags)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _known(self) -> dict[str, "Tracked"]:
        """Runs mirrored before, by identity. A run whose driver died half-way (still RUNNING) is removed."""
        known: dict[str, Tracked] = {}
        for run in self._pages():
            if run.info.status == "RUNNING" and orphaned(run.data.tags):
                self.client.delete_run(run.info.run_id)
            elif identity := run.data.tags.get("identity"):
                known[identity] = run
        return known

    def _pages(self) -> Iterator["Tracked"]:
        token = None
        while True:
            page = self.client.search_runs([self.experiment], max_results=500, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _open(self, identity: str, name: str, tags: Mapping[str, Any], start: int | None = None) -> "Tracked":
        """A new run with the tags that every run of this mirror carries."""
        common = {"study": self.study.name, "data": self.study.data, "base": self.study.base, "commit": self.commit}
        driver = {"identity": identity, "driver": f"{socket.gethostname()} {os.getpid()}"}
        text = {name: str(value) for name, value in (common | driver | dict(tags)).items()}
        return self.client.create_run(self.experiment, start_time=start, tags=text, run_name=name)

    def _row(self, row: "Row", summary: Mapping[str, float]) -> str:
        """Run of a row, its statistics brought up to date. Other settings under the same number are another run."""
        flat = keys.flat(row.settings)
        identity = f"row {row.number} {keys.digest(flat)}"
        found = self.known.get(identity)
        if found is None:
            found = self._open(identity, f"{row.number} {row.label}", {"row": row.number, "kind": "row"})
            self._params(found.info.run_id, flat)
            paper = {f"paper/{series.legal(c)}": float(value) for c, value in row.paper.items() if value is not None}
            self._log(found.info.run_id, points_of(paper))
            self.client.set_terminated(found.info.run_id)
        changed = {k: v for k, v in summary.items() if found.data.metrics.get(k) != v}
        self._log(found.info.run_id, points_of(changed))
        return str(found.info.run_id)

    def _run(self, row: "Row", run: "Run", parent: str, stamp: str) -> bool:
        """Child run of one seed; False when this result is mirrored already, an older result of it is replaced."""
        identity = f"run {run.row} {run.seed} {run.scoring_key}"
        if (old := self.known.get(identity)) is not None:
            if old.data.tags.get("result") == stamp:
                return False
            self.client.delete_run(old.info.run_id)
        training = results.read_training(self.root, run.training_key) or {}
        end = int(datetime.fromisoformat(training["finished"]).timestamp() * 1000)
        start = end - int(1000 * training.get("seconds", {}).get("total", 0))
        addresses = {"key": run.scoring_key, "training_key": run.training_key, "digest": training["digest"]}
        what = {"kind": "seed", "row": run.row, "seed": run.seed, "mlflow.parentRunId": parent}
        tags = addresses | what | {"status": training["status"], "reason": training.get("reason", ""), "result": stamp}
        opened = self._open(identity, f"{row.number} {row.label}, seed {run.seed}", tags, start).info.run_id
        flat = keys.flat(run.settings)
        self._params(opened, flat | {"seed": run.seed})
        self._log(opened, series.points(self.root, run))
        self._files(opened, run, flat)
        self.client.set_terminated(opened, "FINISHED" if training["status"] == "ok" else "FAILED", end)
        return True

    def _files(self, run_id: str, run: "Run", flat: Mapping[str, Any]) -> None:
        """settings.yaml (a layer: it can be given to a study), predictions.json; the log of a run that failed."""
        self.client.log_text(run_id, yaml.safe_dump(series.layer(flat), sort_keys=False), "settings.yaml")
        folder = results.training_folder(self.root, run.training_key)
        predictions = folder / run.scoring_key / "predictions.json"
        for path in [predictions] if predictions.exists() else [folder / "log.txt"]:
            if path.exists():
                self.client.log_artifact(run_id, str(path))

    def report(self, report: Path) -> None:
        """The report's tables and figures; its Markdown table is the run's description."""
        identity = f"report {self.study.base}"
        found = self.known.get(identity) or self._open(identity, f"report ({self.study.base})", {"kind": "report"})
        run_id = found.info.run_id
        for path in series.files(report):
            self.client.log_artifact(run_id, str(path))
        if (table := report / "table.md").exists():
            self.client.set_tag(run_id, "mlflow.note.content", table.read_text()[:5000])
        self.client.set_terminated(run_id)

    def search(self, found: "Findings", report: Path) -> int:
        """Mirror a search and its trials; returns how many trials are new."""
        task, new = found.task, 0
        name = f"search {task.digest()}"
        run = self.known.get(name) or self._open(name, name, {"kind": "search", "supervision": task.temporal})
        parent = run.info.run_id
        for line in found.trials:
            identity = f"{name} trial {line['trial']}"
            if identity in self.known:
                continue
            tags = {"kind": "trial", "state": line["state"], "mlflow.parentRunId": parent}
            child = self._open(identity, f"trial {line['trial']}", tags).info.run_id
            self._params(child, {path: line[path] for path in task.space})
            means = points_of({series.legal(metric): line.get(metric, math.nan) for metric in task.metrics})
            seeds = [
                (metric, seed, line.get(f"{metric} seed {seed}", math.nan))
                for metric in task.metrics
                for seed in task.seeds
            ]
            self._log(child, [*means, *((f"seed/{series.legal(m)}", value, seed) for m, seed, value in seeds)])
            self.client.set_terminated(child, "FAILED" if line["state"] == "failed" else "FINISHED")
            new += 1
        for path in series.files(report):
            self.client.log_artifact(parent, str(path))
        self.client.set_tag(parent, "mlflow.note.content", (report / "report.md").read_text()[:5000])
        self.client.set_terminated(parent)
        return new

    def _params(self, run_id: str, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in values.items()]
        for i in range(0, len(params), PARAMS):
            self.client.log_batch(run_id, params=params[i : i + PARAMS])

    def _log(self, run_id: str, points: Sequence[series.Point]) -> None:
        """Log finite values in batches: one call per value would take milliseconds each."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        values = [Metric(name, value, now, step) for name, value, step in points if math.isfinite(value)]
        for i in range(0, len(values), BATCH):
            self.client.log_batch(run_id, metrics=values[i : i + BATCH])


def points_of(values: Mapping[str, float]) -> list[series.Point]:
    return [(name, value, 0) for name, value in values.items()]


def orphaned(tags: Mapping[str, str]) -> bool:
    """Whether the driver that opened a run is gone: on this machine, and not alive (or this very process)."""
    host, _, number = tags.get("driver", "").rpartition(" ")
    if host != socket.gethostname() or not number.isdigit():
        return False
    if int(number) == os.getpid():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
