"""What of a run store nobody needs any more, and its removal; what somebody works on at the moment stays."""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from harness.sources import digest
from harness.store.files import read_json
from harness.store.locks import Locks, find_owner
from harness.store.requests import Asked, read_requests
from harness.store.sizes import measure_folder

Kind = Literal["training", "scoring", "data", "rest"]


@dataclass(frozen=True)
class Waste:
    """Something that may go: what it is, where, why, and its bytes."""

    kind: Kind
    path: Path
    reason: str
    bytes: int

    @property
    def key(self) -> str:
        """The training that it is, or belongs to."""
        return self.path.parent.name if self.kind == "scoring" else self.path.name


def find_waste(root: Path) -> list[Waste]:
    """All that may go. Without a note of a request nothing is known to be asked for: then only other sources count."""
    asked = read_requests(root)
    folders = sorted(path for path in (root / "store").glob("*") if path.is_dir())
    found = [waste for folder in folders for waste in judge_training(folder, asked)]
    if asked.notes:
        found += judge_caches(root, asked)
    rest = [path for path in (root / ".pruned").glob("*") if path.is_dir()]
    found += [Waste("rest", path, "left by a removal that was cut off", measure_folder(path)) for path in rest]
    return [waste for waste in found if waste.kind == "data" or find_owner(root, waste.key) is None]


def judge_training(folder: Path, asked: Asked) -> Iterator[Waste]:
    """A training that nobody asks for or that other sources made; else its scorings of that kind."""
    if asked.notes and folder.name not in asked.scorings:
        yield Waste("training", folder, "no study asks for it", measure_folder(folder))
    elif is_of_other_sources(folder / "training.json"):
        yield Waste("training", folder, "made by other sources", measure_folder(folder))
    else:
        for path in sorted(folder.glob("*/result.json")):
            unasked = asked.notes and path.parent.name not in asked.scorings[folder.name]
            reason = "no study asks for it" if unasked else "made by other sources"
            if unasked or is_of_other_sources(path):
                yield Waste("scoring", path.parent, reason, measure_folder(path.parent))


def is_of_other_sources(path: Path) -> bool:
    """Whether a record names another digest of the sources than they have now; a damaged record names none."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        return False
    try:
        return bool(content.get("digest") != digest(str(content["settings"]["case.baseline"])))
    except (KeyError, OSError):  # a baseline that is gone
        return True


def judge_caches(root: Path, asked: Asked) -> Iterator[Waste]:
    """Data sets that no study reads; they are made again when one does."""
    for folder in sorted((root / "data").glob("*")):
        if folder.is_dir() and folder.name not in asked.caches:
            yield Waste("data", folder, "no study reads it", measure_folder(folder))


def remove_waste(root: Path, found: Iterable[Waste]) -> list[Waste]:
    """Remove it, each under its lock; returns what stays, as somebody took it or asked for it meanwhile."""
    aside = root / ".pruned"
    aside.mkdir(exist_ok=True)
    with Locks(root) as locks:
        kept = [waste for waste in found if not remove(root, waste, aside, locks)]
    shutil.rmtree(aside)
    return kept


def remove(root: Path, waste: Waste, aside: Path, locks: Locks) -> bool:
    """Remove one; False where it is in use or needed by now."""
    if waste.kind == "rest":
        return True  # goes with the folder that it is in
    if waste.kind == "data":
        return remove_cache(root, waste, aside)
    if not locks.acquire(waste.key):
        return False
    wanted = all(again.path != waste.path for again in judge_training(root / "store" / waste.key, read_now(root)))
    if not wanted:
        os.replace(waste.path, aside / f"{waste.key}-{waste.path.name}")  # in one step: nobody sees half of it
    if wanted or waste.kind == "scoring":
        locks.release(waste.key)
    else:
        locks.forget(waste.key)
    return not wanted


def remove_cache(root: Path, waste: Waste, aside: Path) -> bool:
    """Remove a data set unless it is just being made, or asked for by now."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(waste.path.with_name(f"{waste.key}.lock"), timeout=0):
            if waste.key in read_now(root).caches:
                return False
            os.replace(waste.path, aside / waste.key)
    except Timeout:
        return False
    return True


def read_now(root: Path) -> Asked:
    """All that is asked for, read anew when a note has come."""
    folder = root / "asked"
    return read_at(root, folder.stat().st_mtime_ns if folder.exists() else 0)


@lru_cache(1)
def read_at(root: Path, changed: int) -> Asked:
    return read_requests(root)
