"""A lock per training: no two drivers train one run at once, on one machine or on several that share the folder.

``<root>/store/<training key>/owner.json`` names who has it; its time of change is the owner's heartbeat. An owner is
gone when its process is (on this machine), or when its heartbeat stopped ``STALE`` seconds ago (on any). File systems:
any where creating a file is exclusive and times of change are seen by the others within ``STALE`` (local ones, NFS from
version 3, Lustre, CephFS); times are compared with the file server's own clock.
"""

import contextlib
import json
import os
import socket
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.store.files import read_json
from harness.store.results import training_folder

BEAT = 15.0  # seconds between heartbeats
WRITING = 5.0  # seconds that writing a lock may take
LATEST = 1e11  # seconds since 1970, far beyond any, and process numbers
STALE = 120.0  # seconds without a heartbeat after which an owner is gone


@dataclass(frozen=True)
class Owner:
    """A driver: its machine, its process, and when that process began, as process numbers are used again."""

    host: str
    pid: int
    began: float
    since: float = 0.0  # when it took the training

    @classmethod
    def this(cls) -> "Owner":
        from psutil import Process

        return cls(socket.gethostname(), os.getpid(), Process().create_time(), time.time())

    @classmethod
    def of(cls, content: Any) -> "Owner":
        """The owner that a lock names. TypeError, ValueError where it names none."""
        owner = cls(**content)
        named = isinstance(owner.host, str) and type(owner.pid) is int
        if not named or not all(0 <= number < LATEST for number in (owner.pid, owner.began, owner.since)):
            raise ValueError(content)
        return owner


def find_owner(root: Path, key: str) -> Owner | None:
    """Who has a training; None for nobody, or somebody who is gone."""
    path = locate_lock(root, key)
    content = read_json(path)
    age = tell_age(path)
    if age is None or age > STALE:
        return None
    try:
        owner = Owner.of(content)
    except (TypeError, ValueError):  # just being written, or by somebody who was killed there
        return Owner("", 0, 0) if age < WRITING else None
    return None if has_ended(owner) else owner


def has_ended(owner: Owner) -> bool:
    """Whether the owner's process, of this machine, is gone; of another machine only the heartbeat tells."""
    if owner.host != socket.gethostname():
        return False
    from psutil import Error, Process

    try:
        return abs(Process(owner.pid).create_time() - owner.began) > 1
    except Error:
        return True


def locate_lock(root: Path, key: str) -> Path:
    return training_folder(root, key) / "owner.json"


def tell_age(path: Path) -> float | None:
    """Seconds since a file's last change, by the clock of its file system; None where it is absent."""
    clock = path.with_name(f".{socket.gethostname()}-{os.getpid()}.clock")
    try:
        changed = path.stat().st_mtime
        clock.touch()
        return clock.stat().st_mtime - changed
    except FileNotFoundError:
        return None
    finally:
        clock.unlink(missing_ok=True)


class Locks:
    """The trainings that this driver has. A context manager: heartbeats inside, everything released at its end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.held: set[str] = set()
        self.ended = threading.Event()

    def acquire(self, key: str) -> bool:
        """Take a training; False where another driver has it."""
        path = locate_lock(self.root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        if create_lock(path) or self.take_over(key):
            self.held.add(key)
        return key in self.held

    def take_over(self, key: str) -> bool:
        """Take a training whose owner is gone; of several drivers that see it, one succeeds."""
        from filelock import FileLock

        with FileLock(self.root / "store.lock"):
            if find_owner(self.root, key) is not None:
                return False
            path = locate_lock(self.root, key)
            path.unlink(missing_ok=True)
            return create_lock(path)

    def release(self, key: str) -> None:
        if key in self.held:
            self.held.discard(key)
            locate_lock(self.root, key).unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Give up a training whose folder, and the lock with it, is gone: a new one belongs to somebody else."""
        self.held.discard(key)

    def beat(self) -> None:
        """Say that this driver is alive, again and again until the end."""
        while not self.ended.wait(BEAT):
            for key in tuple(self.held):
                with contextlib.suppress(OSError):
                    os.utime(locate_lock(self.root, key))

    def __enter__(self) -> Self:
        threading.Thread(target=self.beat, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        for key in tuple(self.held):
            self.release(key)


def create_lock(path: Path) -> bool:
    """Write this process into a lock that is free; False where it is not."""
    text = json.dumps(asdict(Owner.this())).encode()
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, text)
    except BaseException:  # a full disk, an interrupt
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    return True
