"""Scores of videos with different numbers of positions: side by side in one array, and one after another again."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

OWN_AXES = {"cas": 2, "attention": 2, "clusters": 2, "P_C": 2, "embedding": 2}  # time in arrays (V, M, T, ...)
WHOLE = {"positions", "clock"}  # of a video, without an axis of positions
GLOBAL = {"Q_R", "mean_P_C", "entropy"}  # of no video


def group_videos(counts: np.ndarray, most: int) -> list[np.ndarray]:
    """Videos with the same count together, at most so many, in their order."""
    groups: list[np.ndarray] = []
    for count in np.unique(counts):
        own = np.flatnonzero(counts == count)
        groups.extend(own[first : first + most] for first in range(0, len(own), most))
    return groups


def join_parts(groups: Sequence[np.ndarray], parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays of groups of videos as one (V, ...), the last value repeated beyond the positions that a video has.

    "positions" (V,) tells how many, where they differ.
    """
    counts, out = np.concatenate([np.full(len(g), p["attention"].shape[2]) for g, p in zip(groups, parts)]), {}
    order = np.argsort(np.concatenate(groups))
    for name in parts[0]:
        out[name] = np.concatenate(pad_alike([part[name] for part in parts]))[order]
    return out if (counts == counts[0]).all() else out | {"positions": counts[order]}


def pad_alike(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Arrays of one shape beyond their first axis, their last values repeated."""
    shape = np.max([array.shape[1:] for array in arrays], 0)
    out = []
    for array in arrays:
        gaps = np.append(0, shape - array.shape[1:])
        ends = np.stack([np.zeros_like(gaps), gaps], -1)
        out.append(np.pad(array, ends, "edge") if gaps.any() else array)
    return out


def split_lengths(scores: Mapping[str, np.ndarray]) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Videos (n,) with the same number of positions, and their scores without padding; all at once where none has."""
    videos = np.arange(len(scores["attention"]))
    if "positions" not in scores:
        yield videos, dict(scores)
        return
    for count in np.unique(scores["positions"]):
        own = np.flatnonzero(scores["positions"] == count)
        yield own, {name: cut(name, values, own, int(count), scores) for name, values in scores.items()}


def cut(name: str, values: np.ndarray, videos: np.ndarray, count: int, scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """One array of some videos, without what lies beyond ``count`` positions."""
    if name in GLOBAL:
        return values
    own, T = values[videos], scores["attention"].shape[2]
    axes = [axis for axis in range(1, values.ndim) if values.shape[axis] == T]
    if name in WHOLE or not axes:
        return own
    return own.take(np.arange(count), OWN_AXES.get(name, axes[0]))
