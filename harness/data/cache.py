"""Data sets on disk, one folder each: flat .npy files whose pages all worker processes share."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from harness.data.dataset import Dataset, PendingSplit, Split


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
    """The data set in ``folder``, named by its fingerprint; made by ``pend`` if it is not there.

    Several processes may ask at once: one makes it under a lock, in a folder that gets its name when it is whole.
    """
    if not folder.exists():
        from filelock import FileLock

        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                write(folder, pend())
    return read(folder)


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
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_split(stem: Path, pending: PendingSplit) -> None:
    """STEM.npy holds the features (N, M, D), STEM.npz everything else."""
    split = pending.split
    shape = (int(split.offsets[-1]), *split.features.shape[1:])
    features = open_memmap(stem.with_suffix(".npy"), "w+", np.float32, shape)
    for start, end, video in zip(split.offsets[:-1], split.offsets[1:], pending.features, strict=True):
        features[start:end] = video
    features.flush()
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
    content = json.loads((folder / "dataset.json").read_text())
    train, test = read_split(folder / "train"), read_split(folder / "test")
    return Dataset(content["name"], tuple(content["classes"]), tuple(content["streams"]), train, test, folder.name)


def read_split(stem: Path) -> Split:
    with np.load(stem.with_suffix(".npz"), allow_pickle=False) as index:
        segments = np.split(index["segments"], np.cumsum(index["instances"])[:-1])
        return Split(
            tuple(index["ids"].tolist()),
            np.load(stem.with_suffix(".npy"), mmap_mode="r"),
            index["offsets"],
            index["labels"],
            tuple(segments),
            index["snippet_seconds"],
        )
