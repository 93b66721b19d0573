"""Executors: plain functions that take jobs and report events. The default is a pool of long-lived local processes.

A worker trains on one thread (two threads on two busy cores are many times slower than one) and writes to the run store
itself; the driver only hears about it. A worker that dies takes its own job with it and is replaced.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import sources
from harness.execute import pool
from harness.execute.pool import Event, OnEvent, Place, Tell, Worker
from harness.store import results
from harness.store.jobs import Job, Progress

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
KEEP_MEMORY = {  # glibc: reuse freed blocks instead of mapping each step's tensors anew; about 30 % of a step
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 29),
}
REPRODUCIBLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # what deterministic matrix products on a GPU ask for


def work(job: Job, tell: Tell) -> str:
    """Train or re-score ``job`` in this process, its output going to its log. Returns why it failed, or ""."""
    sources.digest(job.settings.case.baseline)  # of the sources as this process imports them; kept for all its jobs
    with logged(results.training_folder(job.root, job.training_key) / "log.txt", append=job.rescore):
        began = time.perf_counter()
        print(f"{'score' if job.rescore else 'train'} {job.label} ({job.training_key})", flush=True)
        try:
            _do(job, tell)
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            results.write_failure(job, reason)
            return reason
        print(f"ended after {time.perf_counter() - began:.1f} s", flush=True)
    record = results.read_training(job.root, job.training_key) or {}
    return "" if record.get("status") == "ok" else str(record.get("reason", "wrote no training record"))


def _do(job: Job, tell: Tell) -> None:
    """torch is imported here, in the worker, and only to train."""
    if job.rescore:
        from harness.compute.score import rescore

        return rescore(job)
    import torch

    from harness.compute.train import fit

    torch.set_num_threads(1)

    def both(progress: Progress) -> None:
        print(f"step {progress.step}/{progress.steps} map/avg {progress.value}", flush=True)
        tell(progress)

    with results.unfinished(job):
        fit(job, both)


@contextlib.contextmanager
def logged(path: Path, append: bool) -> Iterator[None]:
    """Send what this process writes to its standard streams, C libraries included, to the file ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = [(fd, os.dup(fd)) for fd in (1, 2)]
    with path.open("a" if append else "w") as stream:
        try:
            for fd, _ in saved:
                os.dup2(stream.fileno(), fd)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, copy in saved:
                os.dup2(copy, fd)
                os.close(copy)


def gpus() -> list[str]:
    """Identifiers of the GPUs this process may use, found without importing torch."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [name for name in visible.split(",") if name not in {"", "-1"}]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return [str(i) for i, line in enumerate(x for x in listing.splitlines() if x.startswith("GPU "))]


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def places(number: int | None = None, runs_per_gpu: int = 1) -> list[Place]:
    """One environment per run slot: ``runs_per_gpu`` on each GPU, or one per core; ``number`` overrides how many."""
    devices = gpus()
    count = number or (len(devices) * runs_per_gpu if devices else cores())
    chosen = [{"CUDA_VISIBLE_DEVICES": devices[i % len(devices)]} if devices else {} for i in range(count)]
    return [{**ONE_THREAD, **KEEP_MEMORY, **REPRODUCIBLE, **place} for place in chosen]


def local(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Place], worker: Worker = work) -> None:
    """The executor "local": a process per slot."""
    pool.run(jobs, on_event, slots, worker)


def show(jobs: Sequence[Job]) -> None:
    """The executor "print": say what would run, one line per job."""
    for job in jobs:
        print(describe(job))


def describe(job: Job) -> str:
    """What a job does: "train 0f3a... table2 row 7+8, seed 1 (2 scorings)"."""
    number = len(job.scorings)
    return (
        f"{'score' if job.rescore else 'train'} {job.training_key} {job.label} ({number} scoring{'s' * (number > 1)})"
    )


def ray(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Place], worker: Worker = work) -> None:
    """The executor "ray": the same worker on a Ray cluster, whose machines share the folder of results.

    ``slots`` only say how many runs share a GPU. Raises ModuleNotFoundError where the extra is not installed.
    """
    import ray as cluster

    cluster.init(ignore_reinit_error=True, log_to_driver=False, runtime_env={"env_vars": ONE_THREAD | REPRODUCIBLE})
    share = len(gpus()) / len(slots)  # of a GPU per run; 0 without GPUs
    task = cluster.remote(num_cpus=1, num_gpus=share, max_retries=0)(worker)
    waiting = {task.remote(job, mute): job for job in jobs}
    began = time.perf_counter()
    for job in jobs:
        on_event(Event(job, "started"))
    while waiting:
        (ready,), _ = cluster.wait(list(waiting))
        job = waiting.pop(ready)
        try:
            reason = cluster.get(ready)
        except cluster.exceptions.RayError as error:
            reason = f"worker died: {error}"
            results.write_failure(job, reason)
        on_event(Event(job, "failed" if reason else "ok", None, reason, time.perf_counter() - began))


def mute(progress: Progress) -> None:
    """Progress that nobody listens to: a Ray task speaks only by its result."""
