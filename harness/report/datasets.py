"""What a study's data sets hold: videos, classes, snippets, features, and the share of foreground among snippets."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np

from harness.compute.metrics import snippet_labels
from harness.data import Dataset
from harness.data.cache import read_whole
from harness.data.dataset import Split
from harness.store.records import Records


@dataclass(frozen=True)
class Holding:
    """One split of a data set in numbers; ``foreground`` is a share of its snippets, NaN where none is annotated."""

    name: str
    split: str
    classes: int
    videos: int
    hours: float
    snippets: int
    streams: str  # "rgb 64, flow 64": features of each stream
    instances: int
    foreground: float


def list_holdings(records: Records) -> Iterator[Holding]:
    """Both splits of each data set of a study, as far as the copies that training reads are there."""
    prints = dict.fromkeys(row.fingerprint for row in records.study.rows)
    for fingerprint in prints:
        found = read_whole(records.root / "data" / fingerprint) if fingerprint else None
        if found is not None:
            yield describe_split(found, "training", found.train)
            yield describe_split(found, "test", found.test)


def describe_split(dataset: Dataset, name: str, split: Split) -> Holding:
    """A split in numbers."""
    widths = dataset.widths or (split.features.shape[-1],) * len(dataset.streams)
    streams = ", ".join(f"{stream} {width}" for stream, width in zip(dataset.streams, widths))
    hours = float((split.lengths * split.snippet_seconds).sum()) / 3600
    snippets, instances = int(split.lengths.sum()), sum(map(len, split.segments))
    counts = (len(dataset.classes), len(split.ids), hours, snippets, streams, instances)
    return Holding(dataset.name, name, *counts, measure_foreground(split) if instances else nan)


def measure_foreground(split: Split) -> float:
    """Share of a split's snippets that lie in an annotated action."""
    inside = 0
    for segments, length, seconds in zip(split.segments, split.lengths, split.snippet_seconds):
        inside += int(np.count_nonzero(snippet_labels(segments, int(length), float(seconds))))
    return inside / max(1, int(split.lengths.sum()))
