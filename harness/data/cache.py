"""Data sets on disk, one folder each: flat .npy files whose pages all worker processes share."""

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from harness.data.dataset import Dataset, PendingSplit, Split
from harness.errors import DataError

DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)  # what reading a broken cache raises


@dataclass(frozen=True)
class PendingDataset:
    """A data set about to be written; ``widths`` are the streams' own, before they are padded to one."""

    name: str
    classes: tuple[str, ...]
    streams: tuple[str, ...]
    train: PendingSplit
    test: PendingSplit
    widths: tuple[int, ...]


def load_cached(folder: Path, pend: Callable[[], PendingDataset]) -> Dataset:
    """The data set in ``folder``, named by its fingerprint; made by ``pend`` if it is not there, or damaged.

    Several processes may ask at once: one makes it under a lock, in a folder that gets its name when it is whole.
    DataError: the disk is full, or ``folder`` cannot be written.
    """
    if (found := read_whole(folder)) is not None:
        return found
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if (found := read_whole(folder)) is not None:
            return found
        if folder.exists():
            print(f"{folder}: damaged, made anew", file=sys.stderr)
        pending = pend()
        try:
            write(folder, pending)
        except OSError as error:
            raise DataError([f"{folder}: the data set cannot be written ({error.strerror or error})"]) from None
        return read(folder)


def read_whole(folder: Path) -> Dataset | None:
    """The data set in ``folder``; None where it is absent or damaged."""
    try:
        return read(folder)
    except DAMAGE:
        return None


def write(folder: Path, pending: PendingDataset) -> None:
    """Write ``pending`` as ``folder``, which appears whole or not at all."""
    temporary = folder.with_name(f".{folder.name}")  # one writer at a time: a killed one leaves it to the next
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        write_split(temporary / "train", pending.train)
        write_split(temporary / "test", pending.test)
        content = {name: getattr(pending, name) for name in ("name", "classes", "streams", "widths")}
        (temporary / "dataset.json").write_text(json.dumps(content, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_split(stem: Path, pending: PendingSplit) -> None:
    """STEM.npy holds the features (N, M, D), STEM.npz everything else.

    Features are written, not mapped: on a full disk writing raises, where a map would end in a bus error.
    """
    split = pending.split
    shape = (int(split.offsets[-1]), *split.features.shape[1:])
    with stem.with_suffix(".npy").open("wb") as stream:
        npy.write_array_header_2_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for length, video in zip(split.lengths, pending.features, strict=True):
            if video.shape != (length, *shape[1:]):
                raise ValueError(f"a video of shape {video.shape}; expected {(int(length), *shape[1:])}")
            stream.write(np.ascontiguousarray(video, "<f4").data)
        stream.flush()
        os.fsync(stream.fileno())
    np.savez(
        stem.with_suffix(".npz"),
        ids=np.array(split.ids),
        offsets=split.offsets,
        labels=split.labels,
        segments=np.concatenate([np.zeros((0, 3)), *split.segments]),
        instances=np.array([len(found) for found in split.segments]),
        snippet_seconds=split.snippet_seconds,
    )


def read(folder: Path) -> Dataset:
    """The data set in ``folder``; any error of ``DAMAGE`` where it is not whole."""
    content = json.loads((folder / "dataset.json").read_text())
    train, test = read_split(folder / "train"), read_split(folder / "test")
    names = tuple(content["classes"]), tuple(content["streams"])
    return Dataset(content["name"], *names, train, test, folder.name, tuple(content["widths"]))


def read_split(stem: Path) -> Split:
    """A split of the cache, its features mapped read-only."""
    features = np.load(stem.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as index:
        content = dict(index)
    if len(features) != content["offsets"][-1] or features.ndim != 3:
        raise ValueError(f"{stem}: {len(features)} snippets; expected {content['offsets'][-1]}")
    return Split(
        tuple(content["ids"].tolist()),
        features,
        content["offsets"],
        content["labels"],
        tuple(np.split(content["segments"], np.cumsum(content["instances"])[:-1])),
        content["snippet_seconds"],
    )
