"""A search -> MLflow: a run for the search (report, figures, best.yaml) and a child per trial."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.track import database, series
from harness.track.experiments import Experiment, open_experiment, save_report
from harness.track.pages import find_pages, name_pages

if TYPE_CHECKING:
    from harness.search.findings import Findings
    from harness.search.task import Task


def mirror_search(found: "Findings", root: Path, report: Path, summary: str = "", commit: str = "unknown") -> list[str]:
    """Mirror a search and its trials; a metric's step in a trial's run is the seed.

    ``summary`` (Markdown without tables) describes the search on MLflow's pages. Returns what was done, and where.
    """
    database.silence()
    with database.locked(root):
        experiment = open_experiment(found.task.study, root, commit, "search")
        whole, new = mirror_trials(experiment, found)
        experiment.log(whole, list_compared(found))
        place = experiment.place(whole)
        link = f"\n\n[the report]({place}/artifacts/report.html)"
        save_report(experiment.client, whole, report, summary[: series.NOTE_LENGTH - len(link)] + link)
        experiment.client.set_terminated(whole)
    return [
        f"MLflow: {new} new trials in experiment '{experiment.name}'",
        f"look at it: {name_pages(root)}",
        f"search: {find_pages(root)}/{place}",
    ]


def mirror_trials(experiment: Experiment, found: "Findings") -> tuple[str, int]:
    """Mirror a search's trials; returns its run, and how many of them are new."""
    client, task = experiment.client, found.task
    name = f"search {task.digest()}"
    supervision = "temporal" if task.temporal else "video"
    whole = experiment.find_or_open(name, name, {"kind": "search", "supervision": supervision})
    parent = str(whole.info.run_id)
    new = [trial for trial in found.trials if f"{name} trial {trial['trial']}" not in experiment.known]
    for trial in new:
        tags = {"kind": "trial", "state": trial["state"], "mlflow.parentRunId": parent}
        opened = experiment.open(f"{name} trial {trial['trial']}", f"trial {trial['trial']}", tags).info.run_id
        experiment.log(opened, list_measured(task, trial), {path: trial[path] for path in task.space})
        client.set_terminated(opened, "FAILED" if trial["state"] == "failed" else "FINISHED")
    return parent, len(new)


def list_compared(found: "Findings") -> list[series.Point]:
    """Means of the default and the tuned settings on the test split."""
    out: dict[str, float] = {}
    for line in found.comparison:
        name = series.spell(line.metric)
        out |= {f"default/{name}": line.default.mean, f"tuned/{name}": line.tuned.mean}
    return series.list_points(out)


def list_measured(task: "Task", trial: Mapping[str, Any]) -> list[series.Point]:
    """A trial's metrics, and the same under each seed."""
    out = series.list_points({series.spell(metric): trial.get(metric, math.nan) for metric in task.metrics})
    for metric in task.metrics:
        values = [(seed, trial.get(f"{metric} seed {seed}", math.nan)) for seed in task.seeds]
        out += [(f"seed/{series.spell(metric)}", value, seed) for seed, value in values]
    return out
