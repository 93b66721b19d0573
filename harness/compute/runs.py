"""Runs of positions at which a sequence reaches a threshold; numpy only."""

import numpy as np

Spans = tuple[np.ndarray, np.ndarray, np.ndarray]  # row, first and last position of runs


def upsample(sequences: np.ndarray, scale: int) -> np.ndarray:
    """(P, T) -> (P, scale T) float64: linear at positions i / scale, the last slope continued beyond the last snippet.

    Slopes are taken in the precision of the scores, and a snippet's own position belongs to the slope before it, as in
    the released code.
    """
    T = sequences.shape[1]
    if scale == 1:
        return sequences
    if T == 1:
        return np.repeat(sequences, scale, axis=1)
    position = np.arange(scale * T) / scale
    left = np.clip(np.ceil(position).astype(np.int64) - 1, 0, T - 2)
    return sequences[:, left] + (position - left) * np.diff(sequences, axis=1)[:, left]


def find_runs(mask: np.ndarray, lone_first: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximal runs of True in each row of mask (P, F): row, first, last; {0} gives none (``lone_first``)."""
    P, F = mask.shape
    padded = np.zeros((P, F + 2), bool)
    padded[:, 1:-1] = mask
    edges = np.flatnonzero(padded[:, 1:] != padded[:, :-1])  # begin and end of each run in turn
    row, first = np.divmod(edges[::2], F + 1)
    last = edges[1::2] % (F + 1) - 1
    keep = np.ones(len(row), bool)
    if lone_first:
        keep = (last > 0) | (np.bincount(row, minlength=P)[row] > 1)
    return row[keep], first[keep], last[keep]


def reaches(values: np.ndarray, threshold: float, rule: str) -> np.ndarray:
    """Whether values reach a threshold: "from" it on, or "above" it."""
    return values > threshold if rule == "above" else values >= threshold
