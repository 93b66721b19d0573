"""A data set in numbers: per split, per video, per instance and per class."""

from dataclasses import dataclass

import numpy as np

from harness.data.dataset import Split


@dataclass(frozen=True)
class Facts:
    """What the videos of a split are like."""

    videos: int
    snippets: int
    instances: int
    labels: float  # classes per video
    foreground: float  # share of a video's time inside a segment, mean over videos
    lengths: np.ndarray  # (V,) seconds
    durations: np.ndarray  # (n,) seconds of each instance
    counts: np.ndarray  # (V,) instances per video
    rates: np.ndarray  # (V,) seconds per snippet
    per_class: np.ndarray  # (C,) instances

    def as_json(self) -> dict[str, object]:
        """The same as plain values, ranges as [lowest, median, highest]."""
        out: dict[str, object] = {name: getattr(self, name) for name in ("videos", "snippets", "instances")}
        out |= {"labels_per_video": round(self.labels, 4), "foreground_share": round(self.foreground, 4)}
        ranges = {"seconds": self.lengths, "instance_seconds": self.durations, "snippet_seconds": self.rates}
        return out | {name: find_range(values) for name, values in ranges.items()}


def find_range(values: np.ndarray) -> list[float]:
    """Lowest, median and highest value; empty where there is none."""
    known = values[np.isfinite(values)]
    return [round(float(v), 4) for v in np.quantile(known, [0, 0.5, 1])] if known.size else []


def collect_facts(split: Split) -> Facts:
    """The facts of a split; its features are not read."""
    lengths = split.lengths * split.snippet_seconds
    segments = np.concatenate([np.zeros((0, 3)), *split.segments])
    shares = [measure_foreground(found, end) for found, end in zip(split.segments, lengths) if end > 0]
    return Facts(
        videos=len(split.ids),
        snippets=int(split.offsets[-1]),
        instances=len(segments),
        labels=float(split.labels.sum(1).mean()),
        foreground=float(np.mean(shares)) if shares else 0.0,
        lengths=lengths,
        durations=segments[:, 1] - segments[:, 0],
        counts=np.array([len(found) for found in split.segments]),
        rates=split.snippet_seconds,
        per_class=np.bincount(segments[:, 2].astype(np.int64), minlength=split.labels.shape[1]),
    )


def measure_foreground(segments: np.ndarray, end: float) -> float:
    """Share of [0, ``end``] that lies inside one of the segments (n, 3), overlaps counted once."""
    covered, reached = 0.0, 0.0
    for start, stop, _ in segments[np.argsort(segments[:, 0], kind="stable")]:
        covered += max(0.0, min(stop, end) - max(start, reached))
        reached = max(reached, min(stop, end))
    return covered / end
