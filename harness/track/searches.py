"""A search -> MLflow: a run for the search (report, figures, best.yaml) and a child per trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.track import database, series
from harness.track.experiments import NOTE, Experiment, open_experiment
from harness.track.pages import find_pages, name_pages

if TYPE_CHECKING:
    from harness.search.findings import Findings
    from harness.search.task import Task


def mirror_search(found: "Findings", root: Path, report: Path, commit: str = "unknown") -> list[str]:
    """Mirror a search and its trials; a metric's step in a trial's run is the seed. Returns what was done, where."""
    database.silence()
    with database.locked(root):
        experiment = open_experiment(found.task.study, root, commit, "search")
        whole, new = mirror_trials(experiment, found, report)
    return [
        f"MLflow: {new} new trials in experiment '{experiment.name}'",
        f"look at it: {name_pages(root)}",
        f"search: {find_pages(root)}/{experiment.place(whole)}",
    ]


def mirror_trials(experiment: Experiment, found: "Findings", report: Path) -> tuple[str, int]:
    """Mirror what a search found; returns its run, and how many trials are new."""
    client, task = experiment.client, found.task
    name = f"search {task.digest()}"
    whole = experiment.find_or_open(name, name, {"kind": "search", "supervision": task.temporal})
    parent = str(whole.info.run_id)
    new = [trial for trial in found.trials if f"{name} trial {trial['trial']}" not in experiment.known]
    for trial in new:
        tags = {"kind": "trial", "state": trial["state"], "mlflow.parentRunId": parent}
        opened = experiment.open(f"{name} trial {trial['trial']}", f"trial {trial['trial']}", tags).info.run_id
        experiment.log(opened, list_measured(task, trial), {path: trial[path] for path in task.space})
        client.set_terminated(opened, "FAILED" if trial["state"] == "failed" else "FINISHED")
    for path in series.list_files(report):
        client.log_artifact(parent, str(path))
    client.set_tag(parent, NOTE, (report / "report.md").read_text()[:5000])
    client.set_terminated(parent)
    return parent, len(new)


def list_measured(task: "Task", trial: Mapping[str, Any]) -> list[series.Point]:
    """A trial's metrics, and the same under each seed."""
    out = series.list_points({series.spell(metric): trial.get(metric, math.nan) for metric in task.metrics})
    for metric in task.metrics:
        values = [(seed, trial.get(f"{metric} seed {seed}", math.nan)) for seed in task.seeds]
        out += [(f"seed/{series.spell(metric)}", value, seed) for seed, value in values]
    return out
