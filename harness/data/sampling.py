"""T snippets of each video, as the released code picks them (reference notes, row 25), and their features."""

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


def gather(split: Split, videos: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Features of the snippets ``indices`` (B, T) of ``videos`` (B,): (M, B, T, D) float32, contiguous."""
    rows = split.offsets[videos][:, None] + indices  # (B, T)
    picked = np.asarray(split.features)[rows]  # (B, T, M, D)
    return np.ascontiguousarray(np.moveaxis(picked, 2, 0))
