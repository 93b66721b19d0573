"""What a claim of a study rests on: numbers over seeds that should lie above 0, or within a margin of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import isfinite, nan
from typing import TYPE_CHECKING, assert_never

import numpy as np

from harness.claims import statistics as stats
from harness.study.claims import Beats, Extreme, Level, StableWithin

if TYPE_CHECKING:
    from harness.store.records import Records
    from harness.study.claims import AnyClaim

WINDOW = 0.05  # a curve's value at a share of training is its mean over this share of the training before it


@dataclass(frozen=True)
class Evidence:
    """Differences that should lie above 0, one array (n,) per comparison; within ``margin`` of 0 instead, if given."""

    differences: tuple[np.ndarray, ...]
    margin: float | None = None
    unit: str = ""  # what follows a difference in text
    missing: str = ""  # why nothing can be said, e.g. a failed seed


def collect(records: "Records", claim: "AnyClaim") -> Evidence:
    """The evidence on one claim; a row with a failed or missing seed leaves it without."""
    differences = tuple(compare(records, claim))
    missing = records.study.missing or name_gap(records, claim)
    if not missing and any(len(x) == 0 for x in differences):
        missing = "nothing measured"
    margin = claim.stable_within if isinstance(claim, StableWithin) else None
    return Evidence(differences, margin, " to the bound" if isinstance(claim, Level) else "", missing)


def compare(records: "Records", claim: "AnyClaim") -> Iterator[np.ndarray]:
    """The comparisons that a claim makes, each over the seeds that both sides have."""
    match claim:
        case Beats():
            yield pair(records, (claim.row, claim.on), (claim.beats, claim.on))
        case StableWithin():
            for one, other in combinations(claim.rows, 2):
                yield pair(records, (one, claim.on), (other, claim.on))
        case Extreme():
            for other_cell in others(records, claim):
                yield claim.sign * pair(records, (claim.row, claim.columns[0]), other_cell)
        case Level():
            reached = np.array(list(read_curves(records, claim)), float)
            yield claim.sign * (reached - claim.bound)
        case _:
            assert_never(claim)


def pair(records: "Records", ours: tuple[int, str], theirs: tuple[int, str]) -> np.ndarray:
    """Differences between two cells, each a row and a column."""
    return stats.pairs(records.values.get(ours, {}), records.values.get(theirs, {}))


def others(records: "Records", claim: Extreme) -> list[tuple[int, str]]:
    """The cells that an extreme is compared with: further columns of its row, or its column in the other rows."""
    first, *more = claim.columns
    if more:
        return [(claim.row, column) for column in more]
    return [(row.number, first) for row in records.study.rows if row.number != claim.row]


def read_curves(records: "Records", claim: Level) -> Iterator[float]:
    """Value of the claim's curve at its share of training, for each seed that has it."""
    column = next(column for column in records.study.columns if column.name == claim.on)
    for record in records.of(claim.row, claim.on):
        curve = record.curve(column.metric.removeprefix("curve/"))
        if curve is None:
            continue
        steps, values = curve
        shares = steps / record.run.settings.training.steps
        inside = (shares <= claim.by_share + 1e-9) & (shares > claim.by_share - WINDOW)
        if inside.any():
            yield float(values[inside].mean())


def name_gap(records: "Records", claim: "AnyClaim") -> str:
    """Which row of a claim lacks seeds, as 'row 3: 4/5 seeds have a result'; empty where all are there."""
    for row in claim.row_numbers(len(records.study.rows)):
        for column in claim.columns:
            values = records.values.get((row, column), {0: nan})
            good = sum(map(isfinite, values.values()))
            if isinstance(claim, Level):
                good = len(records.of(row, column))
            if good < len(values):
                return f"row {row}: {good}/{len(values)} seeds have a result"
    return ""
