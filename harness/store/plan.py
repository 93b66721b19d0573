"""From studies and the run store to the jobs still to do: runs that share a training become one job."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness import sources
from harness.settings import Settings
from harness.store import results
from harness.store.checkpoints import find_damaged_checkpoint
from harness.store.jobs import Job
from harness.study import keys
from harness.study.building import rebuild

if TYPE_CHECKING:
    from harness.study import Run, Study

GUESS = 8.0  # seconds a training takes where nothing like it has been run


@dataclass(frozen=True)
class Plan:
    """What the studies need: ``todo`` in order of execution, ``done`` as finished jobs, and what is stale or failed."""

    todo: tuple[Job, ...]
    done: tuple[Job, ...]
    stale: tuple[str, ...]  # training keys of other sources: trained again, or kept where that was accepted
    nan: tuple[str, ...]  # training keys that ended as not finite: the same again would end the same
    damaged: tuple[Path, ...]  # records that cannot be used: made again

    @property
    def trainings(self) -> int:
        return sum(not job.rescore for job in self.todo)


def list_jobs(studies: Iterable["Study"], root: Path) -> list[Job]:
    """One job per training key with every scoring asked of it; seed after seed, so that rows fill evenly."""
    runs = [(run, study.name) for study in studies for run in study.runs]
    by_training: dict[str, list[tuple[Run, str]]] = {}
    for run, study in sorted(runs, key=lambda pair: pair[0].seed):
        by_training.setdefault(run.training_key, []).append((run, study))
    return [make_job(key, served, root) for key, served in by_training.items()]


def make_job(key: str, served: Sequence[tuple["Run", str]], root: Path) -> Job:
    """The job of one training, from the runs (with their studies' names) that it serves."""
    first, _ = served[0]
    scorings = {run.scoring_key: run.settings for run, _ in served}
    watched = frozenset(run.scoring_key for run, _ in served if run.watched)
    return Job(key, first.settings, first.seed, scorings, root, name_job(served), watched=watched)


def name_job(served: Sequence[tuple["Run", str]]) -> str:
    """Name the rows that a training serves: "table2 row 7+8, seed 1"; of several studies the first."""
    rows: dict[str, dict[int, None]] = {}
    for run, study in served:
        rows.setdefault(study, {})[run.row] = None
    first, numbers = next(iter(rows.items()))
    others = {1: "", 2: " and 1 more study"}.get(len(rows), f" and {len(rows) - 1} more studies")
    return f"{first} row {'+'.join(map(str, numbers))}{others}, seed {served[0][0].seed}"


def make_plan(
    studies: Sequence["Study"], root: Path, accept_stale: bool = False, again: frozenset[str] = frozenset()
) -> Plan:
    """Compare what the studies ask with what the store holds; trainings of a status of ``again`` are repeated."""
    todo: list[Job] = []
    done: list[Job] = []
    stale: list[str] = []
    nan: list[str] = []
    damaged: list[Path] = []
    for job in list_jobs(studies, root):
        record = results.read_training(root, job.training_key) or {}
        if record and record["digest"] != sources.digest(job.settings.case.baseline):
            stale.append(job.training_key)
        repeated = record.get("status") in again
        rest = job if repeated else find_rest(job, record, accept_stale)
        if rest is None:
            done.append(job)
            nan += [job.training_key] if record["status"] == "nan" else []
        else:
            todo.append(rest)
            damaged += results.find_damage(root, job.training_key, job.scorings)
            damaged += find_damaged_checkpoint(root, job.training_key)
    return Plan(tuple(todo), tuple(done), tuple(stale), tuple(nan), tuple(damaged))


def find_rest(job: Job, record: Mapping[str, Any], accept_stale: bool) -> Job | None:
    """What is left of ``job``: all of it, a re-scoring of the finished training, or nothing (None).

    ``record``: its training.json, empty where there is none.
    """
    own = sources.digest(job.settings.case.baseline)

    def is_current(found: Mapping[str, Any]) -> bool:
        return bool(found) and (accept_stale or found["digest"] == own)

    if record.get("status") not in {"ok", "nan"} or not is_current(record):
        return job
    if record["status"] == "nan":
        return None
    root, key = job.root, job.training_key
    stored = {scoring: results.read_result(root, key, scoring) or {} for scoring in job.scorings}
    missing = {scoring: job.scorings[scoring] for scoring, result in stored.items() if not is_current(result)}
    if any(scoring in missing or lacks_curve(job, stored[scoring]) for scoring in job.watched):
        return replace(job, scorings={**read_scorings(root, key, own), **job.scorings})
    if not missing:
        return None
    if results.was_cut_off(root, key, missing):
        return job
    return replace(job, scorings=missing, rescore=True)


def lacks_curve(job: Job, result: Mapping[str, Any]) -> bool:
    """Whether a stored scoring was not evaluated during training: only training again can give its curve."""
    training = job.settings.training
    return len(result["curve"]["step"]) < ceil(training.steps / training.evaluate_every)


def read_scorings(root: Path, key: str, digest: str) -> dict[str, Settings]:
    """The stored scorings of a training of these sources: training it again makes them again, too."""
    names = [path.parent.name for path in results.training_folder(root, key).glob("*/result.json")]
    found = {name: results.read_result(root, key, name) for name in sorted(names)}
    return {
        name: rebuild(result["settings"]) for name, result in found.items() if result and result["digest"] == digest
    }


def estimate_seconds(plan: Plan, slots: int) -> tuple[float, bool]:
    """Expected wall time of ``plan`` on ``slots`` processes, and whether it rests on earlier runs of this scale."""
    known = list_durations(plan.todo[0].root, plan.todo) if plan.todo else []
    each = median(known) if known else GUESS
    return plan.trainings * each / max(1, min(slots, plan.trainings)), bool(known)


def list_durations(root: Path, jobs: Iterable[Job]) -> list[float]:
    """Seconds that finished trainings of the scale of these jobs took."""
    scales = {tell_scale(keys.flat(job.settings)) for job in jobs}
    folders = [path.parent.name for path in (root / "store").glob("*/training.json")]
    records = [results.read_training(root, name) for name in folders]
    finished = [record for record in records if record and record["status"] == "ok"]
    alike = [record for record in finished if tell_scale(record["settings"]) in scales]
    return [float(record["seconds"]["total"]) for record in alike if "seconds" in record]


def tell_scale(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a run's duration mostly depends on."""
    names = ("training.snippets", "training.steps", "training.batch", "case.width", "source.name", "source.scale")
    return tuple(settings.get(name) for name in names)
