"""Statistics over seeds (scipy): summaries, paired differences, equivalence, repeated looks. Student's t throughout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10, nan

import numpy as np
from scipy import stats

ALPHA = 0.05
LEAST_PAIRS = 3  # fewer pairs decide nothing
LOOKS = (5, 8, 12, 16, 20)  # numbers of seeds at which a sequential study looks; at 3 a verdict would need t > 25
# Share of the error rate that is spent by a share of the seeds: most of it at the second look, 8 of 20 seeds of Table 2
# being what a few minutes allow, and little at the first, where only the clearest effects can be told.
SPENT = ((0, 0.25, 0.4, 0.6, 0.8, 1), (0, 0.1, 0.5, 0.7, 0.85, 1))
MOST_SEEDS = 1000  # no further do we search for the number of seeds that would decide


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


NONE = Difference(nan, nan, nan, nan, nan, 0)


def summary(values: Sequence[float]) -> Summary:
    """Mean, std, n. A value that is not finite (a failed seed) counts as asked, not as n."""
    x = np.asarray(values, float)
    good = x[np.isfinite(x)]
    mean = float(good.mean()) if good.size else nan
    return Summary(mean, float(good.std(ddof=1)) if good.size > 1 else nan, good.size, x.size)


def decimals(uncertainty: float, least: int = 2, most: int = 4) -> int:
    """Digits behind the point that show two significant digits of an uncertainty, from ``least`` to ``most``."""
    if not isfinite(uncertainty) or uncertainty <= 0:
        return least
    return min(most, max(least, 1 - floor(log10(uncertainty))))


def pairs(ours: Mapping[int, float], theirs: Mapping[int, float]) -> np.ndarray:
    """Differences ours - theirs over the seeds that both have, finite ones only, in seed order."""
    seeds = sorted(set(ours) & set(theirs))
    x = np.array([ours[s] - theirs[s] for s in seeds], float)
    return x[np.isfinite(x)]


def moments(x: np.ndarray) -> tuple[float, float]:
    """Mean and sample standard deviation of x (n >= 2); a spread that is only rounding counts as 0."""
    mean, std = float(x.mean()), float(x.std(ddof=1))
    return mean, 0.0 if std <= 1e-12 * max(1.0, float(np.abs(x).max())) else std


def difference(x: np.ndarray, alpha: float = ALPHA) -> Difference:
    """Mean of paired differences ``x`` (n,) with its 1 - alpha interval and Student's p against 0.

    Fewer than 2 pairs have neither interval nor p. Without spread the interval is the mean, and p is 0 or 1.
    """
    if len(x) < 2:
        return Difference(float(x.mean()), nan, nan, nan, nan, 1) if len(x) else NONE
    mean, std = moments(x)
    low, high = interval(x, alpha)
    return Difference(mean, low, high, min(1.0, 2 * min(tails(x))), mean / std if std else nan, len(x))


def interval(x: np.ndarray, alpha: float) -> tuple[float, float]:
    """1 - alpha interval of the mean of x (n >= 2) by Student's t."""
    mean, std = moments(x)
    if not std:
        return mean, mean
    found = stats.ttest_1samp(x, 0.0).confidence_interval(1 - alpha)
    return float(found.low), float(found.high)


def tails(x: np.ndarray, at: float = 0.0) -> tuple[float, float]:
    """One-sided p values of Student's t that the mean of x (n >= 2) is above, and that it is below ``at``."""
    mean, std = moments(x)
    if not std:
        apart = mean - at if abs(mean - at) > 1e-12 * max(1.0, abs(at)) else 0.0
        return float(apart <= 0), float(apart >= 0)
    above = stats.ttest_1samp(x, at, alternative="greater").pvalue
    below = stats.ttest_1samp(x, at, alternative="less").pvalue
    return float(above), float(below)


def equivalence(x: np.ndarray, margin: float) -> float:
    """p of two one-sided t tests that |mean of x| < margin; NaN with fewer than 2 values."""
    return max(tails(x, -margin)[0], tails(x, margin)[1]) if len(x) > 1 else nan


def directions(xs: Sequence[np.ndarray]) -> tuple[float, float]:
    """Two-sided p values that every mean of ``xs`` lies above 0, and that some mean lies below 0.

    "Every" needs each test to succeed (the largest p); "some" pays for each try (the smallest p times their number).
    """
    found = [tails(x) for x in xs]
    above = 2 * max(a for a, _ in found)
    below = 2 * len(found) * min(b for _, b in found)
    return min(1.0, above), min(1.0, below)


def within(xs: Sequence[np.ndarray], margin: float) -> tuple[float, float]:
    """p values that every mean of ``xs`` is within ``margin`` of 0 (two one-sided tests), and that some is beyond.

    "Beyond" is two-sided: where the margin is small beside the spread, chance crosses either edge.
    """
    inside = max(equivalence(x, margin) for x in xs)
    beyond = 2 * len(xs) * min(min(tails(x, margin)[0], tails(x, -margin)[1]) for x in xs)
    return inside, min(1.0, beyond)


def smaller(x: np.ndarray, margin: float) -> float:
    """One-sided p that the mean of x is below ``margin``; at p <= alpha the 1 - 2 alpha interval lies below it.

    It may spend all of alpha: where it is wrong the mean is above 0, and of the directions only "below 0" is wrong,
    which never happens without it.
    """
    return tails(x, margin)[1]


def looks_until(least: int, most: int) -> tuple[int, ...]:
    """Numbers of seeds at which a sequential study from ``least`` to ``most`` seeds looks; both ends included.

    A look at fewer than ``LEAST_PAIRS`` would spend its share of the error rate on nothing.
    """
    first = max(least, LEAST_PAIRS)
    return tuple(sorted({n for n in (first, *LOOKS) if first <= n <= most} | {most}))


def spend(level: float, looks: Sequence[int]) -> list[float]:
    """The level of each look, ``level`` in all: by Bonferroni, how far ``SPENT`` has come at its share of the seeds."""
    shares = np.asarray(looks) / looks[-1]
    return [float(part) for part in level * np.diff(np.interp(shares, *SPENT), prepend=0)]


def seeds_needed(x: np.ndarray, level: float, edge: float) -> int | None:
    """The least n at which the 1 - level interval around the measured mean, at the measured spread, is off ``edge``.

    The edge is a value that stands between verdicts: 0, a margin. None where ``MOST_SEEDS`` would not do.
    """
    if len(x) < 2:
        return None
    mean, std = moments(x)
    n = np.arange(LEAST_PAIRS, MOST_SEEDS + 1)
    half = stats.t.isf(level / 2, n - 1) * std / np.sqrt(n)
    enough = n[half < abs(edge - mean)]
    return int(enough[0]) if len(enough) else None
