"""From snippet scores to detections (Appendix E.3): class rule, thresholds, outer-inner contrast, NMS. numpy only.

``detect`` executes the inference rule that a baseline declares (``model.inference``). No loop runs over snippets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from harness.settings import Localization
from model.inference import Group, Inference


@dataclass(frozen=True)
class Detections:
    """Scored segments, ordered by video, class and as the NMS writes them; all arrays (n,)."""

    video: np.ndarray  # index of the video
    label: np.ndarray  # index of the class
    score: np.ndarray
    start: np.ndarray  # seconds
    end: np.ndarray  # seconds

    def predictions(self, ids: Sequence[str], classes: Sequence[str]) -> dict[str, Any]:
        """The detections in the ActivityNet format; a video without detections has an empty list."""
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in ids}
        columns = (self.video, self.label, self.score, self.start, self.end)
        for video, label, score, start, end in zip(*(column.tolist() for column in columns)):
            found[ids[video]].append({"label": classes[label], "score": score, "segment": [start, end]})
        return {"version": "1.3", "external_data": {}, "results": found}


@dataclass(frozen=True)
class Proposals:
    """Runs of sequences above a threshold: ``sequence`` index, first and last fine position, score; all (n,)."""

    sequence: np.ndarray
    first: np.ndarray
    last: np.ndarray
    score: np.ndarray


def searched(inference: Inference, settings: Localization) -> tuple[np.ndarray, np.ndarray]:
    """(video, class) pairs to search: video scores from the class threshold on, else the fallback."""
    wanted = inference.video >= settings.class_threshold
    if settings.class_fallback == "argmax":
        none = ~wanted.any(1)
        wanted[none, inference.video[none].argmax(1)] = True
    if inference.skip_only_class_zero:
        wanted[wanted[:, 0] & (wanted.sum(1) == 1)] = False
    video, label = np.nonzero(wanted)
    return video, label


def upsample(sequences: np.ndarray, scale: int) -> np.ndarray:
    """(P, T) -> (P, scale T) float64: linear at positions i / scale, the last slope continued beyond the last snippet.

    Slopes are taken in the precision of the scores, and a snippet's own position belongs to the slope before it, as in
    the released code.
    """
    T = sequences.shape[1]
    if T == 1:
        return np.repeat(sequences, scale, axis=1)
    position = np.arange(scale * T) / scale
    left = np.clip(np.ceil(position).astype(np.int64) - 1, 0, T - 2)
    return sequences[:, left] + (position - left) * np.diff(sequences, axis=1)[:, left]


def runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximal runs of True in each row of mask (P, F): row, first, last. A row that is exactly {0} has none."""
    mask = mask.copy()
    mask[mask[:, 0] & (mask.sum(1) == 1), 0] = False  # the released rule
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    return row, first, np.nonzero(edges == -1)[1] - 1


def contrast(values: np.ndarray, row: np.ndarray, first: np.ndarray, last: np.ndarray, margin: float) -> np.ndarray:
    """Outer-inner contrast of runs in values (P, F): mean inside minus mean of ``margin`` x length on both sides.

    Margins are cut at the sequence's ends and truncated to whole positions; an empty outside counts as 0.
    """
    total = np.pad(values.cumsum(1, dtype=np.float64), ((0, 0), (1, 0)))  # (P, F + 1)
    length = last - first + 1
    low = np.maximum(0, np.trunc(first - margin * length)).astype(np.int64)
    high = np.minimum(values.shape[1] - 1, np.trunc(last + margin * length)).astype(np.int64)
    inside = total[row, last + 1] - total[row, first]
    outside = total[row, high + 1] - total[row, low] - inside
    count = (first - low) + (high - last)
    return inside / length - np.where(count > 0, outside / np.maximum(count, 1), 0.0)


def propose(
    group: Group, pairs: tuple[np.ndarray, np.ndarray], thresholds: Sequence[float], settings: Localization
) -> list[Proposals]:
    """Proposals of one group for every searched (video, class), one entry per threshold."""
    video, label = pairs
    fine = upsample(_of(group.threshold_on, video, label), settings.upsampling)
    scored = (
        fine
        if group.score_on is group.threshold_on
        else upsample(_of(group.score_on, video, label), settings.upsampling)
    )
    bonus = settings.oic_gamma * group.video_score[video, label]
    out = []
    for threshold in thresholds:
        mask = (fine >= threshold) & (fine > 0)
        row, first, last = runs(mask)
        keep = last - first + 1 >= group.shortest
        row, first, last = row[keep], first[keep], last[keep]
        values = np.where(fine >= threshold, scored, 0) if group.zero_below else scored
        out.append(Proposals(row, first, last, contrast(values, row, first, last, settings.oic_lambda) + bonus[row]))
    return out


def _of(sequence: np.ndarray, video: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(V, T, C) or (V, T, 1) -> (P, T): the sequence of each (video, class) pair."""
    return sequence[video, :, label if sequence.shape[2] > 1 else np.zeros_like(label)]


def nms(start: np.ndarray, end: np.ndarray, score: np.ndarray, settings: Localization) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression of one video and class: indices in output order, and their scores.

    "hard" removes what overlaps a better one by ``nms_threshold`` or more; "soft" (released) moves it behind the kept
    ones with its score times exp(-overlap^2 / nms_alpha), once. Among equal scores the later listed comes first.
    """
    order = np.argsort(score, kind="stable")[::-1]
    kept: list[int] = []
    decayed: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    while order.size:
        best, rest = order[0], order[1:]
        overlap = overlaps(start[best], end[best], start[rest], end[rest], settings.nms_plus)
        hit = overlap >= settings.nms_threshold
        kept.append(int(best))
        decayed.append(rest[hit])
        weights.append(np.exp(-(overlap[hit] ** 2) / settings.nms_alpha))
        order = rest[~hit]
    first = np.array(kept, np.int64)
    if settings.nms == "hard" or not kept:
        return first, score[first]
    behind = np.concatenate(decayed)
    return np.concatenate([first, behind]), np.concatenate([score[first], score[behind] * np.concatenate(weights)])


def overlaps(start: float, end: float, starts: np.ndarray, ends: np.ndarray, plus: float) -> np.ndarray:
    """Intersection over union of one segment with others, with ``plus`` seconds added to every length (released: 1)."""
    inside = np.maximum(0, np.minimum(end, ends) - np.maximum(start, starts) + plus)
    union = (end - start + plus) + (ends - starts + plus) - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def detect(inference: Inference, settings: Localization, seconds: np.ndarray) -> Detections:
    """All detections of V videos; ``seconds`` (V,) is what the T snippets of each video span."""
    pairs = searched(inference, settings)
    found = [p for name, p in proposals(inference, pairs, settings.thresholds, settings)]
    sequence = np.concatenate([p.sequence for p in found])
    order = np.argsort(sequence, kind="stable")  # per (video, class), in the order of groups and thresholds
    T = next(iter(inference.groups.values())).threshold_on.shape[1]
    step = seconds[pairs[0]] / (settings.upsampling * T)  # seconds per fine position
    sequence = sequence[order]
    start = np.concatenate([p.first for p in found])[order] * step[sequence]
    end = (np.concatenate([p.last for p in found])[order] + 1) * step[sequence]
    score = np.concatenate([p.score for p in found])[order]
    kept, scores = _suppressed(sequence, start, end, score, len(pairs[0]), settings)
    return Detections(pairs[0][sequence[kept]], pairs[1][sequence[kept]], scores, start[kept], end[kept])


def proposals(
    inference: Inference,
    pairs: tuple[np.ndarray, np.ndarray],
    thresholds: Mapping[str, Sequence[float]],
    settings: Localization,
) -> list[tuple[str, Proposals]]:
    """(group name, Proposals) of every group and threshold, before NMS. KeyError names a group without thresholds."""
    if missing := set(inference.groups) - set(thresholds):
        raise KeyError(f"localization.thresholds lacks {sorted(missing)}; it has {sorted(thresholds)}")
    return [
        (name, found)
        for name, group in inference.groups.items()
        for found in propose(group, pairs, thresholds[name], settings)
    ]


def _suppressed(
    sequence: np.ndarray, start: np.ndarray, end: np.ndarray, score: np.ndarray, pairs: int, settings: Localization
) -> tuple[np.ndarray, np.ndarray]:
    """NMS within each sequence (sorted); indices and scores in output order."""
    bounds = np.searchsorted(sequence, np.arange(pairs + 1))
    kept, scores = [np.zeros(0, np.int64)], [np.zeros(0)]
    for low, high in pairwise(bounds):
        index, values = nms(start[low:high], end[low:high], score[low:high], settings)
        kept.append(low + index)
        scores.append(values)
    return np.concatenate(kept), np.concatenate(scores)
