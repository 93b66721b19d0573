"""A call of ``python -m harness.run`` between loading and reporting: data, plan, jobs, further seeds, status."""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from harness.execute.events import Policy
from harness.execute.executors import Executor, describe
from harness.store.jobs import CHECKPOINT_EVERY
from harness.store.plan import GUESS, Plan, estimate_seconds, make_plan

if TYPE_CHECKING:
    from harness.store.records import Record
    from harness.study import Study


@dataclass(frozen=True)
class Session:
    """How the runs of a call are done: where results go, by what, how many at once, and what is done again."""

    root: Path
    executor: Executor
    policy: Policy
    jobs: int | None = None  # runs at once; None: as many as there are cores or GPUs
    runs_per_gpu: int = 1
    accept_stale: bool = False
    again: frozenset[str] = frozenset()  # statuses of trainings that are repeated
    may_grow: bool = True  # sequential studies get seeds until their claims are decided
    budget: float = inf  # seconds; no look at more seeds begins that would end later
    checkpoint_every: float = CHECKPOINT_EVERY  # seconds between two checkpoints of a run

    def plan(self, studies: Sequence["Study"]) -> Plan:
        return make_plan(studies, self.root, self.accept_stale, self.again)


def prepare_data(studies: Sequence["Study"], root: Path) -> list[str]:
    """Make or check each data set once, before any worker starts; returns everything that is wrong."""
    from harness import data

    sources = {repr(run.settings.source): run.settings.source for study in studies for run in study.runs}
    errors: list[str] = []
    for source in sources.values():
        try:
            data.load(source, root)
        except data.DataError as error:
            errors += error.errors
    return list(dict.fromkeys(errors))


def run_studies(studies: list["Study"], session: Session) -> list["Study"]:
    """Do what is missing, look after look for sequential studies; returns them with the seeds they ended with."""
    from harness.claims.sequential import plan_look
    from harness.store import records, requests

    again = session.again
    start = time.monotonic()
    while True:
        if session.executor.waits:  # before the plan: what it finds finished is not pruned then
            studies = [requests.note_request(study, session.root) for study in studies]
        plan = make_plan(studies, session.root, session.accept_stale, again)
        tell_notices(studies, plan, session.accept_stale)
        if plan.todo:
            hand_over(plan, studies, session)
        grown = [plan_look(records.read(study, session.root)) for study in studies] if session.may_grow else []
        if not any(grown):
            return studies
        further = [new or old for new, old in zip(grown, studies)]
        if not fits_budget(further, session, time.monotonic() - start):
            return studies
        studies = further
        again = frozenset()  # once is enough


def fits_budget(studies: Sequence["Study"], session: Session, spent: float) -> bool:
    """Whether the next look at ``studies`` ends within the budget; says what is left where it does not."""
    from harness.execute.board import duration
    from harness.execute.slots import find_slots

    if session.budget == inf:
        return True
    plan = session.plan(studies)
    more, _ = estimate_seconds(plan, len(find_slots(session.jobs, session.runs_per_gpu)))
    if not plan.todo or spent + more <= session.budget:
        return True
    print(
        f"budget: {duration(spent)} of {duration(session.budget)} spent; the next look takes {plan.trainings} "
        f"trainings, about {duration(more)}; the same command without --budget goes on from here",
        file=sys.stderr,
    )
    return False


def hand_over(plan: Plan, studies: Sequence["Study"], session: Session) -> None:
    """Give the jobs to the executor."""
    from harness.cli import terminal
    from harness.execute.board import Board
    from harness.execute.slots import find_slots

    slots = find_slots(session.jobs, session.runs_per_gpu)
    if not session.executor.waits:
        return session.executor.run(plan.todo, print, slots)
    jobs = [replace(job, checkpoint_every=session.checkpoint_every) for job in plan.todo]
    with Board(studies, plan, session.root, len(slots), terminal()) as board:
        session.executor.run(jobs, board, slots, session.policy)


def tell_notices(studies: Sequence["Study"], plan: Plan, accepted: bool) -> None:
    """Say which studies lack their data, what is damaged, and never mix results of different sources silently."""
    for study in studies:
        if study.missing:
            print(f"{study.name}: not run: {study.missing}", file=sys.stderr)
    for path in plan.damaged:
        print(f"{path}: damaged; it counts as missing and is made again", file=sys.stderr)
    if plan.stale:
        what = "kept and marked (--accept-stale)" if accepted else "trained again (--accept-stale keeps them)"
        print(f"{len(plan.stale)} trainings are from other sources: {what}", file=sys.stderr)


def follow_looks(study: "Study", session: Session) -> "Study":
    """A sequential study with the seeds of the look that it has come to: the first at which there is something to do.

    That is where ``run_studies`` would go on. What is asked for a first time stays as it is, without statistics.
    """
    while may_get_seeds(study, session) and not session.plan([study]).todo:
        from harness.claims.sequential import plan_look
        from harness.store import records

        further = plan_look(records.read(study, session.root))
        if further is None:
            return study
        study = further
    return study


def may_get_seeds(study: "Study", session: Session) -> bool:
    """Whether claims that stay undecided bring a study further seeds."""
    if study.until is None or study.quick or not session.may_grow:
        return False
    return 0 < len({run.seed for run in study.runs}) < study.until.at_most


def tell_further(study: "Study", session: Session) -> None:
    """Say of a sequential study that has something to do that more may follow."""
    if study.until and may_get_seeds(study, session) and session.plan([study]).todo:
        print(f"{study.name}: then up to {study.until.at_most} seeds for rows of claims that are undecided still")


def tell_plan(asked: Sequence["Study"], session: Session) -> None:
    """Print the jobs of the next look: finished, and to do with the time they will take."""
    studies = [follow_looks(study, session) for study in asked]
    plan = session.plan(studies)
    for job in plan.done:
        print(f"done  {job.training_key} {job.label}")
    for job in plan.todo:
        print(describe(job))
    rescored = len(plan.todo) - plan.trainings
    print(f"{', '.join(study.name for study in studies)}: {len(plan.done)} finished,", end=" ")
    print(f"{plan.trainings} to train, {rescored} to score again{tell_time_left(plan, session)}")
    for study in studies:
        tell_further(study, session)
    tell_notices(studies, plan, session.accept_stale)


def tell_time_left(plan: Plan, session: Session) -> str:
    """How long the jobs of a plan will take; empty where there are none."""
    from harness.execute.board import duration
    from harness.execute.slots import find_slots

    if not plan.todo:
        return ""
    slots = len(find_slots(session.jobs, session.runs_per_gpu))
    seconds, known = estimate_seconds(plan, slots)
    basis = "from earlier runs of this scale" if known else f"guessing {GUESS:.0f} s a run, none of this scale is here"
    return f"; about {duration(seconds)} on {slots} processes ({basis})"


def tell_status(studies: Sequence["Study"], session: Session) -> None:
    """Print per study what is finished, running (where, since when), failed and to do, and the time that is left."""
    from harness.store import records
    from harness.store.checkpoints import tell_step
    from harness.store.locks import find_owner

    for study in (follow_looks(study, session) for study in studies):
        read = records.read(study, session.root).records
        finished = sum(record.finished for record in read)
        print(
            f"{study.name}: {finished} of {len(read)} results finished{tell_time_left(session.plan([study]), session)}"
        )
        tell_further(study, session)
        for record in list_unfinished(read):
            owner = find_owner(session.root, record.run.training_key)
            what = f"{record.run.training_key} row {record.run.row}, seed {record.run.seed}"
            if owner is not None:
                since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(owner.since))
                print(f"  running {what}: on {owner.host}, process {owner.pid}, since {since}")
            elif record.status in {"failed", "nan"}:
                print(f"  {record.status} {what}: {record.training['reason']}")
            elif step := tell_step(session.root, record.run.training_key):
                print(f"  waiting {what}: goes on after step {step} of {record.run.settings.training.steps}")


def list_unfinished(read: Sequence["Record"]) -> Iterator["Record"]:
    """The first record of each training that has not finished."""
    unfinished = {record.run.training_key: record for record in reversed(read) if not record.finished}
    yield from reversed(unfinished.values())
