"""What a claim of a study rests on: numbers over seeds that should lie above 0, or within a margin of it.

A claim is a mapping; the key that names its kind (``KINDS``) decides how its evidence is collected.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.claims import statistics as stats
from harness.store import results

if TYPE_CHECKING:
    from harness.study import Run, Study

WINDOW = 0.05  # a curve's value at a share of training is its mean over this share of the training before it
FINISHED = frozenset({"ok", "stale"})

Values = Mapping[tuple[int, str], Mapping[int, float]]  # (row, column) -> seed -> value, NaN without a result
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


def collect(study: "Study", claim: Claim, found: Values, root: Path) -> Evidence:
    """The evidence on one claim; a row with a failed or missing seed leaves it without."""
    kind = next(kind for kind in KINDS if kind in claim)
    built = KINDS[kind](study, claim, found, root)
    missing = study.missing or gaps(study, claim, found, root)
    if not missing and any(len(x) == 0 for x in built.differences):
        missing = "nothing measured"
    return Evidence(tuple(built.differences), built.asserted, built.margin, built.unit, missing)


def gaps(study: "Study", claim: Claim, found: Values, root: Path) -> str:
    """Which row of a claim lacks seeds, as 'row 3: 4/5 seeds'; empty where all are there."""
    for row in rows_of(study, claim):
        per_column = [found.get((row, column), {0: nan}) for column in columns_of(claim)]
        if "below" in claim or "above" in claim:
            runs = [run for run in study.runs if run.row == row and claim["on"] in run.columns]
            per_column = [{run.seed: 0 if results.status(root, run) in FINISHED else nan for run in runs}]
        for values in per_column:
            good = sum(map(isfinite, values.values()))
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


def beats(study: "Study", claim: Claim, found: Values, root: Path) -> Built:
    """Row above another row on a column."""
    row, other, on = claim["row"], claim["beats"], claim["on"]
    by = f" by {claim['by']:g}" if "by" in claim else ""
    x = stats.pairs(found.get((row, on), {}), found.get((other, on), {}))
    return Built([x], f"row {row} beats row {other} on {on}{by}")


def stable(study: "Study", claim: Claim, found: Values, root: Path) -> Built:
    """Each two of the rows within a margin of each other."""
    rows, on, margin = claim["rows"], claim["on"], float(claim["stable_within"])
    twos = [(a, b) for i, a in enumerate(rows) for b in rows[i + 1 :]]
    xs = [stats.pairs(found.get((a, on), {}), found.get((b, on), {})) for a, b in twos]
    return Built(xs, f"rows {', '.join(map(str, rows))} agree within {margin:g} on {on}", margin)


def extreme(sign: int, word: str) -> Any:
    """One column: the row is extreme among all rows. Several: within the row, the first column is extreme."""

    def build(study: "Study", claim: Claim, found: Values, root: Path) -> Built:
        row, (on, *columns) = claim["row"], columns_of(claim)
        others = [(row, c) for c in columns] or [(r.number, on) for r in study.rows if r.number != row]
        xs = [sign * stats.pairs(found.get((row, on), {}), found.get(other, {})) for other in others]
        beside = f" of the columns {', '.join([on, *columns])}" if columns else " of all rows"
        return Built(xs, f"row {row}: {on} is the {word}{beside}")

    return build


def level(sign: int, key: str) -> Any:
    """The curve of a column below or above a value at a share of training."""

    def build(study: "Study", claim: Claim, found: Values, root: Path) -> Built:
        row, on, value, share = claim["row"], claim["on"], float(claim[key]), float(claim["by_share"])
        at = np.array(list(at_share(study, row, on, share, root)), float)
        asserted = f"row {row}: {on} is {key} {value:g} at {share:.0%} of training"
        return Built([sign * (at - value)], asserted, unit=" to the bound")

    return build


def at_share(study: "Study", row: int, on: str, share: float, root: Path) -> Iterator[float]:
    """Value of a column's curve at a share of training, for each seed that has it."""
    metric = next(c.metric for c in study.columns if c.name == on).removeprefix("curve/")
    for run in (run for run in study.runs if run.row == row and on in run.columns):
        if results.status(root, run) in FINISHED and (curve := curve_of(root, run, metric)) is not None:
            steps, values = curve
            x = steps / run.settings.training.steps
            inside = (x <= share + 1e-9) & (x > share - WINDOW)
            if inside.any():
                yield float(values[inside].mean())


def curve_of(root: Path, run: "Run", metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """(steps, values) of a metric: of each training step, else of the evaluations; None where neither has it."""
    curves = results.read_curves(root, run.training_key)
    if metric in curves:
        return curves["step"], curves[metric]
    result = results.read_result(root, run.training_key, run.scoring_key) or {}
    evaluated = result.get("curve", {})
    return (np.array(evaluated["step"]), np.array(evaluated[metric])) if metric in evaluated else None


KINDS: Mapping[str, Any] = {
    "beats": beats,
    "stable_within": stable,
    "highest_on": extreme(1, "highest"),
    "lowest_on": extreme(-1, "lowest"),
    "below": level(-1, "below"),
    "above": level(1, "above"),
}
