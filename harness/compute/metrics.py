r"""mAP at tIoU, foreground/background ACC and AUC of snippets, entropies. numpy only; fractions and nats.

ACC is defined here once: a snippet of the sampled grid is foreground when its attention reaches the threshold; its
truth is the inclusive rounding of the annotated segments to the snippet grid (``snippet_labels``), whatever the class;
snippets of all videos are pooled. It is reported for P^A, \hat P^A, their mean and the attention that testing uses.
"""

from collections.abc import Sequence

import numpy as np

from harness.compute.localize import Detections
from harness.study.metrics import RANGES


def tiou(segment: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Temporal IoU of one segment (2,) with others (n, 2); 0 / 0 is NaN."""
    inside = np.maximum(0, np.minimum(segment[1], others[:, 1]) - np.maximum(segment[0], others[:, 0]))
    union = (segment[1] - segment[0]) + (others[:, 1] - others[:, 0]) - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        return inside / union


def matches(predicted: np.ndarray, truth: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """True positives (thresholds, P) among the predictions (P, 2) of one video and class, best score first.

    A prediction goes through the ground truths (G, 2) by falling tIoU (ties: the later first) until one is below the
    threshold, and takes the first that is not taken. A NaN tIoU (0 / 0) comes first and passes.
    """
    out = np.zeros((len(thresholds), len(predicted)), bool)
    free = [[True] * len(truth) for _ in thresholds]
    for p, segment in enumerate(predicted):
        overlap = tiou(segment, truth)
        if not (np.isnan(overlap) | (overlap >= min(thresholds))).any():
            continue
        order = np.argsort(overlap, kind="stable")[::-1].tolist()
        values = overlap.tolist()
        for t, threshold in enumerate(thresholds):
            for g in order:
                if values[g] < threshold:
                    break
                if free[t][g]:
                    free[t][g], out[t, p] = False, True
                    break
    return out


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
    truth = np.concatenate([np.column_stack([s, np.full(len(s), v)]) for v, s in enumerate(segments)])
    out = np.full((len(thresholds), classes), np.nan)
    for c in np.unique(truth[:, 2]).astype(int):
        wanted, mine = truth[truth[:, 2] == c], np.nonzero(found.label == c)[0]
        mine = mine[np.argsort(found.score[mine], kind="stable")[::-1]]
        hits = np.zeros((len(thresholds), len(mine)), bool)
        for v in np.unique(wanted[:, 3]).astype(int):
            here = np.nonzero(found.video[mine] == v)[0]
            spans = np.column_stack([found.start[mine[here]], found.end[mine[here]]])
            hits[:, here] = matches(spans, wanted[wanted[:, 3] == v, :2], thresholds)
        out[:, c] = area(hits, len(wanted))
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
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (counts.cumsum() - (counts - 1) / 2)[inverse]  # mean rank within ties
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * (positive.size - n)))


def entropy(P: np.ndarray) -> float:
    """Mean entropy in nats of the distributions on the last axis."""
    terms = np.zeros_like(P)
    np.log(P, out=terms, where=P > 0)
    return float(-(P * terms).sum(-1).mean())


def video_map(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean over classes that occur of the (non-interpolated) average precision of video scores (V, C)."""
    values = []
    for y, s in zip(labels.T > 0, scores.T):
        if y.any():
            hits = y[np.argsort(s, kind="stable")[::-1]]
            values.append(((hits.cumsum() / np.arange(1, len(hits) + 1)) * hits).sum() / hits.sum())
    return float(np.mean(values))
