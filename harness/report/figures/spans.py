r"""A video's attention with one value for each of its snippets, and runs of snippets as spans of seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness import data
from harness.compute import metrics
from harness.compute.clocks import even_out
from harness.data.sampling import uniform
from harness.store.records import Record

Span = tuple[float, float]  # start and end, seconds


@dataclass(frozen=True)
class Track:
    """What is drawn of a run on one video; n snippets, each once although short videos repeat them on the grid."""

    centres: np.ndarray  # (n,) seconds
    edges: np.ndarray  # (n + 1,) seconds: between neighbours, then the video's ends
    truth: np.ndarray  # (n,) bool: in an annotated action
    attention: np.ndarray  # P^A (n,), mean over streams
    clusters: np.ndarray | None  # \hat P^A (n,); None without clusters
    cat: float
    threshold: float

    @property
    def fused(self) -> np.ndarray:
        r"""\ddot P^A, as testing uses it (Eq. 17)."""
        return self.attention if self.clusters is None else (1 - self.cat) * self.attention + self.cat * self.clusters

    @property
    def right(self) -> np.ndarray:
        """Whether each snippet is on the right side of the threshold; (n,)."""
        return (self.fused >= self.threshold) == self.truth


def track_video(record: Record, dataset: data.Dataset, video: int) -> Track:
    """The attention of a run on a video."""
    scores, settings, test = record.scores, record.run.settings, dataset.test
    length, seconds = int(test.lengths[video]), float(test.snippet_seconds[video])
    T = settings.training.snippets
    scores, index = even_out(scores, T), uniform(test.lengths[video : video + 1], T)[0]
    kept = np.unique(index)
    between = (kept[1:] + kept[:-1] + 1) / 2
    clusters = scores["clusters"][video].mean(0) if "clusters" in scores else None
    return Track(
        centres=(kept + 0.5) * seconds,
        edges=np.array([0.0, *between, length]) * seconds,
        truth=metrics.snippet_labels(test.segments[video], length, seconds)[kept],
        attention=merge_repeats(index, scores["attention"][video].mean(0)),
        clusters=None if clusters is None else merge_repeats(index, clusters),
        cat=settings.case.cat,
        threshold=settings.metrics.acc_threshold,
    )


def merge_repeats(index: np.ndarray, values: np.ndarray) -> np.ndarray:
    """One value for each snippet: the mean over its positions on the grid."""
    _, inverse = np.unique(index, return_inverse=True)
    return np.bincount(inverse, values) / np.bincount(inverse)


def merge_spans(mask: np.ndarray, edges: np.ndarray) -> list[Span]:
    """Runs of marked snippets as spans; ``edges`` are the snippets' boundaries, one more than snippets."""
    steps = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(float(edges[start]), float(edges[end])) for start, end in zip(starts, ends)]


def keep_longest(spans: Sequence[Span], most: int, shortest: float) -> list[Span]:
    """The longest spans of at least ``shortest`` seconds, in order of time."""
    long = [span for span in spans if span[1] - span[0] >= shortest]
    return sorted(sorted(long, key=lambda span: span[0] - span[1])[:most])
