"""What a search found: its trials, the winner, and the honest comparison of winner and default on the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite, nan
from typing import Any, Literal

import numpy as np

from harness.claims import statistics as stats
from harness.search.task import MEASURED, Task
from harness.search.trials import Measurement, Trial
from harness.study import keys
from harness.study.metrics import find_metric

COMPARED = ("map/avg", "video_map", "acc")  # on the test split
HEADLINE = "map/avg"  # decides
BySeed = Mapping[int, Measurement]


@dataclass(frozen=True)
class Findings:
    """All that a report says. ``best`` is the winner; ``front`` and ``importances`` as ``proposals`` reads them."""

    task: Task
    done: Sequence[Trial]
    best: Trial
    validation: BySeed  # the default settings on held-out videos, under the search's seeds
    default: BySeed  # on the test split, fresh seeds
    tuned: BySeed  # the winner's settings there
    front: Sequence[int] = ()
    importances: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """A line per trial, as trials.csv has it."""
        return [describe_trial(self.task, trial) for trial in self.done]

    @cached_property
    def comparison(self) -> "list[Comparison]":
        """Default and winner on the test split, per metric."""
        return [compare(name, self.default, self.tuned) for name in COMPARED]

    @property
    def headline(self) -> "Comparison":
        """The comparison that decides."""
        return next(line for line in self.comparison if line.metric == HEADLINE)

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """Tuned settings: (path, default, best)."""
        default = keys.flat(self.task.default)
        return [(path, str(default.get(path, "")), show(value)) for path, value in self.best.values.items()]

    @cached_property
    def influence(self) -> list[tuple[str, float, float]]:
        """Importance of each setting: mean over seeds and half of its 95 % interval (NaN for one seed)."""
        spread = {path: stats.difference(np.asarray(shares, float)) for path, shares in self.importances.items()}
        return [(path, d.delta, (d.high - d.low) / 2) for path, d in spread.items()]


@dataclass(frozen=True)
class Comparison:
    """A metric of default and winner: summaries over seeds, and the difference paired by seed."""

    metric: str
    default: stats.Summary
    tuned: stats.Summary
    difference: stats.Difference


def compare(metric: str, default: BySeed, tuned: BySeed) -> Comparison:
    """Summaries and paired difference (tuned - default) of one metric."""
    theirs, ours = read_metric(default, metric), read_metric(tuned, metric)
    paired = stats.difference(stats.pairs(ours, theirs))
    return Comparison(metric, stats.summary([*theirs.values()]), stats.summary([*ours.values()]), paired)


def read_metric(runs: BySeed, name: str) -> dict[int, float]:
    """seed -> value; NaN where a run has none."""
    return {seed: float(measured.values.get(name, nan)) for seed, measured in runs.items()}


def average(runs: BySeed, name: str) -> float:
    return stats.summary([*read_metric(runs, name).values()]).mean


def show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def name_metric(name: str) -> str:
    """A metric in words: 'video mAP', 'mAP', 'mAP 0.50'."""
    metric = find_metric(name)
    words = (metric.printed if metric else name).replace("_", " ")
    _, _, of = name.partition("/")
    return words if of in {"", "avg"} else f"{words} {of}"


def choose_winner(task: Task, trials: Sequence[Trial]) -> Trial | None:
    """The complete, feasible trial with the best first objective; the earlier one on a tie."""
    sign = 1 if task.objectives[0].direction == "maximize" else -1
    able = [trial for trial in trials if trial.state == "complete" and trial.feasible]
    return max(able, key=lambda trial: (sign * trial.objectives[0], -trial.number), default=None)


def describe_trial(task: Task, trial: Trial) -> dict[str, Any]:
    """A line of trials.csv: neither times nor identifiers; objectives that differ from call to call are left out."""
    line: dict[str, Any] = {"trial": trial.number, "state": trial.state}
    for i, name in enumerate(task.metrics):
        if name in MEASURED:
            continue
        line[name] = trial.objectives[i] if trial.objectives else nan
        line |= {f"{name} seed {s}": nan for s in task.seeds}
        line |= {f"{name} seed {s}": value for s, value in zip(task.seeds, trial.seeds[i])}
    return line | dict(trial.values) | {"reason": trial.reason}


Outcome = Literal["better", "worse", "no difference", "undecided", "not judged"]


def decide(found: Findings) -> Outcome:
    """Is the tuned setting really better? Its paired interval on the test split says so."""
    d = found.headline.difference
    if d.n < len(found.task.fresh) or not isfinite(d.low):
        return "undecided"
    if found.task.study.quick:
        return "not judged"
    if d.low > 0:
        return "better"
    return "worse" if d.high < 0 else "no difference"


def word_verdict(found: Findings) -> str:
    """The outcome in one sentence."""
    d, outcome = found.headline.difference, decide(found)
    span = f"{d.delta:+.2f} mAP on test, 95 % interval [{d.low:.2f}, {d.high:.2f}], {d.n} fresh seeds, paired"
    sentences: Mapping[Outcome, str] = {
        "undecided": f"Not decided: {d.n} of {len(found.task.fresh)} fresh seeds have a result for both settings.",
        "not judged": f"Not judged at tiny scale, which checks mechanics: {span}.",
        "better": f"The tuned settings are better than the default: {span}.",
        "worse": f"The tuned settings are WORSE than the default: {span}. "
        "What they gained on validation did not carry over.",
        "no difference": f"No difference to the default can be told: {span}. The gain on validation is not confirmed.",
    }
    return sentences[outcome]
