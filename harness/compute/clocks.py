"""Positions of the sampled grid as times, and back, where a baseline samples some snippets more often than others.

A *clock* (n + 1,), NaN beyond a video's end, says how many sampled snippets lie before each snippet
(``model.segments``).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from harness.data.sampling import uniform
from model.segments import sampled

GRID = ("attention", "clusters", "P_C")  # scores (V, M, T, ...) that are measured snippet by snippet


class Timing(NamedTuple):
    """How P sequences lie in time: seconds per fine position, seconds in all, and their clocks, if there are any."""

    step: np.ndarray  # (P,)
    seconds: np.ndarray  # (P,)
    clocks: np.ndarray | None = None  # (P, n + 1)

    def time(self, sequence: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Seconds of fine positions (n,) of the sequences with these indices (n,)."""
        times = position * self.step[sequence]
        if self.clocks is None:
            return times
        out = np.empty(len(times))
        for which in np.unique(sequence):
            own, clock, span = sequence == which, ended(self.clocks[which]), self.seconds[which]
            out[own] = span * np.interp(times[own] / span, clock / clock[-1], np.linspace(0, 1, len(clock)))
        return out


def ended(clock: np.ndarray) -> np.ndarray:
    """A clock without what lies beyond the video's end."""
    return clock[~np.isnan(clock)]


def even_out(scores: Mapping[str, np.ndarray], T: int) -> Mapping[str, np.ndarray]:
    """Scores as T evenly spaced snippets would show them: of each snippet those of the nearest sampled one."""
    if not {"clock", "positions"} & set(scores):
        return scores
    counts = scores.get("positions", np.full(len(scores["attention"]), scores["attention"].shape[2]))
    nearest = uniform(counts, T)  # (V, T)
    if "clock" in scores:
        nearest = np.stack([find_nearest(ended(clock), n, T) for clock, n in zip(scores["clock"], counts)])
    at = {name: nearest[:, None, :, *(None,) * (scores[name].ndim - 3)] for name in GRID if name in scores}
    return {**scores, **{name: np.take_along_axis(scores[name], index, 2) for name, index in at.items()}}


def find_nearest(clock: np.ndarray, count: int, T: int) -> np.ndarray:
    """Of ``count`` positions sampled by a clock, which is nearest to each of T evenly spaced snippets; (T,)."""
    line, n = sampled(clock), len(clock) - 1
    shown = line[uniform(np.array([len(line)]), count)[0]]
    return np.round(np.interp(uniform(np.array([n]), T)[0], shown, np.arange(count))).astype(np.int64)
