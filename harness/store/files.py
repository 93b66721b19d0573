"""Files that are whole or absent: everything lands by a rename inside its folder. No torch, no mlflow."""

import contextlib
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def landing(path: Path) -> Iterator[Path]:
    """Write to the temporary path given; it replaces ``path`` when the block ends well and is removed when not.

    The content is on the disk before the name is: after a power cut there is the old file, the new one, or none.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    temporary = path.with_name(f".{machine()}-{os.getpid()}.{path.name}")
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(path: Path) -> None:
    """Remove what processes of this machine that were killed left of ``path``."""
    for leftover in path.parent.glob(f".{machine()}-*.{path.name}"):
        pid = leftover.name.removeprefix(f".{machine()}-").split(".")[0]
        if pid.isdigit() and not is_alive(int(pid)):
            leftover.unlink(missing_ok=True)


@cache
def machine() -> str:
    """A short name of this machine that no file system minds."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True


def write_text(path: Path, text: str) -> None:
    with landing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any, indent: int | None = 1) -> None:
    write_text(path, json.dumps(content, indent=indent))


def read_json(path: Path) -> Any:
    """Content of ``path``; None where it is absent or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None


def describe_file(path: Path) -> dict[str, Any]:
    """What tells a file from a damaged one: its size, which costs nothing to compare, and its digest."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def is_whole(path: Path, described: Any) -> bool:
    """Whether a file is there and has the size that was noted of it."""
    try:
        return path.stat().st_size == described["bytes"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
