"""What the paper claims, judged on the runs at hand: each claim gets a verdict with its evidence and its scope.

Every kind of claim comes down to paired differences over seeds that must lie above 0 (or within a margin). A verdict is
drawn from the interval at the level that Holm's procedure gives the claim; the claimed size is reported apart.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import results, stats

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Study

WINDOW = 0.05  # a curve's value at a share of training is its mean over this last share before it
WORDS = {  # on real data, and on the embedded one
    "supported": "appears on the test bed",
    "contradicted": "reversed on the test bed",
    "undecided": "undecided on the test bed",
}
NOT_JUDGED = "not judged (mechanics only)"


@dataclass(frozen=True)
class Evidence:
    """Differences that a claim says lie above 0, one array per comparison; within ``margin`` of 0 instead, if given."""

    differences: tuple[np.ndarray, ...]
    margin: float | None
    asserted: str
    missing: str = ""  # why nothing can be said, e.g. a failed seed


@dataclass(frozen=True)
class Verdict:
    """A judged claim. ``status`` is supported, contradicted, undecided or not judged; ``words`` is how to say it here."""

    quote: str
    section: str
    note: str
    asserted: str
    status: str
    words: str
    reason: str
    delta: float
    low: float
    high: float
    level: float
    p: float
    p_holm: float
    n: int
    size: str  # "inside" or "outside the interval", of the claimed size; empty without one
    claimed: float | None
    scope: str
    rows: tuple[int, ...]


def synthetic(study: "Study") -> bool:
    """Whether the embedded data set was measured."""
    return all(row.settings.source.name == "synthetic" for row in study.rows)


def scope(study: "Study") -> str:
    seeds = sorted({len({run.seed for run in study.runs if run.row == row.number}) for row in study.rows})
    n = "-".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1]))) if seeds else "0"
    return f"on {study.data}, preset {study.base}, {n} seeds"


def judge(study: "Study", frame: "pd.DataFrame", root: Path) -> list[Verdict]:
    """A verdict on each claim of the study, Holm-corrected over them (Bonferroni over looks in a sequential study)."""
    from harness.tables import values

    found = values(frame)
    evidence = [collect(study, claim, found, root) for claim in study.claims]
    p = [_p(e) for e in evidence]
    if study.until:
        looks = stats.looks_until(study.until.at_least, study.until.at_most)
        levels = [stats.look_level(len(p), looks)] * len(p)
    else:
        levels = stats.holm_levels(p)
    adjusted = stats.holm(p)
    return [
        _verdict(study, claim, e, level, (raw, corrected))
        for claim, e, level, raw, corrected in zip(study.claims, evidence, levels, p, adjusted)
    ]


def _p(evidence: Evidence) -> float:
    """Two-sided p of the weakest comparison, or p of equivalence within the margin; NaN where nothing can be said."""
    if evidence.missing:
        return nan
    if evidence.margin is not None:
        return max(stats.equivalence(x, evidence.margin) for x in evidence.differences)
    return max(stats.difference(x).p for x in evidence.differences)


def _verdict(
    study: "Study", claim: Mapping[str, Any], evidence: Evidence, level: float, p: tuple[float, float]
) -> Verdict:
    by_size = sorted((stats.difference(x, level) for x in evidence.differences), key=lambda d: d.low)
    worst = by_size[0] if by_size else stats.Difference(nan, nan, nan, nan, nan, 0)
    if evidence.margin is not None and by_size:
        worst = max(by_size, key=lambda d: abs(d.delta))
    status, reason = _status(evidence, by_size, level, p[0])
    if study.quick:
        status, reason = "not judged", "tiny scale"
    claimed = claim.get("by")
    size = ""
    if claimed is not None and isfinite(worst.low):
        size = ("inside" if worst.low <= claimed <= worst.high else "outside") + " the interval"
    words = NOT_JUDGED if study.quick else WORDS[status] if synthetic(study) else status
    return Verdict(
        claim["quote"], str(claim["section"]), claim.get("note") or claim.get("also") or "", evidence.asserted, status,
        words, reason, worst.delta, worst.low, worst.high, level, p[0], p[1], worst.n, size, claimed, scope(study),
        rows_of(claim),
    )  # fmt: skip


def _status(evidence: Evidence, found: list[stats.Difference], level: float, p: float) -> tuple[str, str]:
    """(supported | contradicted | undecided, reason)."""
    if evidence.missing:
        return "undecided", evidence.missing
    n = min(d.n for d in found)
    if n < stats.LEAST_PAIRS:
        return "undecided", f"{n} pairs are too few to tell"
    if evidence.margin is not None:
        if p <= level:
            return "supported", ""
        beyond = any(d.low > evidence.margin or d.high < -evidence.margin for d in found)
        return ("contradicted", "") if beyond else ("undecided", "equivalence within the margin is not shown")
    if all(d.low > 0 for d in found):
        return "supported", ""
    return ("contradicted", "") if any(d.high < 0 for d in found) else ("undecided", "the interval holds 0")


def rows_of(claim: Mapping[str, Any]) -> tuple[int, ...]:
    """Rows that a claim speaks of (their seeds are added in a sequential study)."""
    named = [claim[key] for key in ("row", "beats") if key in claim]
    return tuple(dict.fromkeys([*named, *claim.get("rows", ())]))


def collect(study: "Study", claim: Mapping[str, Any], found: Mapping[tuple[int, str], dict[int, float]], root: Path) -> Evidence:
    """The differences a claim is about; its kind is the key of ``KINDS`` that it has."""
    kind = next(k for k in KINDS if k in claim)
    differences, margin, asserted = KINDS[kind](study, claim, found, root)
    gaps = [number for number in _involved(study, claim) for v in _all(found, number, claim) if not isfinite(v)]
    missing = study.missing or (f"row {gaps[0]} has a seed without result" if gaps else "")
    if not missing and any(len(x) == 0 for x in differences):
        missing = "no common seeds"
    return Evidence(tuple(differences), margin, asserted, missing)


def _involved(study: "Study", claim: Mapping[str, Any]) -> tuple[int, ...]:
    every = any(len(claim.get(k, ())) == 1 for k in ("highest_on", "lowest_on"))
    return tuple(row.number for row in study.rows) if every else rows_of(claim)


def _all(found: Mapping[tuple[int, str], dict[int, float]], row: int, claim: Mapping[str, Any]) -> list[float]:
    columns = [claim["on"]] if "on" in claim else claim.get("highest_on") or claim.get("lowest_on") or []
    return [value for column in columns for value in found.get((row, column), {0: nan}).values()]


Built = tuple[list[np.ndarray], float | None, str]
Values = Mapping[tuple[int, str], dict[int, float]]


def _beats(study: "Study", claim: Mapping[str, Any], found: Values, root: Path) -> Built:
    row, other, on = claim["row"], claim["beats"], claim["on"]
    by = f" by {claim['by']}" if "by" in claim else ""
    x = stats.pairs(found.get((row, on), {}), found.get((other, on), {}))
    return [x], None, f"row {row} beats row {other} on {on}{by}"


def _stable(study: "Study", claim: Mapping[str, Any], found: Values, root: Path) -> Built:
    rows, on, margin = claim["rows"], claim["on"], float(claim["stable_within"])
    xs = [
        stats.pairs(found.get((a, on), {}), found.get((b, on), {}))
        for i, a in enumerate(rows)
        for b in rows[i + 1 :]
    ]
    return xs, margin, f"rows {', '.join(map(str, rows))} agree within {margin:g} on {on}"


def _extreme(sign: int, word: str, key: str) -> Any:
    """One column: the row is extreme among all rows. Several: within the row, the first column is extreme."""

    def build(study: "Study", claim: Mapping[str, Any], found: Values, root: Path) -> Built:
        row, (on, *columns) = claim["row"], claim[key]
        others = [(row, c) for c in columns] or [(r.number, on) for r in study.rows if r.number != row]
        xs = [sign * stats.pairs(found.get((row, on), {}), found.get(other, {})) for other in others]
        return xs, None, f"row {row}: {on} is {word}" + (f" of {', '.join(columns)}" if columns else " of all rows")

    return build


def _level(sign: int, key: str) -> Any:
    def build(study: "Study", claim: Mapping[str, Any], found: Values, root: Path) -> Built:
        row, on, value, share = claim["row"], claim["on"], float(claim[key]), float(claim.get("by_share", 1.0))
        at = curve_values(study, row, on, share, root)
        asserted = f"row {row}: {on} is {key} {value:g} at {share:.0%} of training"
        return [sign * (at - value)], None, asserted

    return build


def curve_values(study: "Study", row: int, on: str, share: float, root: Path) -> np.ndarray:
    """Value of a column's curve at a share of training, one per seed that has it."""
    metric = next(c.metric for c in study.columns if c.name == on).removeprefix("curve/")
    out = []
    for run in (run for run in study.runs if run.row == row and on in run.columns):
        if results.status(root, run) not in {"ok", "stale"}:
            continue
        curves = results.read_curves(root, run.training_key)
        if metric not in curves:
            continue
        x = curves["step"] / run.settings.training.steps
        inside = (x <= share + 1e-9) & (x > share - WINDOW)
        if inside.any():
            out.append(float(curves[metric][inside].mean()))
    return np.array(out)


KINDS: Mapping[str, Any] = {
    "beats": _beats,
    "stable_within": _stable,
    "highest_on": _extreme(1, "highest", "highest_on"),
    "lowest_on": _extreme(-1, "lowest", "lowest_on"),
    "below": _level(-1, "below"),
    "above": _level(1, "above"),
}


def as_json(verdicts: list[Verdict]) -> list[dict[str, Any]]:
    """JSON values; NaN as null."""
    return [{k: None if isinstance(v, float) and not isfinite(v) else v for k, v in asdict(x).items()} for x in verdicts]


def evidence_text(v: Verdict) -> str:
    """'+2.3 [0.4, 4.2], p 0.01 (Holm 0.04), n 5; claimed 2.3 inside the interval'."""
    if not isfinite(v.delta):
        return v.reason
    parts = [f"{v.delta:+.2f}"]
    if isfinite(v.low):
        parts[0] += f" [{v.low:.2f}, {v.high:.2f}]"
    if isfinite(v.p):
        parts.append(f"p {v.p:.2g} (Holm {v.p_holm:.2g})")
    parts.append(f"n {v.n}")
    text = ", ".join(parts) + (f"; claimed {v.claimed:g} {v.size}" if v.size else "")
    return text + (f"; {v.reason}" if v.reason else "")


def markdown(verdicts: list[Verdict]) -> str:
    lines = ["| claim | asserted | verdict | evidence |", "| --- | --- | --- | --- |"]
    for v in verdicts:
        note = f" ({v.note})" if v.note else ""
        claim = f"“{v.quote}” (Section {v.section}){note}"
        lines.append("| " + " | ".join(c.replace("|", "\\|") for c in (claim, v.asserted, v.words, evidence_text(v))) + " |")
    scopes = sorted({v.scope for v in verdicts})
    return "\n".join([*lines, "", *(f"Scope: {s}." for s in scopes)]) + "\n"
