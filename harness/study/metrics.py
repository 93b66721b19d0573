"""The table of metrics: what can be measured, how it is printed, what it needs, and which file of a run holds it.

A metric is added here and where it is written: ``harness.compute.score`` (result) or ``train`` (training, curves).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CURVE = "curve/"  # curve/NAME: the value of a training curve at its end
RANGES: Mapping[str, tuple[float, float, int]] = {  # first and last tIoU, and how many, of the usual averages
    "0.1:0.5": (0.1, 0.5, 5),
    "0.3:0.7": (0.3, 0.7, 5),
    "0.1:0.7": (0.1, 0.7, 7),
    "0.5:0.95": (0.5, 0.95, 10),
}


Unit = Literal["%", "nats", "s", "GB", ""]


@dataclass(frozen=True)
class Metric:
    """One metric, or several alike where ``pattern`` is a regular expression; ``name`` is one of them."""

    name: str
    printed: str  # what trackers call it, up to the first "/"
    unit: Unit
    temporal: bool  # needs temporal annotations of the videos on which it is measured
    held_in: Literal["result", "training", "curves"] = "result"  # file of a run
    pattern: str = ""

    @property
    def digits(self) -> int:
        """Digits behind the point in a table."""
        return 1 if self.unit == "%" else 2

    def covers(self, name: str) -> bool:
        return bool(re.fullmatch(self.pattern, name)) if self.pattern else name == self.name


def list_metrics(names: Iterable[str], printed: str, unit: Unit, temporal: bool) -> tuple[Metric, ...]:
    """Metrics that differ by name alone."""
    return tuple(Metric(name, printed, unit, temporal) for name in names)


def join_names(head: str, *tails: str) -> list[str]:
    return [f"{head}/{tail}" for tail in tails]


METRICS: tuple[Metric, ...] = (
    Metric("map/avg", "mAP", "%", temporal=True),  # over the tIoU of metrics.tiou
    *list_metrics(join_names("map", *RANGES), "mAP", "%", temporal=True),
    Metric("map/0.50", "mAP", "%", temporal=True, pattern=r"map/[01]\.\d\d"),
    Metric("video_map", "video_mAP", "%", temporal=False),
    Metric("acc", "ACC", "%", temporal=True),  # of the attention that testing uses
    *list_metrics(join_names("acc", "attention", "clusters", "fused", "majority"), "ACC", "%", temporal=True),
    Metric("auc", "AUC", "%", temporal=True),
    *list_metrics(join_names("auc", "attention", "clusters", "fused"), "AUC", "%", temporal=True),
    Metric("mean/stream/1", "mean_P_A", "", temporal=False, pattern=r"mean/stream/\d+"),  # P^A of the n-th stream
    Metric("auc/stream/1", "AUC", "%", temporal=True, pattern=r"auc/stream/\d+"),
    *list_metrics(join_names("entropy", "P_C", "mean_P_C", "Q_C", "Q_R"), "entropy", "nats", temporal=False),
    Metric("seconds", "seconds", "s", temporal=False, held_in="training"),
    Metric("memory_gb", "memory_gb", "GB", temporal=False, held_in="training"),
    Metric("curve/NAME", "curve", "", temporal=False, held_in="curves", pattern=r"curve/.+"),
)
CURVES: tuple[str, ...] = (  # of each training step; the other metrics above are curves over the evaluations
    *("loss", "loss/clusters", "loss/classes"),
    *join_names("P_A", "min", "mean", "max", "selected", "unselected", "agreement"),
    "Q_A/share",
    *join_names("Q_R", "min", "mean", "max"),
    *join_names("Q_C", "min", "mean", "max"),
    *join_names("marginal_error", "Q_C", "Q_R"),
    *join_names("iterations", "Q_C", "Q_R"),
    *join_names("entropy", "Q_C", "Q_R"),
)
OWN_LOSS = "loss/"  # further loss terms are named by the baselines


def find_metric(name: str) -> Metric | None:
    """The metric of this name."""
    return next((metric for metric in METRICS if metric.covers(name)), None)


def is_percent(name: str) -> bool:
    metric = find_metric(name)
    return metric is not None and metric.unit == "%"


def list_names(*held_in: str) -> list[str]:
    """Names of the metrics in these files, one for each pattern."""
    return [metric.name for metric in METRICS if metric.held_in in held_in]


def is_curve(name: str) -> bool:
    """Whether a training leaves a curve of this name."""
    return name in CURVES or name.startswith(OWN_LOSS) or is_evaluated(name)


def is_evaluated(name: str) -> bool:
    """Whether a curve of this name has a value for each evaluation, not for each training step."""
    metric = find_metric(name)
    return metric is not None and metric.held_in == "result" and name not in CURVES
