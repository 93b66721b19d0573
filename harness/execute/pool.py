"""A pool of long-lived local worker processes that talk to the driver through pipes.

A worker that dies, hangs or is stopped takes its own job with it and is replaced; the driver decides when workers end.
"""

import contextlib
import multiprocessing
import time
from collections.abc import Sequence
from math import isfinite
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.execute.events import DIED, LENIENT, Event, OnEvent, Policy, Slot, Worker
from harness.execute.process import PATIENCE, Message, block_interrupts, hold_signals, serve, tell_cause
from harness.execute.queue import Queue
from harness.execute.slots import environment
from harness.execute.worker import work
from harness.store import results
from harness.store.jobs import Job, Progress

TICK = 1.0  # seconds between looks at the clock, and at what other drivers have
BEAT = 5.0  # seconds between heartbeats of a worker, at most
STILL = 0.2  # processor seconds that a worker's heartbeats alone may use while it stalls


def run_local(
    jobs: Sequence[Job],
    on_event: OnEvent,
    slots: Sequence[Slot],
    policy: Policy = LENIENT,
    worker: Worker = work,
) -> None:
    """Run ``jobs`` on a pool of local processes, one per slot. An exception here (Ctrl-C) ends the workers."""
    if not jobs:
        return
    seats = [Seat(slot, worker, policy) for slot in slots[: len(jobs)]]
    with Queue(jobs, on_event, policy) as queue:
        try:
            while fill(seats, queue):
                attend(seats, queue)
        finally:
            for seat in seats:
                seat.close()


def fill(seats: Sequence["Seat"], queue: Queue) -> bool:
    """Give jobs to idle seats; returns whether anything is still to do."""
    for seat in seats:
        job = queue.take() if seat.job is None else None
        if job is not None:
            seat.start(job)
            queue.on_event(Event(job, "started"))
    return bool(queue.waiting) or any(seat.job for seat in seats)


def attend(seats: Sequence["Seat"], queue: Queue) -> None:
    """Hear what busy workers say for a tick at most, and end those that are over their limits."""
    busy = {seat.connection: seat for seat in seats if seat.job}
    began = time.monotonic()
    ready = wait(list(busy), TICK)
    if not busy:  # what is left is with other drivers
        time.sleep(TICK)
    pause = time.monotonic() - began - TICK  # this process was stopped, and its workers may have been, too
    for connection in ready:
        busy[connection].listen(queue)  # type: ignore[index]
    for seat in busy.values():
        seat.forgive(max(0.0, pause))
        if seat.job is not None:
            seat.check(queue)


class Seat:
    """A run slot of the pool: a worker process, started when first needed and again after it died."""

    def __init__(self, slot: Slot, worker: Worker, policy: Policy) -> None:
        self.slot, self.worker, self.policy = slot, worker, policy
        self.process: Any = None
        self.connection: Connection
        self.job: Job | None = None
        self.began = 0.0  # of the job, by the monotonic clock
        self.moved = 0.0  # when the worker last spoke of new processor time
        self.used = 0.0  # processor seconds it spoke of then

    def start(self, job: Job) -> None:
        """Give a job to this seat's worker."""
        self.job = job
        self.began = self.moved = time.monotonic()
        if self.process is None:
            self.open()
        with contextlib.suppress(OSError):  # it died meanwhile: listen() hears of it
            self.connection.send(job)

    def open(self) -> None:
        """Start the worker under its environment, deaf to Ctrl-C: the driver decides when workers end."""
        context = multiprocessing.get_context("spawn")
        resource_tracker.ensure_running()  # before SIGINT is blocked: starting it unblocks SIGINT
        self.connection, theirs = context.Pipe()
        beat = min(BEAT, self.policy.stall / 4)
        process = context.Process(target=serve, args=(theirs, self.worker, beat), daemon=True)
        self.used = 0.0
        with hold_signals(), environment(self.slot), block_interrupts():
            process.start()
            self.process = process  # one that is not started cannot be ended
        theirs.close()

    def listen(self, queue: Queue) -> None:
        """Pass on what the worker said; its silence (end of file) means that it died."""
        assert self.job is not None
        try:
            message: Message = self.connection.recv()
        except (EOFError, OSError):
            self.process.join(PATIENCE)
            self.fail(f"{DIED}: {tell_cause(self.process.exitcode)}", queue)
            return
        if isinstance(message, float):
            if message > self.used + STILL:
                self.used, self.moved = message, time.monotonic()
        elif isinstance(message, Progress):
            self.moved = time.monotonic()
            queue.on_event(Event(self.job, "progress", message))
        else:
            self.end(message, queue)

    def check(self, queue: Queue) -> None:
        """End a worker that is over the time limit, or that neither speaks nor computes (stopped, or hung)."""
        now = time.monotonic()
        if now - self.began > self.policy.time_limit:
            self.fail(f"time limit of {self.policy.time_limit:g} s", queue)
        elif isfinite(self.policy.stall) and now - self.moved > self.policy.stall:
            self.fail(f"worker hung or stopped: no sign of work for {self.policy.stall:g} s", queue)

    def forgive(self, pause: float) -> None:
        """Do not count a time in which this process, too, was stopped."""
        self.began += pause
        self.moved += pause

    def fail(self, reason: str, queue: Queue) -> None:
        """Record why a job failed that its worker cannot speak of, and make room for the worker's successor."""
        assert self.job is not None
        self.kill()
        with contextlib.suppress(OSError):  # a full disk may be what it died of
            results.write_failure(self.job, reason)
            with (results.training_folder(self.job.root, self.job.training_key) / "log.txt").open("a") as log:
                log.write(f"{reason}\n")
        self.end(reason, queue)

    def end(self, reason: str, queue: Queue) -> None:
        """The job ended, well where there is no ``reason``."""
        assert self.job is not None
        event = Event(self.job, "failed" if reason else "ok", None, reason, time.monotonic() - self.began)
        self.job = None
        queue.end(event)

    def close(self) -> None:
        """End the worker: politely when idle, by a signal when it works, by force when that is not heard."""
        if self.process is None:
            return
        if self.job is not None:
            self.process.terminate()
        self.connection.close()
        self.process.join(PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End the worker at once."""
        if self.process is None:
            return
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process = None
