r"""mAP at tIoU, foreground/background ACC and AUC of snippets, entropies. numpy only; fractions and nats.

ACC is defined here once: a snippet of the sampled grid is foreground when its attention reaches the threshold; its
truth is the inclusive rounding of the annotated segments to the snippet grid (``snippet_labels``), whatever the class;
snippets of all videos are pooled. It is reported for P^A, \hat P^A, their mean and the attention that testing uses.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import entr
from scipy.stats import rankdata

from harness.compute.localize import Detections
from harness.study.metrics import RANGES


def match(
    predicted: np.ndarray, groups: np.ndarray, truth: np.ndarray, truth_groups: np.ndarray, thresholds: Sequence[float]
) -> np.ndarray:
    """True positives (thresholds, P) among predictions (P, 2), best score first; ground truths (G, 2).

    ``groups``: which video and class each belongs to. A prediction goes through the ground truths of its group by
    falling tIoU (ties: the later first) until one is below the threshold, and takes the first that is not taken: the
    best of those that are left. A NaN tIoU (0 / 0) comes first and passes. The n-th predictions of all groups are
    matched together, of those that can match at all.
    """
    out = np.zeros((len(thresholds), len(predicted)), bool)
    order = np.argsort(truth_groups, kind="stable")
    sorted_groups = truth_groups[order]
    begin, end = (np.searchsorted(sorted_groups, groups, side) for side in ("left", "right"))
    most = int((end - begin).max(initial=0))
    if not most:
        return out
    place = begin[:, None] + np.arange(most)  # (P, most): ground truths of the group, sorted
    there = place < end[:, None]
    overlap = tiou(predicted[:, None], truth[order[np.where(there, place, 0)]])
    overlap = np.where(np.isnan(overlap), np.inf, np.minimum(overlap, np.finfo(np.float64).max))
    overlap = np.where(there, overlap, -np.inf)
    able = np.flatnonzero(overlap.max(1) >= min(thresholds))
    free = np.ones((len(thresholds), len(truth)), bool)
    limits, lines = np.array(thresholds)[:, None], np.arange(len(thresholds))[:, None]
    for now in split_by_turn(groups[able]):
        mine = able[now]
        taken = np.minimum(place[mine], len(truth) - 1)
        open_ = np.where(free[:, taken], overlap[mine], -np.inf)[..., ::-1]  # (thresholds, n, most), the later first
        best = open_.argmax(-1)
        hit = np.take_along_axis(open_, best[..., None], -1)[..., 0] >= limits
        chosen = taken[np.arange(len(mine)), most - 1 - best]
        free[np.broadcast_to(lines, hit.shape)[hit], chosen[hit]] = False
        out[:, mine] = hit
    return out


def split_by_turn(groups: np.ndarray) -> list[np.ndarray]:
    """Positions of the first members of all groups, of the second members, and so on."""
    order = np.argsort(groups, kind="stable")
    begins = np.flatnonzero(np.append(True, np.diff(groups[order]) != 0))
    turn = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    by_turn = order[np.argsort(turn, kind="stable")]
    return np.split(by_turn, np.cumsum(np.bincount(turn))[:-1]) if len(order) else []


def tiou(segments: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Temporal IoU of segments (..., 2) with others (..., 2); 0 / 0 is NaN."""
    inside = np.maximum(0, np.minimum(segments[..., 1], others[..., 1]) - np.maximum(segments[..., 0], others[..., 0]))
    union = (segments[..., 1] - segments[..., 0]) + (others[..., 1] - others[..., 0]) - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        return inside / union


def area(hits: np.ndarray, positives: int) -> np.ndarray:
    """Average precision per row of hits (thresholds, P), best score first: area under the monotone precision."""
    true = hits.cumsum(1)
    precision = true / np.arange(1, hits.shape[1] + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    return (best * hits).sum(1) / positives


def average_precision(
    segments: Sequence[np.ndarray], found: Detections, thresholds: Sequence[float], classes: int
) -> np.ndarray:
    """AP per tIoU and class (thresholds, C); NaN for a class without ground truth, 0 for one without predictions.

    ``segments``: per video (n, 3) start, end, class. Tied scores: the later listed comes first (a stable ascending
    sort, reversed).
    """
    truth = np.concatenate(segments)  # (G, 3)
    videos = np.repeat(np.arange(len(segments)), [len(found) for found in segments])
    ranked = np.argsort(found.score, kind="stable")[::-1]
    spans = np.column_stack([found.start, found.end])[ranked]
    group = (found.video * classes + found.label)[ranked]
    hits = match(spans, group, truth[:, :2], videos * classes + truth[:, 2].astype(np.int64), thresholds)
    label, positives = found.label[ranked], np.bincount(truth[:, 2].astype(np.int64), minlength=classes)
    out = np.full((len(thresholds), classes), np.nan)
    for c in np.flatnonzero(positives):
        out[:, c] = area(np.ascontiguousarray(hits[:, label == c]), int(positives[c]))
    return out


def averages(ap: np.ndarray, thresholds: Sequence[float]) -> dict[str, float]:
    """mAP per tIoU ("0.50"), over all of them ("avg") and over the usual ranges that they cover ("0.1:0.5")."""
    per = dict(zip((f"{t:.2f}" for t in thresholds), np.nanmean(ap, axis=1).tolist()))
    out = {"avg": float(np.mean(list(per.values()))), **per}
    for name, (low, high, n) in RANGES.items():
        inside = [f"{t:.2f}" for t in np.linspace(low, high, n)]
        if set(inside) <= set(per):
            out[name] = float(np.mean([per[t] for t in inside]))
    return out


def snippet_labels(segments: np.ndarray, length: int, snippet_seconds: float) -> np.ndarray:
    """(length,) bool: snippets round(start) .. round(end) of each segment (n, >= 2) in seconds, ends included."""
    edges = np.zeros(length + 1, np.int64)
    first = np.clip(np.rint(segments[:, 0] / snippet_seconds), 0, length).astype(np.int64)
    last = np.clip(np.rint(segments[:, 1] / snippet_seconds) + 1, 0, length).astype(np.int64)
    np.add.at(edges, first, 1)
    np.add.at(edges, np.maximum(first, last), -1)
    return edges[:length].cumsum() > 0


def accuracy(attention: np.ndarray, foreground: np.ndarray, threshold: float) -> float:
    """Share of snippets whose attention is on the right side of the threshold; arrays of one shape."""
    return float(((attention >= threshold) == foreground).mean())


def majority(foreground: np.ndarray) -> float:
    """Accuracy of always saying the more frequent of foreground and background."""
    return float(max(foreground.mean(), 1 - foreground.mean()))


def auc(attention: np.ndarray, foreground: np.ndarray) -> float:
    """Area under the ROC curve of snippets (ties count half); NaN where one side is empty."""
    values, positive = attention.ravel(), foreground.ravel()
    n = int(positive.sum())
    if n in {0, positive.size}:
        return float("nan")
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * (positive.size - n)))


def entropy(P: np.ndarray) -> float:
    """Mean entropy in nats of the distributions on the last axis."""
    return float(entr(P).sum(-1).mean())


def video_map(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean over classes that occur of the (non-interpolated) average precision of video scores (V, C)."""
    values = []
    for y, s in zip(labels.T > 0, scores.T):
        if y.any():
            hits = y[np.argsort(s, kind="stable")[::-1]]
            values.append(((hits.cumsum() / np.arange(1, len(hits) + 1)) * hits).sum() / hits.sum())
    return float(np.mean(values))
