"""How a run of snippets above a threshold is scored, as releases differ; numpy only, no loop over runs.

Each rule: values (P, F), the run's row, first and last position (n,), margin as a share of its length, weight of the
outside -> score (n,), without the video score.
"""

from collections.abc import Callable, Mapping

import numpy as np

Rule = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, float], np.ndarray]


def sums(values: np.ndarray) -> np.ndarray:
    """Cumulated sums with a leading 0: the sum over [s, e) is the difference of columns e and s; (P, F + 1)."""
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, 1, np.float64, out=total[:, 1:])
    return total


def means(total: np.ndarray, row: np.ndarray, *parts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Mean over the union of disjoint ranges [s, e); 0 where all are empty."""
    count = sum(np.maximum(0, e - s) for s, e in parts)
    amount = sum(np.where(e > s, total[row, np.maximum(s, e)] - total[row, s], 0.0) for s, e in parts)
    return np.where(count > 0, amount / np.maximum(count, 1), 0.0)


def contrast(
    values: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, share: float, weight: float = 1.0
) -> np.ndarray:
    """Mean inside minus ``weight`` x mean of margins of ``share`` x length, cut at the ends and truncated."""
    total, length = sums(values), last - first + 1
    low = np.maximum(0, np.trunc(first - share * length)).astype(np.int64)
    high = np.minimum(values.shape[1] - 1, np.trunc(last + share * length)).astype(np.int64)
    outside = means(total, row, (low, first), (last + 1, high + 1))
    return means(total, row, (first, last + 1)) - weight * outside


def loose(
    values: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, share: float, weight: float = 1.0
) -> np.ndarray:
    """FAC-Net's contrast: one position beyond the run counts as inside; the right margin is one shorter."""
    total, T, length, end = sums(values), values.shape[1], last - first + 1, last + 1
    margin = share * length
    low = np.maximum(0, np.trunc(first - margin)).astype(np.int64)
    high = np.minimum(T - 1, np.trunc(end + margin + 1)).astype(np.int64)
    inside = means(total, row, (first, np.minimum(T, end + 1)))
    outside = means(total, row, (low, first), (np.minimum(T, end + 1), high))
    return inside - weight * outside


def sides(
    values: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, share: float, weight: float = 1.0
) -> np.ndarray:
    """D2-Net's contrast: the mean of the left and the right margin's means, each of those that exist."""
    total, T, length = sums(values), values.shape[1], last - first + 1
    margin = np.maximum(1, np.trunc(share * length)).astype(np.int64)
    low, high = np.maximum(0, first - margin), np.minimum(T, last + 1 + margin)
    left, right = means(total, row, (low, first)), means(total, row, (last + 1, high))
    exist = (first > 0).astype(np.int64) + (last + 1 < T)
    outside = np.where(exist > 0, (left + right) / np.maximum(exist, 1), 0.0)
    return means(total, row, (first, last + 1)) - weight * outside


def peak(
    values: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, share: float, weight: float = 1.0
) -> np.ndarray:
    """W-TALC's: the highest value inside."""
    if not row.size:
        return np.zeros(0)
    width = values.shape[1] + 1
    flat = np.pad(values, ((0, 0), (0, 1)), constant_values=-np.inf).ravel()
    bounds = np.stack([row * width + first, row * width + last + 1], 1).ravel()
    return np.maximum.reduceat(flat, bounds)[::2]


RULES: Mapping[str, Rule] = {"contrast": contrast, "loose": loose, "sides": sides, "peak": peak}
