"""Which videos make a batch, and T snippets of each, as the released code picks them (reference notes, row 25)."""

from collections.abc import Iterator

import numpy as np

from harness.data.dataset import Split


def uniform(lengths: np.ndarray, T: int) -> np.ndarray:
    """Testing: T evenly spaced snippets, floor(t n / T); short videos repeat theirs. (B,) -> (B, T) int64."""
    return np.arange(T) * np.asarray(lengths, np.int64)[:, None] // T


def stratified(lengths: np.ndarray, T: int, rng: np.random.Generator) -> np.ndarray:
    """Training: one random snippet from each of T bins; every snippet of a video of exactly T. (B,) -> (B, T) int64.

    Bin t is floor(t n / T) .. floor((t+1) n / T), both ends included (the last one ends at n - 1), as released.
    """
    n = np.asarray(lengths, np.int64)[:, None]
    first = uniform(lengths, T)
    last = np.minimum((np.arange(T) + 1) * n // T, n - 1)
    drawn = first + (rng.random(first.shape) * (last - first + 1)).astype(np.int64)
    return np.where(n == T, np.arange(T), drawn)


def distinct(split: Split, videos: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each snippet of a batch once: where it stands in the split (R,), and which of them each position shows (B, T).

    ``indices`` (B, T) are the snippets sampled of ``videos`` (B,); short videos repeat theirs.
    """
    snippets, rows = np.unique(split.offsets[videos][:, None] + indices, return_inverse=True)
    return snippets, rows.reshape(indices.shape)


def between(split: Split, videos: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As ``distinct``, at real places (B, T) in snippets of each video: the snippet before each, how far it is from it.

    A place outside 0 .. n - 1 lies on the line through the two nearest snippets. (R,), (R,), (B, T).
    """
    first, n = split.offsets[videos][:, None], split.lengths[videos][:, None]
    _, chosen, rows = np.unique(first + places, return_index=True, return_inverse=True)
    left = np.clip(np.floor(places).astype(np.int64), 0, np.maximum(n - 2, 0))
    share = np.where(n > 1, places - left, 0)
    return (first + left).flat[chosen], share.flat[chosen], rows.reshape(places.shape)


def orders(videos: int, batch: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches of video indices: epoch after epoch in a new order, the incomplete last batch dropped."""
    size = min(batch, videos)
    while True:
        order = rng.permutation(videos)
        yield from order[: videos // size * size].reshape(-1, size)


def paired(labels: np.ndarray, batch: int, pairs: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Batches that begin with ``pairs`` pairs of videos that share a class, drawn anew each time; labels (V, C).

    As many classes as there are pairs are drawn, two videos of each, and the rest of the batch from all other videos.
    """
    shared = np.flatnonzero(labels.sum(0) >= 2)
    size = max(min(batch, len(labels)), 2 * pairs)
    while True:
        classes = rng.choice(shared, pairs, replace=len(shared) < pairs)
        drawn = [rng.choice(np.flatnonzero(labels[:, c]), 2, replace=False) for c in classes]
        leading = np.concatenate(drawn)
        others = np.setdiff1d(np.arange(len(labels)), leading)
        yield np.concatenate([leading, rng.choice(others, min(size - 2 * pairs, len(others)), replace=False)])
