"""Held-out training videos, to choose settings on without looking at the test split."""

import numpy as np

from harness.data.cache import PendingDataset
from harness.data.dataset import Dataset, PendingSplit, Split


def draw_held_out(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
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


def pend(dataset: Dataset, widths: tuple[int, ...], share: float, seed: int) -> PendingDataset:
    """``dataset`` with its training videos divided into kept (train) and held-out ones (test)."""
    mask = draw_held_out(dataset.train.labels, share, seed)
    kept, held = (pend_videos(dataset.train, np.flatnonzero(videos)) for videos in (~mask, mask))
    return PendingDataset(dataset.name, dataset.classes, dataset.streams, kept, held, widths)


def pend_videos(split: Split, videos: np.ndarray) -> PendingSplit:
    """The videos at these positions."""
    bounds = [slice(split.offsets[v], split.offsets[v + 1]) for v in videos]
    return PendingSplit(split.subset(videos, features=False), (split.features[b] for b in bounds))
