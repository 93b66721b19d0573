"""Statistics over seeds (scipy): summaries, paired differences, equivalence, Holm's correction, sequential looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy import stats

ALPHA = 0.05
LEAST_PAIRS = 3  # fewer pairs decide nothing
BOOTSTRAP_FROM = 20  # seeds; at 3 a bootstrap interval covers 67 % instead of 95 %
LOOKS = (3, 5, 10, 20)  # numbers of seeds at which a sequential study looks


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (NaN for one value) of the n finite values out of ``asked``."""

    mean: float
    std: float
    n: int
    asked: int


@dataclass(frozen=True)
class Difference:
    """Paired difference over n common seeds: mean, interval, two-sided p, and mean / std of the differences."""

    delta: float
    low: float
    high: float
    p: float
    effect: float
    n: int


def summary(values: Sequence[float]) -> Summary:
    """Mean, std, n. A value that is not finite (a failed seed) counts as asked, not as n."""
    x = np.asarray(values, float)
    good = x[np.isfinite(x)]
    mean = float(good.mean()) if good.size else nan
    return Summary(mean, float(good.std(ddof=1)) if good.size > 1 else nan, good.size, x.size)


def pairs(ours: Mapping[int, float], theirs: Mapping[int, float]) -> np.ndarray:
    """Differences ours - theirs over the seeds that both have, finite ones only, in seed order."""
    seeds = sorted(set(ours) & set(theirs))
    x = np.array([ours[s] - theirs[s] for s in seeds], float)
    return x[np.isfinite(x)]


def difference(x: np.ndarray, alpha: float = ALPHA) -> Difference:
    """Mean of paired differences ``x`` (n,) with its 1 - alpha interval and p value against 0.

    Student's t; from 20 pairs on the interval is a bootstrap (BCa). Without spread (std 0) the interval is the mean, and p
    is 0 or 1. Fewer than 2 pairs have neither interval nor p.
    """
    n = len(x)
    if n == 0:
        return Difference(nan, nan, nan, nan, nan, 0)
    mean = float(x.mean())
    if n == 1:
        return Difference(mean, nan, nan, nan, nan, 1)
    std = float(x.std(ddof=1))
    if std <= 1e-12 * max(1.0, abs(mean)):
        return Difference(mean, mean, mean, float(abs(mean) <= 1e-12), nan, n)
    p = float(stats.ttest_1samp(x, 0).pvalue)
    low, high = interval(x, alpha)
    return Difference(mean, low, high, p, mean / std, n)


def interval(x: np.ndarray, alpha: float) -> tuple[float, float]:
    """1 - alpha interval of the mean of x (n >= 2): Student's t, or a bootstrap (BCa) from 20 values on."""
    if len(x) >= BOOTSTRAP_FROM:
        found = stats.bootstrap((x,), np.mean, confidence_level=1 - alpha, rng=np.random.default_rng(0))
        return float(found.confidence_interval.low), float(found.confidence_interval.high)
    low, high = stats.t.interval(1 - alpha, len(x) - 1, loc=x.mean(), scale=stats.sem(x))
    return float(low), float(high)


def equivalence(x: np.ndarray, margin: float) -> float:
    """p of two one-sided t tests that |mean of x| < margin; NaN with fewer than 2 values."""
    if len(x) < 2:
        return nan
    if x.std(ddof=1) == 0:
        return float(abs(x.mean()) >= margin)
    above = stats.ttest_1samp(x, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(x, margin, alternative="less").pvalue
    return float(max(above, below))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the given order; NaN stays NaN but counts as a test."""
    order = sorted(range(len(p)), key=lambda i: (np.isnan(p[i]), p[i]))
    out, worst = [nan] * len(p), 0.0
    for rank, i in enumerate(order):
        if not np.isnan(p[i]):
            worst = max(worst, min(1.0, (len(p) - rank) * p[i]))
            out[i] = worst
    return out


def holm_levels(p: Sequence[float], alpha: float = ALPHA) -> list[float]:
    """The level at which each p is tested by Holm's procedure: its interval at this level agrees with the adjusted p."""
    order = sorted(range(len(p)), key=lambda i: (np.isnan(p[i]), p[i]))
    levels, open_ = [alpha / max(1, len(p))] * len(p), True
    for rank, i in enumerate(order):
        level = alpha / (len(p) - rank)
        levels[i] = level if open_ else levels[order[rank - 1]]
        open_ = open_ and not np.isnan(p[i]) and p[i] <= level
    return levels


def look_level(claims: int, looks: Sequence[int] = LOOKS, alpha: float = ALPHA) -> float:
    """Level of one claim at one look of a sequential study: Bonferroni over claims and looks."""
    return alpha / (max(1, claims) * len(looks))


def looks_until(least: int, most: int) -> tuple[int, ...]:
    """Numbers of seeds at which a sequential study from ``least`` to ``most`` seeds looks; both ends included."""
    return tuple(sorted({least, most} | {n for n in LOOKS if least <= n <= most}))
