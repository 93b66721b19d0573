"""Over methods: how much the same addition changes each of several methods, on average and from method to method.

A random-effects model of paired differences d of method m under seed s, d_ms = mu + a_m + e_ms: a_m ~ N(0, tau^2)
between methods, e_ms ~ N(0, sigma^2) between seeds. tau is the restricted maximum-likelihood estimate, sigma is pooled
over methods; mu has the interval of Hartung and Knapp (Student's t over methods). So the methods count as a sample of
methods, which is what a claim to generalise speaks of, and each of them once, however many seeds it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats

from harness.claims.evidence import subtract
from harness.claims.statistics import ALPHA, Difference, difference
from harness.study.claims import Pairs

if TYPE_CHECKING:
    from harness.store.records import Records

LEAST = 3  # methods; fewer say nothing of others


@dataclass(frozen=True)
class Mixed:
    """The model's estimates: mean and its interval, spread between methods, range of a further method's effect."""

    mean: float
    low: float
    high: float
    between: float  # tau
    within: float  # sigma
    further: tuple[float, float]


@dataclass(frozen=True)
class Gain:
    """What a row gains over its partner: its label, the differences of its seeds, mean and 95 % interval."""

    label: str
    differences: np.ndarray
    found: Difference


@dataclass(frozen=True)
class Overall:
    """The gains of all rows of a claim on pairs that have results, on a column, and the model over them."""

    column: str
    gains: tuple[Gain, ...]
    mixed: Mixed
    noun: str = "method"  # what differs from pair to pair


def fit_mixed(groups: Sequence[np.ndarray], alpha: float = ALPHA) -> Mixed:
    """The random-effects model of one array of differences per method; NaN intervals for fewer than three."""
    y = np.array([x.mean() for x in groups])
    within = pool_variance(groups)
    if len(y) < LEAST:
        return Mixed(float(y.mean()), nan, nan, nan, sqrt(within), (nan, nan))
    v = within / np.array([len(x) for x in groups])
    between = estimate_between(y, v)
    mean, error = average_means(y, v + between)
    half = error * float(stats.t.ppf(1 - alpha / 2, len(y) - 1))
    beyond = sqrt(between + error**2) * float(stats.t.ppf(1 - alpha / 2, len(y) - 2))
    return Mixed(mean, mean - half, mean + half, sqrt(between), sqrt(within), (mean - beyond, mean + beyond))


def pool_variance(groups: Sequence[np.ndarray]) -> float:
    """sigma^2: the variance between seeds, pooled over methods; 0 where each has one seed."""
    spare = sum(len(x) for x in groups) - len(groups)
    squares = sum(float(((x - x.mean()) ** 2).sum()) for x in groups)
    return squares / spare if spare else 0.0


def average_means(y: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """mu and its standard error after Hartung and Knapp, never less than the seeds' own noise; both arrays (k,)."""
    if not variances.any():  # all methods gain the same
        return float(y.mean()), 0.0
    w = 1 / variances
    mean = float((w * y).sum() / w.sum())
    scale = float((w * (y - mean) ** 2).sum() / (len(y) - 1))
    return mean, sqrt(max(scale, 1.0) / w.sum())


def estimate_between(y: np.ndarray, v: np.ndarray) -> float:
    """tau^2 that maximises the restricted likelihood of means y with known variances v, both (k,)."""
    if np.ptp(v) <= 1e-12 * v.max():  # as many seeds for each: the maximum has a closed form
        return max(0.0, float(y.var(ddof=1) - v[0]))

    def loss(tau: float) -> float:
        """Twice the negative restricted log-likelihood, without constants."""
        w = 1 / (v + tau**2)
        mean = (w * y).sum() / w.sum()
        return float(-np.log(w).sum() + np.log(w.sum()) + (w * (y - mean) ** 2).sum())

    most = 10 * float(y.std(ddof=1)) + 1e-9
    found = optimize.minimize_scalar(loss, bounds=(0, most), method="bounded", options={"xatol": 1e-9 * most})
    return float(found.x) ** 2 if loss(float(found.x)) < loss(0.0) else 0.0


def summarise_gains(records: "Records") -> Overall | None:
    """The gains over the pairs of a study's claim on pairs; None where it has none, or nothing was measured."""
    claim = next((claim for claim in records.study.claims if isinstance(claim, Pairs)), None)
    if claim is None:
        return None
    labels = {row.number: row.label for row in records.study.rows}
    gains = []
    for row, partner in claim.pairs:
        x = subtract(records, (row, claim.on), (partner, claim.on))
        x = x[np.isfinite(x)]
        if len(x):
            gains.append(Gain(labels[partner], x, difference(x)))
    if not gains:
        return None
    baselines = {row.settings.case.baseline for row in records.study.rows}
    noun = "method" if len(baselines) > 1 else "pair"
    return Overall(claim.on, tuple(gains), fit_mixed([gain.differences for gain in gains]), noun)


def describe_gains(overall: Overall | None) -> str:
    """'mAP is higher in 9 of 15 methods; on average +1.2 [-0.5, 2.9] (...)': one line; empty for nothing."""
    if overall is None:
        return ""
    helped = sum(gain.found.delta > 0 for gain in overall.gains)
    mixed, noun = overall.mixed, overall.noun
    head = f"{overall.column} is higher in {helped} of {len(overall.gains)} {noun}s; on average {mixed.mean:+.1f}"
    if not isfinite(mixed.low):
        return f"{head}."
    low, high = mixed.further
    spread = f"s.d. between {noun}s {mixed.between:.1f}; a further {noun}: {low:+z.1f} to {high:+z.1f}"
    return f"{head} [{mixed.low:z.1f}, {mixed.high:z.1f}] (95 %, random effects), {spread}."
