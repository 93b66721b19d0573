"""From studies and the run store to the jobs still to do: runs that share a training become one job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from harness import sources
from harness.store import results
from harness.store.jobs import Job
from harness.study import keys

if TYPE_CHECKING:
    from harness.study import Study

GUESS = 8.0  # seconds a training takes where nothing like it has been run


@dataclass(frozen=True)
class Plan:
    """What the studies need: ``todo`` in order of execution, ``done`` as finished jobs, and what is stale or failed."""

    todo: tuple[Job, ...]
    done: tuple[Job, ...]
    stale: tuple[str, ...]  # training keys of other sources: trained again, or kept where that was accepted
    nan: tuple[str, ...]  # training keys that ended as not finite: the same again would end the same

    @property
    def trainings(self) -> int:
        return sum(not job.rescore for job in self.todo)


def jobs(studies: Iterable["Study"], root: Path) -> list[Job]:
    """One job per training key with every scoring asked of it; seed after seed, so that rows fill evenly."""
    found: dict[str, Job] = {}
    rows: dict[str, dict[str, list[int]]] = {}
    runs = [(run, study.name) for study in studies for run in study.runs]
    for run, name in sorted(runs, key=lambda item: item[0].seed):
        job = found.get(run.training_key) or Job(run.training_key, run.settings, run.seed, {}, root, "")
        found[run.training_key] = replace(job, scorings={**job.scorings, run.scoring_key: run.settings})
        numbers = rows.setdefault(run.training_key, {}).setdefault(name, [])
        numbers += [run.row] if run.row not in numbers else []
    return [replace(job, label=_label(rows[key], job.seed)) for key, job in found.items()]


def _label(rows: dict[str, list[int]], seed: int) -> str:
    """Name the rows that a training serves: "table2 row 7+8, seed 1"."""
    return ", ".join(f"{study} row {'+'.join(map(str, numbers))}" for study, numbers in rows.items()) + f", seed {seed}"


def plan(studies: Sequence["Study"], root: Path, accept_stale: bool = False) -> Plan:
    """Compare what the studies ask with what the store holds."""
    todo: list[Job] = []
    done: list[Job] = []
    stale: list[str] = []
    nan: list[str] = []
    for job in jobs(studies, root):
        record = results.read_training(root, job.training_key) or {}
        if record and record["digest"] != sources.digest(job.settings.case.baseline):
            stale.append(job.training_key)
        rest = remaining(job, record, accept_stale)
        (done if rest is None else todo).append(rest or job)
        if rest is None and record["status"] == "nan":
            nan.append(job.training_key)
    return Plan(tuple(todo), tuple(done), tuple(stale), tuple(nan))


def remaining(job: Job, record: dict[str, Any], accept_stale: bool) -> Job | None:
    """What is left of ``job``: all of it, a re-scoring of the finished training, or nothing (None)."""

    own = sources.digest(job.settings.case.baseline)

    def current(found: dict[str, Any] | None) -> bool:
        return found is not None and (accept_stale or found["digest"] == own)

    if record.get("status") not in {"ok", "nan"} or not current(record):
        return job
    if record["status"] == "nan":
        return None
    root, key = job.root, job.training_key
    missing = {s: v for s, v in job.scorings.items() if not current(results.read_result(root, key, s))}
    if not missing:
        return None
    if results.read_unfinished(root, key) & missing.keys():
        return job
    return replace(job, scorings=missing, rescore=True)


def seconds(plan: Plan, slots: int) -> tuple[float, bool]:
    """Expected wall time of ``plan`` on ``slots`` processes, and whether it rests on earlier runs of this scale."""
    scale = {_scale(keys.flat(job.settings)) for job in plan.todo}
    folders = [path.parent.name for path in (plan.todo[0].root / "store").glob("*/training.json")] if plan.todo else []
    records = [results.read_training(plan.todo[0].root, name) for name in folders]
    known = [
        float(record["seconds"]["total"])
        for record in records
        if record and record["status"] == "ok" and _scale(record.get("settings", {})) in scale
    ]
    each = median(known) if known else GUESS
    return plan.trainings * each / max(1, min(slots, plan.trainings)), bool(known)


def _scale(settings: dict[str, Any]) -> tuple[Any, ...]:
    """What a run's duration mostly depends on."""
    names = ("training.snippets", "training.steps", "training.batch", "case.width", "source.name", "source.scale")
    return tuple(settings.get(name) for name in names)
