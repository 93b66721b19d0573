"""What a data set is, whatever it came from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Split:
    """Videos of one split, their snippets one after another: N snippets, M streams, D features, V videos, C classes."""

    ids: tuple[str, ...]
    features: np.ndarray  # (N, M, D) float32, may be a read-only memory map
    offsets: np.ndarray  # (V+1,) int64: video v owns features[offsets[v]:offsets[v+1]]
    labels: np.ndarray  # (V, C) float32, multi-hot
    segments: tuple[np.ndarray, ...]  # per video (n, 3) float64: start s, end s, class
    snippet_seconds: np.ndarray  # (V,) float64

    @property
    def lengths(self) -> np.ndarray:
        """Snippets per video, (V,) int64."""
        return np.diff(self.offsets)

    def subset(self, videos: np.ndarray, features: bool = True) -> "Split":
        """The videos at these positions, in this order; their features are copied, or left out."""
        rows = [np.arange(self.offsets[v], self.offsets[v + 1]) for v in videos if features]
        ids = tuple(self.ids[v] for v in videos)
        segments = tuple(self.segments[v] for v in videos)
        return Split(
            ids,
            np.asarray(self.features)[np.concatenate([np.zeros(0, np.int64), *rows])],
            np.concatenate([[0], np.cumsum(self.lengths[videos])]),
            self.labels[videos],
            segments,
            self.snippet_seconds[videos],
        )


@dataclass(frozen=True)
class Dataset:
    """Training and test videos; ``fingerprint`` changes with anything that could change a result."""

    name: str
    classes: tuple[str, ...]
    streams: tuple[str, ...]  # axis M
    train: Split
    test: Split
    fingerprint: str
    widths: tuple[int, ...] = ()  # features of each stream before padding to one width; empty: not known


@dataclass(frozen=True)
class PendingSplit:
    """A split before its features are in place: they come video by video, in order."""

    split: Split  # its features are (0, M, D)
    features: Iterator[np.ndarray]  # per video (n, M, D)


def multi_hot(segments: tuple[np.ndarray, ...], classes: int) -> np.ndarray:
    """Video labels (V, C) float32 from segments."""
    labels = np.zeros((len(segments), classes), np.float32)
    for row, found in zip(labels, segments):
        row[found[:, 2].astype(np.int64)] = 1
    return labels
