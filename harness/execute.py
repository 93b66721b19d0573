"""Executors: plain functions that take jobs and report events. The default is a pool of long-lived local processes.

A worker trains on one thread (two threads on two busy cores are many times slower than one) and writes to the run store
itself; the driver only hears about it. A worker that dies takes its own job with it and is replaced.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from harness import results
from harness.results import Job, Progress

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
REPRODUCIBLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # what deterministic matrix products on a GPU ask for
PATIENCE = 5.0  # seconds a worker has to end before it is killed

Tell = Callable[[Progress], None]
Worker = Callable[[Job, Tell], str]
Place = Mapping[str, str]  # environment of one worker


@dataclass(frozen=True)
class Event:
    """What happened to a job. ``reason`` says why a failed one failed; ``seconds`` is wall time of an ended one."""

    job: Job
    kind: Literal["started", "progress", "ok", "failed"]
    progress: Progress | None = None
    reason: str = ""
    seconds: float = 0.0


OnEvent = Callable[[Event], None]


def work(job: Job, tell: Tell) -> str:
    """Train or re-score ``job`` in this process, its output going to its log. Returns why it failed, or ""."""
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
        from harness.score import rescore

        return rescore(job)
    import torch

    from harness.train import fit

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
    return [{**ONE_THREAD, **REPRODUCIBLE, **place} for place in chosen]


def local(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Place], worker: Worker = work) -> None:
    """Run ``jobs`` on a pool of local processes, one per slot. An exception here (Ctrl-C) ends the workers."""
    queue = deque(jobs)
    seats = [Seat(place, worker) for place in slots[: len(jobs)]]
    try:
        for seat in seats:
            seat.next(queue, on_event)
        while busy := {seat.connection: seat for seat in seats if seat.job}:
            for connection in wait(list(busy)):
                seat = busy[connection]  # type: ignore[index]
                seat.listen(on_event)
                if seat.job is None:
                    seat.next(queue, on_event)
    finally:
        for seat in seats:
            seat.close()


class Seat:
    """A run slot of the pool: a worker process, started when first needed and again after it died."""

    def __init__(self, place: Place, worker: Worker) -> None:
        self.place, self.worker = place, worker
        self.process: Any = None
        self.connection: Connection
        self.job: Job | None = None
        self.began = 0.0

    def next(self, queue: deque[Job], on_event: OnEvent) -> None:
        """Give the next job of ``queue`` to this seat's worker."""
        if not queue:
            return
        self.job, self.began = queue.popleft(), time.perf_counter()
        if self.process is None:
            self._start()
        with contextlib.suppress(OSError):  # it died meanwhile: listen() hears of it
            self.connection.send(self.job)
        on_event(Event(self.job, "started"))

    def _start(self) -> None:
        """Start the worker under its environment, deaf to Ctrl-C: the driver decides when workers end."""
        context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # type: ignore[no-untyped-call]  # before deaf(): starting it unblocks SIGINT
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.worker), daemon=True)
        with environment(self.place), deaf():
            self.process.start()
        theirs.close()

    def listen(self, on_event: OnEvent) -> None:
        """Pass on what the worker said; its silence (end of file) means that it died."""
        assert self.job is not None
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            said = self._died(self.job)
        if isinstance(said, Progress):
            on_event(Event(self.job, "progress", said))
            return
        event = Event(self.job, "failed" if said else "ok", None, said, time.perf_counter() - self.began)
        self.job = None
        on_event(event)

    def _died(self, job: Job) -> str:
        """Record what is known of a worker's death and make room for its successor."""
        self.process.join(PATIENCE)
        reason = f"worker died: {cause(self.process.exitcode)}"
        results.write_failure(job, reason)
        with (results.training_folder(job.root, job.training_key) / "log.txt").open("a") as log:
            log.write(f"{reason}\n")
        self.close()
        return reason

    def close(self) -> None:
        """End the worker: politely when idle, at once when it works."""
        if self.process is None:
            return
        if self.job is not None:
            self.process.terminate()
        self.connection.close()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process = None


def cause(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    name = signal.Signals(-exitcode).name
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


@contextlib.contextmanager
def environment(values: Place) -> Iterator[None]:
    """Environment variables for a process started inside the block: before it imports numpy or torch."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Block SIGINT; a process started inside the block inherits that, this one hears it at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def serve(connection: Connection, worker: Worker) -> None:
    """Body of a worker process: jobs in, progress and outcomes out, until the driver closes the pipe."""
    faulthandler.enable()

    def say(message: Progress | str) -> None:
        try:
            connection.send(message)
        except OSError:  # the driver is gone: stop without recording a failure
            os._exit(1)

    with contextlib.suppress(EOFError, OSError):
        while True:
            job = connection.recv()
            say(worker(job, say))
