"""Held-out training videos, to choose settings on without looking at the test split."""

import numpy as np

from harness.data.cache import Plan
from harness.data.dataset import Dataset, Draft, Split


def held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mask (V,) of the videos held out: ``share`` of the videos of each class, up to one video. labels (V, C).

    A video counts for the rarest of its classes. Every class keeps at least one training video.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3,)))
    counts = labels.sum(0)
    rarest = np.where(labels > 0, counts, np.inf).argmin(1)
    order = rng.permutation(len(labels))
    order = order[np.argsort(rarest[order], kind="stable")]
    steps = np.diff(np.floor(np.arange(len(labels) + 1) * share + rng.random()))
    mask = np.zeros(len(labels), bool)
    mask[order] = steps > 0
    for missing in np.flatnonzero((counts > 0) & (labels[~mask].sum(0) == 0)):
        mask[np.flatnonzero(labels[:, missing])[0]] = False
    return mask


def plan(dataset: Dataset, share: float, seed: int) -> Plan:
    """``dataset`` with its training videos divided into kept (train) and held-out ones (test)."""
    mask = held_out(dataset.train.labels, share, seed)
    kept, held = (draft(dataset.train, np.flatnonzero(videos)) for videos in (~mask, mask))
    return Plan(dataset.name, dataset.classes, dataset.streams, kept, held)


def draft(split: Split, videos: np.ndarray) -> Draft:
    bounds = [slice(split.offsets[v], split.offsets[v + 1]) for v in videos]
    return Draft(split.subset(videos, features=False), (split.features[b] for b in bounds))
