"""A pool of long-lived local worker processes that talk to the driver through pipes.

A worker that dies takes its own job with it and is replaced; the driver alone decides when workers end.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.execute.events import DIED, Event, OnEvent, Slot, Worker
from harness.execute.slots import environment
from harness.execute.worker import work
from harness.store import results
from harness.store.jobs import Job, Progress

PATIENCE = 5.0  # seconds a worker has to end before it is killed


def run_local(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Slot], worker: Worker = work) -> None:
    """Run ``jobs`` on a pool of local processes, one per slot. An exception here (Ctrl-C) ends the workers."""
    queue = deque(jobs)
    seats = [Seat(slot, worker) for slot in slots[: len(jobs)]]
    try:
        for seat in seats:
            seat.take_next(queue, on_event)
        while busy := {seat.connection: seat for seat in seats if seat.job}:
            for connection in wait(list(busy)):
                seat = busy[connection]  # type: ignore[index]
                seat.listen(on_event)
                if seat.job is None:
                    seat.take_next(queue, on_event)
    finally:
        for seat in seats:
            seat.close()


class Seat:
    """A run slot of the pool: a worker process, started when first needed and again after it died."""

    def __init__(self, slot: Slot, worker: Worker) -> None:
        self.slot, self.worker = slot, worker
        self.process: Any = None
        self.connection: Connection
        self.job: Job | None = None
        self.began = 0.0

    def take_next(self, queue: deque[Job], on_event: OnEvent) -> None:
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
        resource_tracker.ensure_running()  # before block_interrupts(): starting it unblocks SIGINT
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.worker), daemon=True)
        with environment(self.slot), block_interrupts():
            self.process.start()
        theirs.close()

    def listen(self, on_event: OnEvent) -> None:
        """Pass on what the worker said; its silence (end of file) means that it died."""
        assert self.job is not None
        try:
            said = self.connection.recv()
        except (EOFError, OSError):
            said = self._record_death(self.job)
        if isinstance(said, Progress):
            on_event(Event(self.job, "progress", said))
            return
        event = Event(self.job, "failed" if said else "ok", None, said, time.perf_counter() - self.began)
        self.job = None
        on_event(event)

    def _record_death(self, job: Job) -> str:
        """Record what is known of a worker's death and make room for its successor."""
        self.process.join(PATIENCE)
        reason = f"{DIED}: {tell_cause(self.process.exitcode)}"
        with contextlib.suppress(OSError):  # a full disk may be what it died of
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


def tell_cause(exitcode: int | None) -> str:
    """What a worker died of."""
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:  # real-time signals between the first and the last have no name
        return f"signal {-exitcode}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


@contextlib.contextmanager
def block_interrupts() -> Iterator[None]:
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
