"""The executors: what gives jobs to workers and tells what becomes of them. A new one is a function and a line here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from harness.execute.events import LENIENT, OnEvent, Policy, RunJobs, Slot
from harness.store.jobs import Job


@dataclass(frozen=True)
class Executor:
    """A function that does jobs on run slots and tells events; without ``waits`` it returns before there are results.

    Its ``place`` is "module.function" below ``harness.execute``, imported when it runs: ``--help`` needs names only.
    """

    place: str
    waits: bool = True
    package: str = ""  # that must be installed; an extra of the same name brings it

    @property
    def run(self) -> RunJobs:
        """The function itself."""
        module, function = self.place.split(".")
        found: RunJobs = getattr(import_module(f"harness.execute.{module}"), function)
        return found

    @property
    def lacks(self) -> str:
        """The package that is not installed; empty when it is or none is needed."""
        return self.package if self.package and find_spec(self.package) is None else ""


def print_jobs(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Slot], policy: Policy = LENIENT) -> None:
    """The executor "print": say what would run, one line per job."""
    for job in jobs:
        print(describe(job))


def describe(job: Job) -> str:
    """What a job does: "train 0f3a... table2 row 7+8, seed 1 (2 scorings)"."""
    verb, number = "score" if job.rescore else "train", len(job.scorings)
    noun = "scoring" if number == 1 else "scorings"
    return f"{verb} {job.training_key} {job.label} ({number} {noun})"


EXECUTORS: Mapping[str, Executor] = {
    "local": Executor("pool.run_local"),
    "ray": Executor("cluster.run_on_ray", package="ray"),
    "print": Executor("executors.print_jobs", waits=False),
}
