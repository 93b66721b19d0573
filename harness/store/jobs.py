"""What travels between a driver and its workers: a job, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.settings import Settings


@dataclass(frozen=True)
class Job:
    """One training and the scorings asked of it; what travels to a worker."""

    training_key: str
    settings: Settings
    seed: int
    scorings: Mapping[str, Settings]  # scoring key -> settings, equal but for what only scoring reads
    root: Path  # the mlruns folder
    label: str  # for people: "row 3 seed 1"
    rescore: bool = False  # the training is finished: only scorings are missing


@dataclass(frozen=True)
class Progress:
    """How far a job is; ``value`` is map/avg (percent) of its first scoring at the last evaluation."""

    training_key: str
    step: int
    steps: int
    value: float | None = None
