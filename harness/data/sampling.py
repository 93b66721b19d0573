"""Which videos make a batch, and T snippets of each, as the released code picks them (reference notes, row 25)."""

from collections.abc import Iterator

import numpy as np

from harness.data.dataset import Split
from harness.settings import Training


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


def replaced(lengths: np.ndarray, T: int, rng: np.random.Generator) -> np.ndarray:
    """As ``stratified``, but T draws with replacement, in order, of videos shorter than T (ACM-Net's release).

    The last bin reaches from the snippet chosen before it to n - 1. (B,) -> (B, T) int64.
    """
    n = np.asarray(lengths, np.int64)[:, None]
    drawn, numbers = stratified(lengths, T, rng), rng.random((len(n), T))
    if T > 1:
        first = drawn[:, -2:-1]
        last = first + (numbers[:, -1:] * (n - first)).astype(np.int64)
        drawn = np.where(n > T, np.concatenate([drawn[:, :-1], last], 1), drawn)
    return np.where(n < T, np.sort((numbers * n).astype(np.int64), 1), drawn)


def windows(lengths: np.ndarray, longest: int, rng: np.random.Generator | None) -> np.ndarray:
    """Training on whole videos: all snippets, or a random run of ``longest`` (0: no limit; without ``rng`` the first).

    (B,) -> (B, T) int64, T that of the longest; what lies beyond a shorter video is -1.
    """
    n = np.asarray(lengths, np.int64)
    kept = np.minimum(n, longest) if longest else n
    first = np.zeros_like(n) if rng is None else (rng.random(len(n)) * (n - kept + 1)).astype(np.int64)
    time = np.arange(kept.max())
    return np.where(time < kept[:, None], first[:, None] + time, -1)


def draw_snippets(lengths: np.ndarray, training: Training, rng: np.random.Generator) -> np.ndarray:
    """The snippets of training videos in a step, (B, T), as ``training.sampling`` says; -1 is padding."""
    if training.sampling == "window":
        return windows(lengths, training.longest, rng)
    draw = replaced if training.sampling == "draws" else stratified
    return draw(lengths, training.snippets, rng)


def list_snippets(lengths: np.ndarray, training: Training) -> np.ndarray:
    """All that a pass over training videos shows, without chance, (B, T): evenly spaced, or from the first on."""
    if training.sampling == "window":
        return windows(lengths, training.longest, None)
    return uniform(lengths, training.snippets)


def count_positions(lengths: np.ndarray, training: Training) -> np.ndarray:
    """How many positions a test video has, (V,), as ``training.testing`` says."""
    T, most = training.snippets, training.longest or int(lengths.max())
    counts = {"stretch": np.full_like(lengths, T), "keep": np.minimum(lengths, T), "whole": np.minimum(lengths, most)}
    return counts[training.testing]


def distinct(split: Split, videos: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each snippet of a batch once: where it stands in the split (R,), and which of them each position shows (B, T).

    ``indices`` (B, T) are the snippets sampled of ``videos`` (B,); short videos repeat theirs. -1 stands for
    padding and is a snippet of its own.
    """
    numbers = np.where(indices < 0, -1, split.offsets[videos][:, None] + indices)
    snippets, rows = np.unique(numbers, return_inverse=True)
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
