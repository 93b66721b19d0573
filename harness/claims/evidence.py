"""What a claim of a study rests on: numbers over seeds that should lie above 0, or within a margin of it.

A claim is a mapping; the key that names its kind (``KINDS``) decides how its evidence is collected.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.claims import statistics as stats

if TYPE_CHECKING:
    from harness.store.records import Records
    from harness.study import Study

WINDOW = 0.05  # a curve's value at a share of training is its mean over this share of the training before it

Claim = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """Differences that should lie above 0, one array (n,) per comparison; within ``margin`` of 0 instead, if given."""

    differences: tuple[np.ndarray, ...]
    asserted: str
    margin: float | None = None
    unit: str = ""  # what follows a difference in text
    missing: str = ""  # why nothing can be said, e.g. a failed seed


class Built(NamedTuple):
    """What a kind of claim makes: its comparisons, what they assert, the margin of a claim of stability."""

    differences: list[np.ndarray]
    asserted: str
    margin: float | None = None
    unit: str = ""


def collect(records: "Records", claim: Claim) -> Evidence:
    """The evidence on one claim; a row with a failed or missing seed leaves it without."""
    kind = next(kind for kind in KINDS if kind in claim)
    built = KINDS[kind](records, claim)
    missing = records.study.missing or gaps(records, claim)
    if not missing and any(len(x) == 0 for x in built.differences):
        missing = "nothing measured"
    return Evidence(tuple(built.differences), built.asserted, built.margin, built.unit, missing)


def gaps(records: "Records", claim: Claim) -> str:
    """Which row of a claim lacks seeds, as 'row 3: 4/5 seeds'; empty where all are there."""
    for row in rows_of(records.study, claim):
        for column in columns_of(claim):
            values = records.values.get((row, column), {0: nan})
            good = sum(map(isfinite, values.values()))
            if "below" in claim or "above" in claim:
                good = len(records.of(row, column))
            if good < len(values):
                return f"row {row}: {good}/{len(values)} seeds have a result"
    return ""


def rows_of(study: "Study", claim: Claim) -> tuple[int, ...]:
    """Rows that a claim speaks of: those it names, or all where it calls one the highest or lowest of them."""
    if any(len(claim.get(kind, ())) == 1 for kind in ("highest_on", "lowest_on")):
        return tuple(row.number for row in study.rows)
    named = [claim[key] for key in ("row", "beats") if key in claim]
    return tuple(dict.fromkeys([*named, *claim.get("rows", ())]))


def columns_of(claim: Claim) -> list[str]:
    """Columns that a claim speaks of."""
    return [claim["on"]] if "on" in claim else list(claim.get("highest_on") or claim.get("lowest_on") or [])


def beats(records: "Records", claim: Claim) -> Built:
    """Row above another row on a column."""
    row, other, on = claim["row"], claim["beats"], claim["on"]
    by = f" by {claim['by']:g}" if "by" in claim else ""
    x = stats.pairs(records.values.get((row, on), {}), records.values.get((other, on), {}))
    return Built([x], f"row {row} beats row {other} on {on}{by}")


def stable(records: "Records", claim: Claim) -> Built:
    """Each two of the rows within a margin of each other."""
    rows, on, margin = claim["rows"], claim["on"], float(claim["stable_within"])
    twos = [(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :]]
    xs = [stats.pairs(records.values.get((a, on), {}), records.values.get((b, on), {})) for a, b in twos]
    return Built(xs, f"rows {', '.join(map(str, rows))} agree within {margin:g} on {on}", margin)


def extreme(sign: int, word: str) -> Any:
    """One column: the row is extreme among all rows. Several: within the row, the first column is extreme."""

    def build(records: "Records", claim: Claim) -> Built:
        row, (on, *columns) = claim["row"], columns_of(claim)
        others = [(row, c) for c in columns] or [(r.number, on) for r in records.study.rows if r.number != row]
        xs = [sign * stats.pairs(records.values.get((row, on), {}), records.values.get(other, {})) for other in others]
        beside = f" of the columns {', '.join([on, *columns])}" if columns else " of all rows"
        return Built(xs, f"row {row}: {on} is the {word}{beside}")

    return build


def level(sign: int, key: str) -> Any:
    """The curve of a column below or above a value at a share of training."""

    def build(records: "Records", claim: Claim) -> Built:
        row, on, value, share = claim["row"], claim["on"], float(claim[key]), float(claim["by_share"])
        at = np.array(list(at_share(records, row, on, share)), float)
        asserted = f"row {row}: {on} is {key} {value:g} at {share:.0%} of training"
        return Built([sign * (at - value)], asserted, unit=" to the bound")

    return build


def at_share(records: "Records", row: int, on: str, share: float) -> Iterator[float]:
    """Value of a column's curve at a share of training, for each seed that has it."""
    metric = next(c.metric for c in records.study.columns if c.name == on).removeprefix("curve/")
    for record in records.of(row, on):
        if (curve := record.curve(metric)) is not None:
            steps, values = curve
            x = steps / record.run.settings.training.steps
            inside = (x <= share + 1e-9) & (x > share - WINDOW)
            if inside.any():
                yield float(values[inside].mean())


KINDS: Mapping[str, Any] = {
    "beats": beats,
    "stable_within": stable,
    "highest_on": extreme(1, "highest"),
    "lowest_on": extreme(-1, "lowest"),
    "below": level(-1, "below"),
    "above": level(1, "above"),
}
