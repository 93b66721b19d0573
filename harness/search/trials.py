"""Trials -> numbers. ``Trained`` asks the run store and trains what it lacks; ``Rescored`` only reads stored scores.

Both are an ``Evaluate``: (trial number, its values) and seeds -> per trial, per seed, what was measured.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from harness import data
from harness.errors import ConfigError
from harness.execute.events import Event, Slot
from harness.execute.pool import run_local
from harness.execute.slots import environment
from harness.search.task import Params, Task, applied, held_out
from harness.settings import Settings
from harness.store import results
from harness.store.plan import plan
from harness.study import Run, Study, keys

Candidate = tuple[int, Params]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """Metrics of one seed of a trial, training seconds and memory among them; or why there are none."""

    values: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


Evaluate = Callable[[Sequence[Candidate], Sequence[int]], list[list[Measured]]]


@dataclass
class Trained:
    """Trains each trial under each seed; runs come from the run store and go to it."""

    task: Task
    root: Path
    slots: Sequence[Slot]
    say: Say = print
    trainings: int = 0  # done here, not found in the store

    def __call__(self, candidates: Sequence[Candidate], seeds: Sequence[int]) -> list[list[Measured]]:
        found: list[Settings | str] = []
        for _, params in candidates:
            try:
                found.append(applied(held_out(self.task.default), params))
            except ConfigError as error:
                found.append("; ".join(error.errors))
        settings = {n: s for (n, _), s in zip(candidates, found) if isinstance(s, Settings)}
        measured = self.run(settings, seeds)
        lost = {n: s for (n, _), s in zip(candidates, found) if isinstance(s, str)}
        return [[Measured(reason=lost[n]) if n in lost else measured[n, s] for s in seeds] for n, _ in candidates]

    def run(self, settings: Mapping[int, Settings], seeds: Sequence[int]) -> dict[tuple[int, int], Measured]:
        """Settings by number under seeds, finished ones taken from the store."""
        return self.all([(number, own, seed) for number, own in settings.items() for seed in seeds])

    def all(self, wanted: Sequence[tuple[int, Settings, int]]) -> dict[tuple[int, int], Measured]:
        """(number, settings, seed) -> what was measured, by number and seed."""
        runs = [run_of(self.task.study, number, own, seed, self.root) for number, own, seed in wanted]
        found = plan([replace(self.task.study, runs=runs)], self.root)
        todo = [replace(job, label=job.label.replace(" row ", " trial ")) for job in found.todo]
        self.trainings += found.trainings
        if todo:
            run_local(todo, self.hear, self.slots)
        return {(run.row, run.seed): measured(self.root, run) for run in runs}

    def hear(self, event: Event) -> None:
        """Say what failed, with its log."""
        if event.kind == "failed":
            log = results.training_folder(self.root, event.job.training_key) / "log.txt"
            self.say(f"{event.job.label}: FAILED ({event.reason}); log: {log}")


def run_of(study: Study, number: int, settings: Settings, seed: int, root: Path) -> Run:
    """A run of these settings; the trial's number stands where a row's would."""
    training, scoring = keys.keys(settings, seed, data.fingerprint(settings.source, root))
    return Run(study.name, number, seed, settings, training, scoring, ())


def measured(root: Path, run: Run) -> Measured:
    """What the store holds of a run."""
    state = results.status(root, run)
    training = results.read_training(root, run.training_key) or {}
    result = results.read_result(root, run.training_key, run.scoring_key)
    if state != "ok" or result is None:
        return Measured(reason=str(training.get("reason") or state))
    own = {"seconds": float(training["seconds"]["total"]), "memory_gb": training["peak_mb"] / 1024}
    return Measured({**result["metrics"], **own})


@dataclass
class Rescored:
    """Reads the stored scores of a few finished trainings anew, on a process per slot: no training per trial."""

    trained: Trained
    ready: bool = False
    pool: ProcessPoolExecutor | None = None

    def __call__(self, candidates: Sequence[Candidate], seeds: Sequence[int]) -> list[list[Measured]]:
        """Train under the seeds once, then score each trial; RuntimeError where a training failed."""
        task, root, slots = self.trained.task, self.trained.root, len(self.trained.slots)
        if not self.ready:
            done = self.trained.run({0: held_out(task.default)}, seeds)
            if reasons := [found.reason for found in done.values() if found.reason]:
                raise RuntimeError(f"no stored scores to read: {reasons[0]}")
            self.ready = True
        score = partial(rescored, task, root, list(seeds))
        params = [own for _, own in candidates]
        if slots == 1 or len(params) < slots:
            return [score(own) for own in params]
        if self.pool is None:
            with environment(self.trained.slots[0]):
                self.pool = ProcessPoolExecutor(
                    slots, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN)
                )
                return list(self.pool.map(score, params))  # starts the processes, inside their environment
        return list(self.pool.map(score, params))

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)


def rescored(task: Task, root: Path, seeds: Sequence[int], params: Params) -> list[Measured]:
    """One trial of settings that only scoring reads."""
    from harness.compute.score import evaluate

    try:
        settings = applied(held_out(task.default), params)
        found = [loaded(root, task, seed) for seed in seeds]
        return [Measured(evaluate(scores, settings, truth, classes)[0]) for scores, truth, classes in found]
    except (ConfigError, ValueError, KeyError) as error:
        return [Measured(reason=f"{type(error).__name__}: {error}")]


LOADED: dict[str, Any] = {}  # in a scoring process: training key -> scores, truth, classes


def loaded(root: Path, task: Task, seed: int) -> Any:
    """Stored scores of the default settings under a seed, with what they are held against."""
    from harness.compute.score import Truth

    own = held_out(task.default)
    key = run_of(task.study, 0, own, seed, root).training_key
    if key not in LOADED:
        dataset = data.load(own.source, root)
        truth = Truth.of(dataset.test, own.training.snippets)
        LOADED[key] = (results.read_scores(root, key), truth, dataset.classes)
    return LOADED[key]


def evaluator(task: Task, root: Path, slots: Sequence[Slot], say: Say) -> tuple[Evaluate, Trained]:
    """How the trials of ``task`` are measured, and what trains for it."""
    trained = Trained(task, root, slots, say)
    return (Rescored(trained) if task.rescores else trained), trained
