"""What takes a process of its own: a run, a study, peak memory, and how long a command needs to start."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from harness.bench.timing import Seconds, Work, time_call, time_in_turn
from harness.data import fingerprint
from harness.execute import worker
from harness.store import results
from harness.store.jobs import Job
from harness.study.presets import load_preset

STUDY = "table4"
QUICK = {"tiny": ["--quick"], "default": []}  # scale -> option of harness.run
COMMANDS = {"--help": ["--help"], "--dry-run": ["table2", "--dry-run"]}


def call_alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh interpreter, as a worker is."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


@contextmanager
def make_store(root: Path) -> Iterator[Path]:
    """An empty run store that shares the data sets of ``root``."""
    with TemporaryDirectory() as folder:
        store = Path(folder)
        (root / "data").mkdir(parents=True, exist_ok=True)
        (store / "data").symlink_to((root / "data").resolve())
        yield store


def measure_run(scale: str, root: Path) -> dict[str, float]:
    """A whole run as a worker does it, from the start of its process on (seconds), and its peak memory."""
    settings = load_preset("released", scale=scale)
    with make_store(root) as store:
        job = Job(f"bench{fingerprint(settings.source, root)}", settings, 0, {"bench": settings}, store, "bench")
        wall, reason = time_call(lambda: call_alone(worker.work, job, ignore))
        record = results.read_training(store, job.training_key)
    if reason or record is None:
        raise RuntimeError(f"the run failed: {reason}")
    total, evaluation = record["seconds"]["total"], record["seconds"]["evaluation"]
    return {
        "steps": settings.training.steps,
        "wall_s": wall,
        "total_s": total,
        "evaluation_s": evaluation,
        "training_share": (total - evaluation) / wall,
        "peak_mb": record["peak_mb"],
    }


def ignore(_: Any) -> None:
    """Hears of a run's progress."""


def measure_study(scale: str, seeds: int, root: Path) -> dict[str, float]:
    """Table 4 with so many seeds: which share of its workers' time its trainings take, evaluations included.

    "again" is the same command with nothing left to train: it starts, plans and reports. ``steady_share`` leaves that
    out, as a study of many runs does.
    """
    jobs = os.cpu_count() or 1
    with make_store(root) as store:
        options = [STUDY, *QUICK[scale], "--seeds", str(seeds), "--jobs", str(jobs)]
        options += ["--no-mlflow", "--output", str(store)]
        wall, _ = time_call(lambda: run_command(options))
        again, _ = time_call(lambda: run_command(options))
        records = [json.loads(path.read_text()) for path in (store / "store").glob("*/training.json")]
    busy = sum(record["seconds"]["total"] for record in records)
    return {
        "trainings": len(records),
        "jobs": jobs,
        "wall_s": wall,
        "again_s": again,
        "training_share": busy / (jobs * wall),
        "steady_share": busy / (jobs * (wall - again)),
    }


def run_command(options: list[str]) -> None:
    """``python -m harness.run`` with these options; CalledProcessError where it fails."""
    subprocess.run([sys.executable, "-m", "harness.run", *options], check=True, capture_output=True)


def time_start(rounds: int) -> Seconds:
    """Seconds of commands that train nothing."""
    kinds: dict[str, Work] = {name: partial(run_command, options) for name, options in COMMANDS.items()}
    return time_in_turn(kinds, rounds)


def measure_memory(scale: str, root: Path, threads: int) -> dict[str, float]:
    """Peak memory (MB) of a process of its own that has taken two steps and evaluated once; and seconds to prepare."""
    return call_alone(use_memory, scale, root, threads)


def use_memory(scale: str, root: Path, threads: int) -> dict[str, float]:
    import torch

    from harness.bench.subject import load_subject
    from harness.compute import score

    torch.set_num_threads(threads)
    began = time.perf_counter()
    subject = load_subject(scale, root)
    prepared, before = time.perf_counter() - began, read_peak()
    for _ in range(2):
        subject.step(lambda: subject.compute_loss("fp32"))
    after_steps = read_peak()
    score.evaluate(subject.compute_scores(), subject.settings, subject.truth, subject.dataset.classes)
    return {"prepared_s": prepared, "start_mb": before, "steps_mb": after_steps, "evaluation_mb": read_peak()}


def read_peak() -> float:
    """Largest resident size of this process so far, in MB; a process begins with that of the one that started it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux: kilobytes
