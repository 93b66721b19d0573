"""What travels between a driver and its workers: a job, and how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.settings import Settings

CHECKPOINT_EVERY = 300.0  # seconds between two checkpoints of a training, so that short ones write none


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
    watched: frozenset[str] = frozenset()  # scoring keys that are evaluated during training, too, for their curves
    checkpoint_every: float = CHECKPOINT_EVERY  # seconds; it changes no result and is part of no key

    def find_due(self, step: int) -> Mapping[str, Settings]:
        """The scorings to evaluate after a step at which the training is looked at: all of them after the last."""
        if step == self.settings.training.steps:
            return self.scorings
        return {key: scoring for key, scoring in self.scorings.items() if key in self.watched}


@dataclass(frozen=True)
class Progress:
    """How far a job is; ``value`` is map/avg (percent) of its first scoring evaluated so far, None where none is."""

    training_key: str
    step: int
    steps: int
    value: float | None = None
    loss: float | None = None
