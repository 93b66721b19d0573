"""The table of metrics: what can be measured, how it is printed, what it needs, and which file of a run holds it.

A metric is added here and where it is written: ``harness.compute.score`` (result) or ``train`` (training, curves).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CURVE = "curve/"  # curve/NAME: the value of a training curve at its end
RANGES: Mapping[str, tuple[float, float, int]] = {  # first and last tIoU, and how many, of the usual averages
    "0.1:0.5": (0.1, 0.5, 5),
    "0.3:0.7": (0.3, 0.7, 5),
    "0.1:0.7": (0.1, 0.7, 7),
    "0.5:0.95": (0.5, 0.95, 10),
}


@dataclass(frozen=True)
class Metric:
    """One metric, or several alike where ``pattern`` is a regular expression; ``name`` is one of them."""

    name: str
    printed: str  # what trackers call it, up to the first "/"
    unit: Literal["%", "nats", "s", "GB", ""]
    temporal: bool  # needs temporal annotations of the videos on which it is measured
    held_in: Literal["result", "training", "curves"] = "result"  # file of a run
    pattern: str = ""

    @property
    def digits(self) -> int:
        """Digits behind the point in a table."""
        return 1 if self.unit == "%" else 2

    def covers(self, name: str) -> bool:
        return bool(re.fullmatch(self.pattern, name)) if self.pattern else name == self.name


METRICS: tuple[Metric, ...] = (
    Metric("map/avg", "mAP", "%", temporal=True),  # over the tIoU of metrics.tiou
    *(Metric(f"map/{name}", "mAP", "%", temporal=True) for name in RANGES),
    Metric("map/0.50", "mAP", "%", temporal=True, pattern=r"map/[01]\.\d\d"),
    Metric("video_map", "video_mAP", "%", temporal=False),
    Metric("acc", "ACC", "%", temporal=True),  # of the attention that testing uses
    *(Metric(f"acc/{of}", "ACC", "%", temporal=True) for of in ("attention", "clusters", "fused", "majority")),
    Metric("auc", "AUC", "%", temporal=True),
    *(Metric(f"auc/{of}", "AUC", "%", temporal=True) for of in ("attention", "clusters", "fused")),
    *(Metric(f"entropy/{of}", "entropy", "nats", temporal=False) for of in ("P_C", "mean_P_C", "Q_C", "Q_R")),
    Metric("seconds", "seconds", "s", temporal=False, held_in="training"),
    Metric("memory_gb", "memory_gb", "GB", temporal=False, held_in="training"),
    Metric("curve/NAME", "curve", "", temporal=False, held_in="curves", pattern=r"curve/.+"),
)
CURVES: tuple[str, ...] = (  # beside the metrics above, which are curves over the evaluations
    *("loss", "loss/clusters", "loss/classes"),
    *(f"P_A/{of}" for of in ("min", "mean", "max", "selected", "unselected")),
    "Q_A/share",
    *(f"Q_R/{of}" for of in ("min", "mean", "max")),
    *(f"Q_C/{of}" for of in ("min", "mean", "max")),
    *(f"{what}/{of}" for what in ("marginal_error", "iterations") for of in ("Q_C", "Q_R")),
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
    metric = find_metric(name)
    return name in CURVES or name.startswith(OWN_LOSS) or (metric is not None and metric.held_in == "result")
