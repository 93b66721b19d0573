"""From snippet scores to detections (Appendix E.3): class rule, thresholds, outer-inner contrast, NMS. numpy only.

``detect`` executes the inference rule that a baseline declares (``model.inference``). No loop runs over snippets,
videos or proposals (but for "gaussian" suppression).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from harness.compute.clocks import Timing
from harness.compute.runs import Spans, find_runs, reaches, upsample
from harness.compute.scoring import RULES
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


class Segments(NamedTuple):
    """Scored segments in seconds; ``sequence``: index of the (video, class) pair; all (n,)."""

    sequence: np.ndarray
    score: np.ndarray
    start: np.ndarray
    end: np.ndarray


def find_pairs(inference: Inference, settings: Localization) -> tuple[np.ndarray, np.ndarray]:
    """(video, class) pairs to search: video scores from the class threshold on, else the fallback."""
    scores = inference.video if inference.searched is None else inference.searched
    wanted = are_searched(scores, settings)
    if settings.class_fallback == "argmax":
        none = ~wanted.any(1)
        wanted[none, scores[none].argmax(1)] = True
    if inference.skip_only_class_zero:
        wanted[wanted[:, 0] & (wanted.sum(1) == 1)] = False
    video, label = np.nonzero(wanted)
    return video, label


def are_searched(scores: np.ndarray, settings: Localization) -> np.ndarray:
    """Whether classes of these video scores are searched for, before any fallback."""
    return reaches(scores, settings.class_threshold * settings.class_scale, settings.class_rule)


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
    beside = 0.0 if group.beside is None else upsample(_of(group.beside, video, label), settings.upsampling)
    own = np.ones(len(video), bool)  # sequences that this group searches
    if group.searched is not None:
        own = are_searched(group.searched[video, label], settings)
    masks = [reaches(fine, threshold, settings.snippet_rule) for threshold in thresholds]
    found = [find_runs(mask & (fine > 0) & own[:, None], settings.lone_first) for mask in masks]
    found = [_at(spans, spans[2] - spans[1] + 1 >= group.shortest) for spans in found]
    if group.zero_below:
        scores = [score_runs(np.where(mask, scored, 0) + beside, spans, settings) for mask, spans in zip(masks, found)]
    else:  # of all thresholds together
        row, first, last = (np.concatenate(values) for values in zip(*found))
        cuts = np.cumsum([len(row) for row, _, _ in found])[:-1]
        scores = np.split(score_runs(scored + beside, (row, first, last), settings), cuts)
    out = []
    for score, spans in zip(scores, found):
        keep = (1 - score) / 2 <= settings.oic_cut if settings.oic_cut < 1 else np.ones(len(score), bool)
        row, first, last = _at(spans, keep)
        out.append(Proposals(row, first, last + (settings.score == "loose"), score[keep] + bonus[row]))
    return out


def score_runs(values: np.ndarray, spans: Spans, settings: Localization) -> np.ndarray:
    """Score of each run (row, first, last) in values (P, F), as ``settings.score`` says."""
    row, first, last = spans
    return RULES[settings.score](values, row, first, last, settings.oic_lambda, settings.oic_weight)


def _at(spans: Spans, keep: np.ndarray) -> Spans:
    row, first, last = spans
    return row[keep], first[keep], last[keep]


def _of(sequence: np.ndarray, video: np.ndarray, label: np.ndarray) -> np.ndarray:
    """(V, T, C) or (V, T, 1) -> (P, T): the sequence of each (video, class) pair."""
    return sequence[video, :, label if sequence.shape[2] > 1 else np.zeros_like(label)]


def nms(start: np.ndarray, end: np.ndarray, score: np.ndarray, settings: Localization) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression of one video and class: indices in output order, and their scores.

    "hard" and "soft": ``suppress``; "gaussian": ``decay``; "none" leaves all as they are.
    """
    if settings.nms == "gaussian":
        return decay(start, end, score, settings)
    return suppress(Segments(np.zeros(len(score), np.int64), score, start, end), settings)


def suppress(found: Segments, settings: Localization) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression within each sequence: indices by sequence and in output order, and their scores.

    "hard" removes what overlaps a better one by ``nms_threshold`` or more; "soft" (released) moves it behind the kept
    ones with its score times exp(-overlap^2 / nms_alpha), once. Among equal scores the later listed comes first. Each
    round keeps the best that is left of every sequence.
    """
    sequence, score, start, end = found
    if settings.nms == "none":
        order = np.argsort(sequence, kind="stable")
        return order, score[order]
    left = np.argsort(score, kind="stable")[::-1]
    left = left[np.argsort(sequence[left], kind="stable")]
    kept, behind, weights = [left[:0]], [left[:0]], [np.ones(0)]
    while left.size:
        is_best = np.append(True, sequence[left[1:]] != sequence[left[:-1]])
        best = left[is_best][np.cumsum(is_best) - 1][~is_best]  # for each of the rest, the best of its sequence
        kept.append(left[is_best])
        rest = left[~is_best]
        overlap = overlaps(start[best], end[best], start[rest], end[rest], settings.nms_plus, settings.nms_overlap)
        hit = reaches(overlap, settings.nms_threshold, settings.nms_rule)
        behind.append(rest[hit])
        weights.append(np.exp(-(overlap[hit] ** 2) / settings.nms_alpha))
        left = rest[~hit]
    index = np.concatenate(kept)
    scores = score[index]
    if settings.nms == "soft":
        decayed = np.concatenate(behind)
        index = np.concatenate([index, decayed])
        scores = np.concatenate([scores, score[decayed] * np.concatenate(weights)])
    order = np.argsort(sequence[index], kind="stable")
    return index[order], scores[order]


def decay(
    start: np.ndarray, end: np.ndarray, score: np.ndarray, settings: Localization
) -> tuple[np.ndarray, np.ndarray]:
    """Soft suppression that removes none: indices in the order of picks, and their scores when picked."""
    left, found = np.arange(len(score)), score.copy()
    order = np.zeros(len(score), np.int64)
    for place in range(len(score)):
        best = len(left) - 1 - int(found[left][::-1].argmax())  # the later of equal ones
        order[place], left = left[best], np.delete(left, best)
        pick = order[place]
        overlap = overlaps(start[pick], end[pick], start[left], end[left], settings.nms_plus, settings.nms_overlap)
        found[left] *= np.exp(-(overlap**2) / settings.nms_alpha)
    return order, found[order]


def overlaps(
    start: np.ndarray | float,
    end: np.ndarray | float,
    starts: np.ndarray,
    ends: np.ndarray,
    plus: float,
    share: str = "union",
) -> np.ndarray:
    """Intersection of segments with others, one by one, over their union or over the others ("candidate").

    ``plus`` seconds are added to every length (released: 1).
    """
    inside = np.maximum(0, np.minimum(end, ends) - np.maximum(start, starts) + plus)
    if share == "candidate":
        return inside / (ends - starts + plus)
    union = (end - start + plus) + (ends - starts + plus) - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def detect(inference: Inference, settings: Localization, seconds: np.ndarray) -> Detections:
    """All detections of V videos; ``seconds`` (V,) is what the T snippets of each video span."""
    pairs = find_pairs(inference, settings)
    T = next(iter(inference.groups.values())).threshold_on.shape[1]
    of_each = None if inference.clock is None else inference.clock[pairs[0]]
    timing = Timing(seconds[pairs[0]] / (settings.upsampling * T), seconds[pairs[0]], of_each)
    found = propose_all(inference, pairs, settings.thresholds, settings)
    if settings.nms_join:
        kept = join_groups(found, inference.groups, timing, settings)
    else:
        kept = _suppressed(segments([p for _, p in found], timing), len(pairs[0]), settings)
    return Detections(pairs[0][kept.sequence], pairs[1][kept.sequence], kept.score, kept.start, kept.end)


def join_groups(
    found: Sequence[tuple[str, Proposals]], groups: Iterable[str], timing: Timing, settings: Localization
) -> Segments:
    """NMS within each group, then, at ``nms_join``, within all that these keep."""
    kept = []
    for group in groups:
        if own := [p for name, p in found if name == group]:
            kept.append(_suppressed(segments(own, timing), len(timing.step), settings))
    joined = Segments(*(np.concatenate(values) for values in zip(*kept)))
    return _suppressed(joined, len(timing.step), replace(settings, nms_threshold=settings.nms_join))


def segments(found: Sequence[Proposals], timing: Timing) -> Segments:
    """Proposals in seconds, in their order."""
    sequence = np.concatenate([p.sequence for p in found])
    start = timing.time(sequence, np.concatenate([p.first for p in found]))
    end = timing.time(sequence, np.concatenate([p.last for p in found]) + 1)
    return Segments(sequence, np.concatenate([p.score for p in found]), start, end)


def propose_all(
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


def _suppressed(found: Segments, pairs: int, settings: Localization) -> Segments:
    """NMS within each (video, class); what is kept, by pair and in output order."""
    if settings.nms == "gaussian":
        order = np.argsort(found.sequence, kind="stable")
        each = np.split(order, np.searchsorted(found.sequence[order], np.arange(1, pairs)))
        picked = [(own, *decay(found.start[own], found.end[own], found.score[own], settings)) for own in each]
        index = np.concatenate([own[first] for own, first, _ in picked])
        scores = np.concatenate([values for _, _, values in picked])
    else:
        index, scores = suppress(found, settings)
    if settings.keep_share:
        highest = np.zeros(pairs)
        np.maximum.at(highest, found.sequence[index], scores)
        good = scores >= settings.keep_share * highest[found.sequence[index]]
        index, scores = index[good], scores[good]
    return Segments(found.sequence[index], scores, found.start[index], found.end[index])
