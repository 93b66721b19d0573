"""Seconds of work that is done in turn, and what they are summed up to."""

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

Work = Callable[[], Any]
Seconds = dict[str, list[float]]


def time_call(work: Work) -> tuple[float, Any]:
    """Seconds of a call, and what it gave."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def time_in_turn(kinds: Mapping[str, Work], rounds: int) -> Seconds:
    """Seconds of each kind of work, one after the other in each round; a first round is not counted."""
    seconds: Seconds = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, work in kinds.items():
            took, _ = time_call(work)
            seconds[name] += [took] if number else []
    return seconds


def summarise(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def summarise_all(seconds: Seconds) -> dict[str, dict[str, float]]:
    return {name: summarise(values) for name, values in seconds.items()}


def divide(reference: Sequence[float], own: Sequence[float]) -> list[float]:
    """Ratios round by round: what else the machine did in a round slowed both."""
    return [slow / fast for slow, fast in zip(reference, own)]
