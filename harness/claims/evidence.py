"""What a claim of a study rests on: numbers over seeds that should lie above 0, or within a margin of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from math import isfinite, nan
from typing import TYPE_CHECKING, assert_never

import numpy as np

from harness.study.claims import Beats, Extreme, Level, Pairs, StableWithin
from harness.study.metrics import CURVE

if TYPE_CHECKING:
    from harness.store.records import Records
    from harness.study.claims import AnyClaim


@dataclass(frozen=True)
class Evidence:
    """Differences that should lie above 0, one array per comparison; within ``within`` of 0 instead, if given.

    The n-th value of each array is that of seed n, NaN where the seed has no result.
    """

    differences: tuple[np.ndarray, ...]
    within: float | None = None
    margin: float | None = None  # an effect below it is smaller than claimed
    unit: str = ""  # what follows a difference in text

    @property
    def n(self) -> int:
        """Seeds 0 .. n-1 that every comparison has; a look at n seeds is a look at just these."""
        return min((int(np.isfinite(x).cumprod().sum()) for x in self.differences), default=0)

    def first(self, n: int) -> "Evidence":
        """The evidence of the first n seeds."""
        return replace(self, differences=tuple(x[:n] for x in self.differences))

    def finite(self) -> "Evidence":
        """All that was measured, whichever seeds are missing: to be shown, not to be judged."""
        return replace(self, differences=tuple(x[np.isfinite(x)] for x in self.differences))


def collect(records: "Records", claim: "AnyClaim") -> Evidence:
    """The evidence on one claim."""
    evidence = Evidence(tuple(compare(records, claim)))
    match claim:
        case StableWithin():
            return replace(evidence, within=claim.stable_within)
        case Beats():
            return replace(evidence, margin=claim.least)
        case Level():
            return replace(evidence, unit=" to the bound")
    return evidence


def compare(records: "Records", claim: "AnyClaim") -> Iterator[np.ndarray]:
    """The comparisons that a claim makes, each over seeds."""
    match claim:
        case Beats():
            yield subtract(records, (claim.row, claim.on), (claim.beats, claim.on))
        case Pairs():
            gains = [subtract(records, (row, claim.on), (partner, claim.on)) for row, partner in claim.pairs]
            common = min(map(len, gains))
            yield from [np.mean([gain[:common] for gain in gains], 0)] if claim.on_average else gains
        case StableWithin():
            for one, other in combinations(claim.rows, 2):
                yield subtract(records, (one, claim.on), (other, claim.on))
        case Extreme():
            for other_cell in others(records, claim):
                yield claim.sign * subtract(records, (claim.row, claim.columns[0]), other_cell)
        case Level():
            yield claim.sign * (by_seed(read_curves(records, claim)) - claim.bound)
        case _:
            assert_never(claim)


def subtract(records: "Records", ours: tuple[int, str], theirs: tuple[int, str]) -> np.ndarray:
    """Differences between two cells, each a row and a column, seed by seed."""
    mine, other = by_seed(records.values.get(ours, {})), by_seed(records.values.get(theirs, {}))
    both = min(len(mine), len(other))
    return mine[:both] - other[:both]


def by_seed(values: Mapping[int, float]) -> np.ndarray:
    """Values of seeds 0, 1, ...; NaN for a seed without."""
    return np.array([values.get(seed, nan) for seed in range(max(values, default=-1) + 1)], float)


def others(records: "Records", claim: Extreme) -> list[tuple[int, str]]:
    """The cells that an extreme is compared with: further columns of its row, or its column in the other rows."""
    first, *more = claim.columns
    if more:
        return [(claim.row, column) for column in more]
    return [(row.number, first) for row in records.study.rows if row.number != claim.row]


def read_curves(records: "Records", claim: Level) -> dict[int, float]:
    """Value of the claim's curve at its share of training, for each seed that has it."""
    column = next(column for column in records.study.columns if column.name == claim.on)
    reached = {}
    for record in records.of(claim.row, claim.on):
        value = record.level(column.metric.removeprefix(CURVE), claim.by_share)
        if isfinite(value):
            reached[record.run.seed] = value
    return reached


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
