"""Pseudo segments of ASM-Loc (He et al., CVPR 2022), one video at a time; numpy only.

Times are in snippets (real, 0 is the video's start) until they are rounded to positions. A *clock* (n + 1,) says how
many sampled snippets lie before each snippet and after the last: snippets of short segments are sampled more often.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from model.options import AsmlocOptions


class Found(NamedTuple):
    """Detections of one video: class, score, start and end in snippets; all (d,)."""

    label: np.ndarray
    score: np.ndarray
    start: np.ndarray
    end: np.ndarray

    def at(self, chosen: np.ndarray) -> "Found":
        """Some of them."""
        return Found(*(column[chosen] for column in self))


Detect = Callable[[Any], Sequence[Found]]  # of a batch: what the baseline detects in each of its videos


def keep_surest(found: Found, alpha: float) -> Found:
    """Of each class the best, as long as their scores together are at most alpha of all of the class."""
    kept = [np.zeros(0, np.int64)]
    for label in np.unique(found.label):
        own = np.flatnonzero(found.label == label)
        own = own[np.argsort(-found.score[own], kind="stable")]
        total = np.cumsum(found.score[own])
        kept.append(own[total <= alpha * total[-1]])
    return found.at(np.concatenate(kept))


def widen(found: Found, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Start and end, both by delta of the length further out."""
    more = delta * (found.end - found.start)
    return found.start - more, found.end + more


def weigh(found: Found, n: int, options: AsmlocOptions) -> np.ndarray:
    """How often each of n snippets is sampled, (n,), at least once: those of short segments up to a common length.

    A widened segment of 2 to U = gamma (2 delta + 1) snippets weighs U / its length; longer ones weigh 1, as released.
    Each run of weights above 1 is scaled so that its sum is whole, but where only the first snippet has one.
    """
    longest, weights = options.upsample * (2 * options.widen + 1), np.ones(n)
    for start, end in zip(*widen(keep_surest(found, options.surest), options.widen)):
        first, last = max(0, int(np.round(start))), min(n - 1, int(np.round(end)))
        if 2 <= (length := last - first + 1) <= longest:
            weights[first : last + 1] = np.maximum(weights[first : last + 1], longest / length)
    more = np.flatnonzero(weights > 1)
    if not more.any():  # none, or only the first
        return weights
    for run in np.split(more, np.flatnonzero(np.diff(more) > 1) + 1):
        total = weights[run].sum()
        weights[run] *= np.round(total) / total
    return weights


def start_clock(weights: np.ndarray) -> np.ndarray:
    """Weights (n,) -> clock (n + 1,), from 0 to a whole number."""
    return np.append(0.0, weights.cumsum())


def sampled(clock: np.ndarray) -> np.ndarray:
    """Where on the time line each of M sampled snippets lies, (M,): whole where each snippet is sampled once."""
    M = int(np.round(clock[-1]))
    return np.interp(np.arange(1, M + 1), clock, np.arange(len(clock))) - 1


def place(times: np.ndarray, clock: np.ndarray | None, n: int, T: int) -> np.ndarray:
    """Times in snippets -> positions (whole) among T that are spread over all sampled snippets; None: each once."""
    if clock is None:
        return np.round(times * (T / n)).astype(np.int64)
    where = sampled(clock)
    return np.round(np.interp(times, where, np.arange(len(where))) * (T / len(where))).astype(np.int64)


def find_boxes(found: Found, clock: np.ndarray | None, n: int, T: int, options: AsmlocOptions) -> np.ndarray:
    """First and last position of each pseudo segment, widened, latest first; (K, 2), K <= ``options.segments``.

    Detections of all classes together; those that lie within another that starts no later are left out.
    """
    order = np.lexsort((-found.end, found.start))
    reached = np.maximum.accumulate(np.append(-np.inf, found.end[order]))[:-1]
    outer = found.at(order[found.end[order] > reached])
    ends = [place(times, clock, n, T) for times in widen(outer, options.widen)]
    boxes = np.stack(ends, -1).clip(0, T - 1)
    return boxes[np.argsort(-boxes[:, 0], kind="stable")][: options.segments]


def label_positions(found: Found, clock: np.ndarray | None, n: int, T: int, classes: int) -> np.ndarray:
    """Class probabilities of T positions, (T, C + 1): equal shares of the classes detected there, else background."""
    labels = np.zeros((T, classes + 1))
    first, last = (place(times, clock, n, T) for times in (found.start, found.end))
    for label, i, j in zip(found.label, first, last):
        labels[i : j + 1, label] = 1
    labels[:, -1] = ~labels.any(1)
    return labels / labels.sum(1, keepdims=True)
