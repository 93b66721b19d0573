"""Trials -> numbers: ``TrainingEvaluator`` trains what the run store lacks, ``ScoringEvaluator`` reads stored scores.

Both are an ``Evaluate``: (trial number, its values) and seeds -> per trial, per seed, what was measured.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

from harness import data
from harness.claims.wording import say_number
from harness.errors import ConfigError
from harness.execute.events import DIED, Event, RunJobs, Slot
from harness.execute.pool import run_local
from harness.execute.slots import environment
from harness.report.figures import ignore
from harness.search.task import Task, hold_out
from harness.settings import Settings
from harness.store import results
from harness.store.jobs import Job
from harness.store.plan import make_plan
from harness.store.requests import note_request
from harness.study import Run, Study, keys
from harness.study.tune import Values, set_values

ATTEMPTS = 3  # at a training or scoring whose worker dies, before its trial fails

Candidate = tuple[int, Values]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Measurement:
    """Metrics of one seed of a trial, training seconds and memory among them; or why there are none."""

    values: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """A trial that ended. ``seeds``: per objective, the value under each seed that was measured; then their means."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    values: Values
    seeds: tuple[tuple[float, ...], ...]
    objectives: tuple[float, ...] = ()  # empty unless complete
    feasible: bool = True
    reason: str = ""


Evaluate = Callable[[Sequence[Candidate], Sequence[int]], list[list[Measurement]]]


@dataclass(frozen=True)
class TrainingEvaluator:
    """Trains each trial under each seed; runs come from the run store and go to it."""

    task: Task
    root: Path
    slots: Sequence[Slot]
    say: Say = print
    run_jobs: RunJobs = run_local
    busy: Say = ignore  # told what is going on, while it does

    def __call__(self, candidates: Sequence[Candidate], seeds: Sequence[int]) -> list[list[Measurement]]:
        default = hold_out(self.task.default)
        settings: dict[int, Settings] = {}
        clashes: dict[int, Measurement] = {}
        for number, values in candidates:
            try:
                settings[number] = set_values(default, values)
            except ConfigError as error:
                clashes[number] = Measurement(reason="; ".join(error.errors))
        wanted = [(number, own, seed) for number, own in settings.items() for seed in seeds]
        measured = self.train(wanted)
        found = []
        for number, _ in candidates:
            found.append([clashes.get(number) or measured[number, seed] for seed in seeds])
        return found

    def train(self, wanted: Sequence[tuple[int, Settings, int]]) -> dict[tuple[int, int], Measurement]:
        """(number, settings, seed) -> what was measured, by number and seed."""
        runs = [make_run(self.task.study, number, own, seed, self.root) for number, own, seed in wanted]
        asked = replace(self.task.study, runs=runs)
        note_request(asked, self.root)
        missing = make_plan([asked], self.root).todo
        self.execute([replace(job, label=job.label.replace(" row ", " trial ")) for job in missing])
        return {(run.row, run.seed): read_measurement(self.root, run) for run in runs}

    def execute(self, todo: Sequence[Job]) -> None:
        """Run the jobs; those whose worker died, of what happened to the machine perhaps, are tried again."""
        for attempt in range(1, ATTEMPTS + 1):
            lost: list[Job] = []
            left = {job.training_key for job in todo}
            self.count(left)
            self.run_jobs(todo, partial(self.hear, attempt, lost, left), self.slots)
            todo = lost
            if not todo:
                return

    def count(self, left: set[str]) -> None:
        """Say how many trainings are still to end."""
        self.busy(f"{say_number(len(left), 'training')} to go before trials are told")

    def hear(self, attempt: int, lost: list[Job], left: set[str], event: Event) -> None:
        """Say what failed, with its log; keep in mind what is tried again."""
        if event.kind in {"started", "progress"}:
            return
        left.discard(event.job.training_key)
        self.count(left)
        if event.kind != "failed":
            return
        log = results.training_folder(self.root, event.job.training_key) / "log.txt"
        again = event.reason.startswith(DIED) and attempt < ATTEMPTS
        if event.reason.startswith(DIED):
            lost.append(event.job)
        self.say(f"{event.job.label}: {'tried again' if again else 'FAILED'} ({event.reason}); log: {log}")


def make_run(study: Study, number: int, settings: Settings, seed: int, root: Path) -> Run:
    """A run of these settings; the trial's number stands where a row's would."""
    training, scoring = keys.keys(settings, seed, data.fingerprint(settings.source, root))
    return Run(study.name, number, seed, settings, training, scoring, ())


def read_measurement(root: Path, run: Run) -> Measurement:
    """What the store holds of a run."""
    state = results.status(root, run)
    training = results.read_training(root, run.training_key) or {}
    result = results.read_result(root, run.training_key, run.scoring_key)
    if state != "ok" or result is None:
        return Measurement(reason=str(training.get("reason") or state))
    own = {"seconds": float(training["seconds"]["total"]), "memory_gb": training["peak_mb"] / 1024}
    return Measurement({**result["metrics"], **own})


@dataclass
class ScoringEvaluator:
    """Reads the stored scores of a few finished trainings anew, on a process per slot: no training per trial."""

    trainer: TrainingEvaluator
    ready: bool = False
    workers: ProcessPoolExecutor | None = None

    def __call__(self, candidates: Sequence[Candidate], seeds: Sequence[int]) -> list[list[Measurement]]:
        """Train under the seeds once, then score each trial; RuntimeError where a training failed."""
        if not self.ready:
            self.train_default(seeds)
            self.ready = True
        score = partial(score_trial, self.trainer.task, self.trainer.root, list(seeds))
        values = [own for _, own in candidates]
        if len(self.trainer.slots) == 1 or len(values) < len(self.trainer.slots):
            return [score(own) for own in values]
        for _ in range(ATTEMPTS):
            try:
                return self.score_apart(score, values)
            except BrokenProcessPool:
                self.close()
        raise RuntimeError(f"scoring: a worker died {ATTEMPTS} times (out of memory?); --jobs 1 takes the least memory")

    def train_default(self, seeds: Sequence[int]) -> None:
        """The trainings whose scores are read."""
        default = hold_out(self.trainer.task.default)
        done = self.trainer.train([(0, default, seed) for seed in seeds])
        reasons = [found.reason for found in done.values() if found.reason]
        if reasons:
            raise RuntimeError(f"no stored scores to read: {reasons[0]}")

    def score_apart(
        self, score: Callable[[Values], list[Measurement]], values: Sequence[Values]
    ) -> list[list[Measurement]]:
        """In processes of their own, kept from batch to batch; they start inside the environment of a slot."""
        slots = self.trainer.slots
        with environment(slots[0]):
            if self.workers is None:
                context = get_context("spawn")
                self.workers = ProcessPoolExecutor(len(slots), context, signal.signal, (signal.SIGINT, signal.SIG_IGN))
            return list(self.workers.map(score, values))

    def close(self) -> None:
        """End the processes."""
        if self.workers is not None:
            self.workers.shutdown(wait=True, cancel_futures=True)
            self.workers = None


def score_trial(task: Task, root: Path, seeds: Sequence[int], values: Values) -> list[Measurement]:
    """One trial of settings that only scoring reads, under each seed."""
    from harness.compute.score import evaluate

    try:
        settings = set_values(hold_out(task.default), values)
        found = [load_scores(root, task, seed) for seed in seeds]
        return [Measurement(evaluate(scores, settings, truth, classes)[0]) for scores, truth, classes in found]
    except (ConfigError, ValueError, KeyError) as error:
        return [Measurement(reason=f"{type(error).__name__}: {error}")]


LOADED: dict[str, Any] = {}  # in a scoring process: training key -> scores, truth, classes


def load_scores(root: Path, task: Task, seed: int) -> Any:
    """Stored scores of the default settings under a seed, with what they are held against."""
    from harness.compute.score import Truth

    own = hold_out(task.default)
    key = make_run(task.study, 0, own, seed, root).training_key
    if key not in LOADED:
        dataset = data.load(own.source, root)
        truth = Truth.of(dataset.test, own.training.snippets)
        LOADED[key] = (results.read_scores(root, key), truth, dataset.classes)
    return LOADED[key]
