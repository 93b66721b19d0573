"""What the paper claims, judged on the runs at hand: each claim gets a verdict with its evidence and its scope.

A verdict needs the corrected p value and the interval at the same level. A difference that is not significant supports
nothing; the claimed size is reported apart. On the embedded data set the words are those of a test bed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.claims import statistics as stats
from harness.claims.evidence import Evidence, collect
from harness.study.claims import Beats

if TYPE_CHECKING:
    from harness.store.records import Records
    from harness.study import Study

STATUSES = ("supported", "contradicted", "undecided", "not judged")
WORDS: Mapping[str, str] = {  # on the embedded data set
    "supported": "appears on the test bed",
    "contradicted": "reversed on the test bed",
    "undecided": "undecided on the test bed",
}
NOT_JUDGED = "not judged (mechanics only)"


@dataclass(frozen=True)
class Correction:
    """How the p values of a study's claims are corrected: the level of each claim, adjusted p values, and the name."""

    levels: list[float]
    adjusted: list[float]
    name: str


@dataclass(frozen=True)
class Verdict:
    """A judged claim. ``status`` is one of ``STATUSES``; ``words`` is how to say it on these data."""

    quote: str
    section: str
    note: str
    asserted: str
    status: str
    words: str
    reason: str
    unit: str  # what follows delta: nothing for a difference, " to the bound" for a level
    delta: float  # of the weakest comparison, with its interval (at ``level``) and effect size
    low: float
    high: float
    effect: float
    level: float
    p: float
    p_adjusted: float
    correction: str
    n: int
    claimed: float | None
    size: str  # "inside" or "outside the interval", of the claimed size; empty without one
    scope: str
    rows: tuple[int, ...]


def synthetic(study: "Study") -> bool:
    """Whether the embedded data set was measured."""
    return any(row.settings.source.name == "synthetic" for row in study.rows)


def mechanics(study: "Study") -> bool:
    """Whether the scale is one that only checks that everything works."""
    return study.quick or any(row.settings.source.scale == "tiny" for row in study.rows)


def preset_of(study: "Study", rows: Sequence[int]) -> str:
    """The preset of rows by number, several joined; a row may have its own."""
    own = [getattr(row, "base", "") or study.base for row in study.rows if row.number in rows]
    return " and ".join(dict.fromkeys(Path(name).stem for name in own)) or study.base


def scope(study: "Study", rows: Sequence[int]) -> str:
    """'on synthetic, preset paper, 5 seeds': where a verdict on these rows holds."""
    counts = [len({run.seed for run in study.runs if run.row == row}) for row in rows] or [0]
    n = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"on {study.data}, preset {preset_of(study, rows)}, {n} seed{'' if n == '1' else 's'}"


def judge(records: "Records") -> list[Verdict]:
    """A verdict on each claim of the study, corrected over them."""
    study = records.study
    evidence = [collect(records, claim) for claim in study.claims]
    ends = [p_values(e) for e in evidence]
    fixed = correction(study, [min(pair) for pair in ends])
    return [verdict(study, i, e, ends[i], fixed) for i, e in enumerate(evidence)]


def correction(study: "Study", p: list[float]) -> Correction:
    """Holm over the claims of a study; Bonferroni over claims and looks where seeds are added sequentially."""
    if study.until is None:
        return Correction(stats.holm_levels(p), stats.holm(p), f"Holm over {len(p)}")
    looks = stats.looks_until(study.until.at_least, study.until.at_most)
    tests = len(p) * len(looks)
    adjusted = [min(1.0, x * tests) if isfinite(x) else nan for x in p]
    return Correction([stats.look_level(len(p), looks)] * len(p), adjusted, f"{len(p)} claims x {len(looks)} looks")


def p_values(evidence: Evidence) -> tuple[float, float]:
    """p values that the claim holds, and that it is reversed; NaN where nothing can be said."""
    if evidence.missing or min(map(len, evidence.differences)) < stats.LEAST_PAIRS:
        return nan, nan
    if evidence.margin is not None:
        return stats.within(evidence.differences, evidence.margin)
    return stats.directions(evidence.differences)


def verdict(study: "Study", i: int, evidence: Evidence, ends: tuple[float, float], fixed: Correction) -> Verdict:
    """The verdict on claim ``i``."""
    claim, level = study.claims[i], fixed.levels[i]
    worst = weakest(evidence, level)
    status, reason = decide(evidence, ends, level)
    rows = claim.row_numbers(len(study.rows))
    claimed = claim.by if isinstance(claim, Beats) else None
    words = WORDS[status] if synthetic(study) else status
    if mechanics(study):
        status, words, reason = "not judged", NOT_JUDGED, "tiny scale"
    return Verdict(
        quote=claim.quote,
        section=claim.section,
        note=claim.note or claim.also,
        asserted=claim.words,
        status=status,
        words=words,
        reason=reason,
        unit=evidence.unit,
        delta=worst.delta,
        low=worst.low,
        high=worst.high,
        effect=worst.effect,
        level=level,
        p=min(ends),
        p_adjusted=fixed.adjusted[i],
        correction=fixed.name,
        n=worst.n,
        claimed=claimed,
        size=size(claimed, worst),
        scope=scope(study, rows),
        rows=rows,
    )


def weakest(evidence: Evidence, level: float) -> stats.Difference:
    """The comparison that a claim fails first by; two one-sided tests at a level go with the 1 - 2 level interval."""
    if evidence.margin is not None:
        found = [stats.difference(x, 2 * level) for x in evidence.differences]
        return max(found, key=lambda d: abs(d.delta), default=stats.NONE)
    found = [stats.difference(x, level) for x in evidence.differences]
    return min(found, key=lambda d: d.low if isfinite(d.low) else d.delta, default=stats.NONE)


def decide(evidence: Evidence, ends: tuple[float, float], level: float) -> tuple[str, str]:
    """(supported | contradicted | undecided, reason)."""
    n = min(map(len, evidence.differences), default=0)
    if evidence.missing or n < stats.LEAST_PAIRS:
        return "undecided", evidence.missing or f"n = {n}: too few pairs to tell"
    holds, reversed_ = (p <= level for p in ends)
    if evidence.margin is None:
        shared = level / len(evidence.differences)
        holds = holds and all(stats.interval(x, level)[0] > 0 for x in evidence.differences)
        reversed_ = reversed_ and any(stats.interval(x, shared)[1] < 0 for x in evidence.differences)
    if not holds and not reversed_:
        return (
            "undecided",
            "the interval holds 0" if evidence.margin is None else "neither within nor beyond the margin",
        )
    return "supported" if holds else "contradicted", ""


def size(claimed: float | None, found: stats.Difference) -> str:
    """Whether the claimed size lies in the interval; empty where there is no size or no interval."""
    if claimed is None or not isfinite(found.low):
        return ""
    return f"{'inside' if found.low <= claimed <= found.high else 'outside'} the interval"


def counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many claims have each status."""
    return {status: sum(v.status == status for v in verdicts) for status in STATUSES}


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """JSON values; NaN as null."""
    return [
        {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in asdict(x).items()} for x in verdicts
    ]


def evidence_text(v: Verdict) -> str:
    """'+2.3 [0.4, 4.2], d 1.9, p 0.01 (0.04 after Holm over 8), n 5; claimed 2.3 inside the interval'."""
    if not isfinite(v.delta):
        return v.reason
    digits = stats.decimals((v.high - v.low) / 2)
    interval = f" [{v.low:z.{digits}f}, {v.high:z.{digits}f}]" if isfinite(v.low) else ""
    parts = [f"{v.delta:+z.{digits}f}{interval}{v.unit}"]
    parts += [f"d {v.effect:z.1f}"] if isfinite(v.effect) else []
    parts += [f"p {v.p:.2g} ({v.p_adjusted:.2g} after {v.correction})"] if isfinite(v.p) else []
    text = ", ".join([*parts, f"n {v.n}"])
    text += f"; claimed {v.claimed:g} {v.size}" if v.size else ""
    return text + (f"; {v.reason}" if v.reason else "")


def words_of(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """How each status is said where these verdicts hold."""
    return {v.status: v.words for v in verdicts}


def markdown(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as a Markdown table, each with its scope."""
    lines = ["| claim | asserted | verdict | scope | evidence |", "| --- | --- | --- | --- | --- |"]
    for v in verdicts:
        claim = f"“{v.quote}” (Section {v.section})" + (f" ({v.note})" if v.note else "")
        cells = (claim, v.asserted, v.words, v.scope, evidence_text(v))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
