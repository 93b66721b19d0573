"""The life of a worker process: jobs in, progress, heartbeats and outcomes out; it ends when its driver does."""

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

from harness.execute.events import Worker
from harness.store.jobs import Progress

PATIENCE = 5.0  # seconds a process has to end before it is killed

Message = Progress | float | str  # how far the job is; processor seconds used so far; why the job failed, or ""


def serve(connection: Connection, worker: Worker, beat: float) -> None:
    """Body of a worker process: work until the driver closes the pipe or is gone. ``beat``: seconds between beats."""
    faulthandler.enable()
    signal.signal(signal.SIGTERM, end_cleanly)
    sending = threading.Lock()

    def say(message: Message) -> None:
        try:
            with sending:
                connection.send(message)
        except OSError:  # the driver is gone: stop without recording a failure
            os._exit(1)

    def keep_beating() -> None:
        while True:
            time.sleep(beat)
            say(time.process_time())

    threading.Thread(target=watch_parent, daemon=True).start()
    threading.Thread(target=keep_beating, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while True:
            job = connection.recv()
            reason = worker(job, say)
            say(reason.encode("utf-8", "backslashreplace").decode())  # lone surrogates cannot be printed


def end_cleanly(number: int, frame: Any) -> None:
    """End this process from wherever it is, so that it removes the file it is writing."""
    signal.signal(number, signal.SIG_IGN)  # its driver, gone meanwhile, asks again: once is enough
    raise SystemExit(128 + number)


def watch_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)


@contextlib.contextmanager
def block_interrupts() -> Iterator[None]:
    """Block SIGINT; a process started inside the block inherits that, this one hears it at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
    """Let signals that would raise wait until the block's end; blocking them is not enough, other threads take them."""
    known = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    mine = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in known if mine and callable(signal.getsignal(number))}
    waiting: list[int] = []
    for number in before:
        signal.signal(number, lambda heard, frame: waiting.append(heard))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for heard in waiting[:1]:
            signal.raise_signal(heard)


def tell_cause(exitcode: int | None) -> str:
    """What a process died of."""
    if exitcode is None or exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:  # real-time signals between the first and the last have no name
        return f"signal {-exitcode}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name
