"""Whether training has come to rest: the slope of each row's loss and label entropies over the last tenth.

A table compares rows fairly only where all of them have settled; otherwise it tells who is faster. The check looks at
what training itself sees, never at test numbers, so that steps and learning rate can be chosen by it blind to what any
row gains.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from harness.store.records import Records

CURVES = ("loss", "entropy/Q_C", "entropy/Q_R")
LAST_SHARE = 0.1
LEAST_STEPS = 3  # of a line with a standard error
ROUNDING = 1e-12
BOUND = 0.02  # of the curve's way since the start, over the last tenth


@dataclass(frozen=True)
class Drift:
    """How far a row's curve still moves over the last tenth, as a share of its way so far, with two standard errors."""

    row: int
    curve: str
    change: float
    error: float

    @property
    def moves(self) -> bool:
        """Whether the change is beyond the bound, and not by the noise of batches."""
        return abs(self.change) - self.error > BOUND


def measure_drift(records: "Records") -> list[Drift]:
    """The drift of each row and curve, averaged over the seeds that are there."""
    rows = [row.number for row in records.study.rows]
    found = [(row, name, list(read_curve(records, row, name))) for row in rows for name in CURVES]
    return [fit_drift(row, name, np.array(curves)) for row, name, curves in found if curves]


def read_curve(records: "Records", row: int, name: str) -> Iterator[np.ndarray]:
    """A curve of each seed, step by step; those of one length, since a study has one number of steps."""
    for record in records.of(row):
        if name in record.curves:
            yield np.asarray(record.curves[name], float)


def fit_drift(row: int, name: str, curves: np.ndarray) -> Drift:
    """Straight line through the last tenth of the mean over seeds (n, steps); the way is from the first tenth to it.

    NaN where there are too few steps for a line.
    """
    mean = curves.mean(0)
    last = max(LEAST_STEPS, round(LAST_SHARE * len(mean)))
    if len(mean) < last:
        return Drift(row, name, nan, nan)
    start, end = mean[:last], mean[-last:]
    line = stats.linregress(np.arange(last), end)
    way = max(abs(start.max() - end.mean()), abs(start.min() - end.mean()))
    if way <= ROUNDING * max(1.0, float(abs(mean).max())):
        return Drift(row, name, 0.0, 0.0)
    return Drift(row, name, float(line.slope * last / way), float(2 * line.stderr * last / way))


def describe_drift(records: "Records") -> list[str]:
    """A note on how flat the curves are, and one on each row that still moves."""
    drifts = [drift for drift in measure_drift(records) if np.isfinite(drift.change)]
    if not drifts:
        return []
    largest = max(drifts, key=lambda drift: abs(drift.change))
    name = f"row {largest.row}, {largest.curve}"
    out = [f"Over the last tenth of training a curve moves by {abs(largest.change):.1%} of its way at most ({name})."]
    for row in dict.fromkeys(drift.row for drift in drifts if drift.moves):
        moved = [f"{d.curve} by {d.change:+.1%}" for d in drifts if d.row == row and d.moves]
        out.append(f"Row {row} still moves: {', '.join(moved)}; what is said of it may change with more steps.")
    return out
