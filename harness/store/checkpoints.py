"""Checkpoints of trainings under way, as files: a line of JSON that says what the rest is, and the rest. No torch.

``<root>/store/<training key>/unfinished.pt`` lands by a rename like every file of the store, and goes when the
training has ended. It counts only where its origin is the expected one and its bytes are those that were written.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from harness.store.files import landing
from harness.store.results import training_folder

LONGEST = 4096  # bytes of the first line

Origin = Mapping[str, str]  # training key, digest of the sources, versions: what decides the bits of a training


class CheckpointError(ValueError):
    """Why a checkpoint that is there counts as absent."""


def locate_checkpoint(root: Path, key: str) -> Path:
    return training_folder(root, key) / "unfinished.pt"


def write_checkpoint(path: Path, origin: Origin, step: int, content: bytes) -> None:
    """Store ``content``, from which the training of this origin goes on after ``step``."""
    header = {"origin": dict(origin), "step": step, "bytes": len(content), "sha256": digest(content)}
    with landing(path) as temporary, temporary.open("wb") as stream:
        stream.write(json.dumps(header).encode() + b"\n")
        stream.write(content)


def read_checkpoint(path: Path, origin: Origin) -> bytes:
    """The content of a checkpoint of this origin. FileNotFoundError where there is none; CheckpointError."""
    with path.open("rb") as stream:
        header = read_header(stream)
        for name, expected in origin.items():
            if header["origin"].get(name) != expected:
                raise CheckpointError(f"{name} is {header['origin'].get(name)}, here it is {expected}")
        content = stream.read()
    if len(content) != header["bytes"] or digest(content) != header["sha256"]:
        raise CheckpointError("damaged")
    return content


def read_header(stream: BinaryIO) -> dict[str, Any]:
    """What a checkpoint says of itself. CheckpointError where that cannot be read."""
    try:
        header = json.loads(stream.readline(LONGEST))
        whole = isinstance(header["origin"], dict) and isinstance(header["step"], int)
        if whole and {"bytes", "sha256"} <= header.keys():
            return dict(header)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise CheckpointError("damaged")


def tell_step(root: Path, key: str) -> int:
    """The step after which an unfinished training goes on; 0 without a checkpoint that can be read."""
    try:
        with locate_checkpoint(root, key).open("rb") as stream:
            return int(read_header(stream)["step"])
    except (OSError, CheckpointError):
        return 0


def find_damaged_checkpoint(root: Path, key: str) -> list[Path]:
    """A training's checkpoint, where it is there and is not whole, or is another training's."""
    path = locate_checkpoint(root, key)
    try:
        read_checkpoint(path, {"key": key})
    except FileNotFoundError:
        return []
    except (OSError, CheckpointError):
        return [path]
    return []


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
