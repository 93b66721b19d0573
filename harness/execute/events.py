"""What executors and those who listen to them agree on: events, workers, run slots, and when a run is given up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol

from harness.store.jobs import Job, Progress

DIED = "worker died"  # so begins the reason of a job whose worker ended without a word

Tell = Callable[[Progress], None]
Worker = Callable[[Job, Tell], str]  # returns why the job failed, or ""
Slot = Mapping[str, str]  # environment of the worker of one run slot


@dataclass(frozen=True)
class Event:
    """What happened to a job. ``reason`` says why a failed one failed; ``seconds`` is wall time of an ended one."""

    job: Job
    kind: Literal["started", "progress", "ok", "failed"]
    progress: Progress | None = None
    reason: str = ""
    seconds: float = 0.0


OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class Policy:
    """When a run is given up, in seconds: after ``time_limit``, or where its worker neither speaks nor computes.

    ``fail_fast``: no further run starts once one has failed.
    """

    time_limit: float = inf
    stall: float = 600.0
    fail_fast: bool = False


LENIENT = Policy()


class RunJobs(Protocol):
    """What an executor is: it does jobs on run slots under a policy, and tells events."""

    def __call__(
        self, jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Slot], policy: Policy = LENIENT
    ) -> None: ...
