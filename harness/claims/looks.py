"""Looks at the evidence on a contrast: the first one that decides, what it rests on, or how many seeds would decide.

A claim on several comparisons is supported where each of them is, at the level of the look; and contradicted where one
of them is, at that level shared by all of them. So one comparison decides, and its interval is the one that is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from harness.claims import statistics as stats
from harness.claims.contrasts import Test
from harness.claims.evidence import Evidence

DECIDED = ("supported", "contradicted", "smaller")


@dataclass(frozen=True)
class Outcome:
    """What the looks at a contrast came to: the status, and the evidence up to the look that it rests on."""

    status: str
    reason: str
    evidence: Evidence
    level: float = nan  # of the look
    p: float = nan
    seeds_needed: int | None = None  # that would decide, at the mean and spread measured


def look(evidence: Evidence, test: Test, missing: str = "") -> Outcome:
    """The first look that decides, or the last one that there are seeds for. ``missing`` says why there are no more."""
    asked = replace(evidence, margin=test.margin)
    reached = [(n, level) for n, level in zip(test.looks, test.levels) if stats.LEAST_PAIRS <= n <= evidence.n]
    for n, level in reached:
        seen = asked.first(n)
        ends = p_values(seen)
        decided = [status for status in DECIDED if ends.get(status, nan) <= level]
        if decided:
            return Outcome(decided[0], "", seen, level, ends[decided[0]], n)
    if not reached:
        few = max(test.looks[0], stats.LEAST_PAIRS)
        reason = missing or f"n = {evidence.n}: too few pairs to tell; the first look is at {few}"
        return Outcome("undecided", reason, asked.finite(), test.levels[0])
    needed = count_needed(seen, test.levels[-1])
    return Outcome("undecided", missing or open_question(seen), seen, level, min(ends.values()), needed)


def p_values(evidence: Evidence) -> dict[str, float]:
    """p of each status that the evidence can have, to be held against the level of the look."""
    if evidence.within is not None:
        return dict(zip(("supported", "contradicted"), stats.within(evidence.differences, evidence.within)))
    ends = dict(zip(("supported", "contradicted"), stats.directions(evidence.differences)))
    if evidence.margin is not None:
        ends["smaller"] = stats.smaller(evidence.differences[0], evidence.margin)
    return ends


def open_question(evidence: Evidence) -> str:
    """Why a look left a claim undecided."""
    if evidence.within is not None:
        return "neither within nor beyond the margin"
    if evidence.margin is None:
        return "the interval holds 0"
    return f"the interval holds 0 and {evidence.margin:g}, the least that counts"


def find_deciding(evidence: Evidence, level: float, smaller: bool = False) -> stats.Difference:
    """The comparison that decides a claim at a level, with the interval that its verdict is read off; NONE without any.

    It is the one that lies furthest against the claim, else the one that may still do so most. ``smaller``: that is the
    verdict.
    """
    xs = [x for x in evidence.differences if len(x)]
    against = [x for x in xs if is_against(x, evidence.within)]
    if not xs:
        return stats.NONE
    if smaller:
        return find_smaller(xs[0], level, evidence.margin)
    if against:
        shared = level / len(xs)
        return stats.difference(max(against, key=lambda x: find_ends(x, shared, evidence.within)[0]), shared)
    own = level_of_each(evidence, level)
    return stats.difference(max(xs, key=lambda x: find_ends(x, own, evidence.within)[1]), own)


def find_smaller(x: np.ndarray, level: float, margin: float | None) -> stats.Difference:
    """A comparison below ``margin``: its interval at the level where that tells so, else at twice it.

    The test is one-sided, so twice the level is what it reads; but that may exclude 0 where no verdict does.
    """
    found = stats.difference(x, level)
    return found if margin is not None and found.high < margin else stats.difference(x, 2 * level)


def level_of_each(evidence: Evidence, level: float) -> float:
    """The level of the interval that must support a claim: equivalence is two one-sided tests."""
    return level if evidence.within is None else 2 * level


def is_against(x: np.ndarray, within: float | None) -> bool:
    """Whether the mean of a comparison is not where the claim has it."""
    return bool(turn(x, within).mean() > (within or 0.0))


def turn(x: np.ndarray, within: float | None) -> np.ndarray:
    """A comparison turned so that it speaks against the claim where it lies above 0, or above the margin."""
    return -x if within is None else np.copysign(1.0, x.mean()) * x


def find_ends(x: np.ndarray, level: float, within: float | None) -> tuple[float, float]:
    """The interval of a comparison turned against the claim; its mean alone where there is no spread to tell."""
    turned = turn(x, within)
    return stats.interval(turned, level) if len(x) > 1 else (float(turned.mean()), float(turned.mean()))


def count_needed(evidence: Evidence, level: float) -> int | None:
    """Seeds that would decide at a level, at the means and spreads measured; more than there are. None: too many."""
    xs, within, edge = evidence.differences, evidence.within, evidence.within or 0.0
    against = [turn(x, within) for x in xs if is_against(x, within)]
    found = [stats.seeds_needed(x, level / len(xs), edge) for x in against]
    if not against:
        found = [count_all([turn(x, within) for x in xs], level_of_each(evidence, level), edge)]
    if evidence.margin is not None and xs[0].mean() < evidence.margin:
        found.append(stats.seeds_needed(xs[0], 2 * level, evidence.margin))
    enough = [n for n in found if n is not None]
    return max(min(enough), evidence.n + 1) if enough else None


def count_all(xs: Sequence[np.ndarray], level: float, edge: float) -> int | None:
    """Seeds that would tell every one of some means from an edge."""
    found = [stats.seeds_needed(x, level, edge) for x in xs]
    return None if None in found else max(n for n in found if n is not None)
