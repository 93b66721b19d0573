"""mAP as four releases compute it on detections: segments as sets of snippets, one ground truth for each detection.

Written from the README of ../shared/recordings. The product's own mAP is always the benchmark's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Rows = np.ndarray  # (n, 5): video, class, score, first snippet, snippet after the last


@dataclass(frozen=True)
class Way:
    """How a release matches and averages."""

    best: bool  # a detection takes the ground truth that it overlaps most, not the first one that it overlaps enough
    interpolated: bool  # precision at a hit: the best at this recall or above
    without: str  # a class without detections: "all" makes the mean 0, "later" the classes after it, "" itself


WAYS = {
    "wtalc": Way(best=False, interpolated=False, without="all"),
    "facnet": Way(best=True, interpolated=True, without=""),
    "rskp": Way(best=True, interpolated=True, without=""),
    "d2net": Way(best=False, interpolated=True, without="later"),
}


def count_overlap(a: Sequence[float], b: Sequence[float]) -> float:
    """Shared snippets over all snippets of two runs [first, end)."""
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    union = max(0, a[1] - a[0]) + max(0, b[1] - b[0]) - shared
    return shared / union if union else 0.0


def average_precision(found: Rows, truth: Rows, tiou: float, way: Way) -> float:
    """Of one class: mean over its ground truth of the precision at each hit."""
    free, hits = [True] * len(truth), []
    for video, _, _, *span in found[np.argsort(-found[:, 2], kind="stable")]:
        overlap = [count_overlap(span, own[3:]) if free[i] and own[0] == video else 0.0 for i, own in enumerate(truth)]
        fit = [i for i, value in enumerate(overlap) if value >= tiou]
        chosen = max(fit, key=lambda i: overlap[i]) if way.best and fit else next(iter(fit), None)
        hits.append(chosen is not None)
        if chosen is not None:
            free[chosen] = False
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    if way.interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[np.array(hits, bool)].sum() / len(truth))


def mean_average_precision(found: Rows, truth: Rows, tiou: float, way: Way) -> float:
    """In percent, over the classes with ground truth."""
    values = []
    for label in np.unique(truth[:, 1]):
        own = found[found[:, 1] == label]
        if not len(own) and way.without:
            if way.without == "all":
                return 0.0
            values.extend([0.0] * int((np.unique(truth[:, 1]) >= label).sum()))
            break
        values.append(average_precision(own, truth[truth[:, 1] == label], tiou, way))
    return 100 * float(np.mean(values))
