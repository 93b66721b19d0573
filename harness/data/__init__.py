"""Data sets behind one interface: the embedded one ("synthetic") and folders in the field's layout ("folder").

``load`` gives a Dataset whose features are read-only memory maps below ``root/data/<fingerprint>/``; worker processes
share their pages. numpy only; importing this costs nothing else.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.data import folder, synthetic, validation
from harness.data.cache import PendingDataset, load_cached, read_whole
from harness.data.dataset import Dataset, Split
from harness.data.survey import find_streams
from harness.errors import DataError, report_unknown
from harness.settings import Source

__all__ = ["DataError", "Dataset", "Split", "describe_streams", "find_streams", "fingerprint", "info", "load"]

SOURCES: dict[str, ModuleType] = {"synthetic": synthetic, "folder": folder}  # each: digest, info, pend


def find_module(source: Source) -> ModuleType:
    """The file of this package that makes ``source``."""
    if source.name not in SOURCES:
        raise DataError([f"source.name: {report_unknown('data source', source.name, SOURCES)}"])
    return SOURCES[source.name]


def load(source: Source, root: Path) -> Dataset:
    """The data set of ``source``, made on first use; DataError lists everything that is wrong with it.

    With ``source.split`` "validation", train and test are the kept and the held-out training videos.
    """
    return load_cached(root / "data" / fingerprint(source, root), lambda: pend(source, root))


def pend(source: Source, root: Path) -> PendingDataset:
    """The data set of ``source``, ready to be written."""
    if source.split == "test":
        return find_module(source).pend(source)
    widths = find_module(source).info(source)["widths"]
    return validation.pend(load(replace(source, split="test"), root), widths, source.validation_share, source.seed)


def fingerprint(source: Source, root: Path) -> str:
    """16 hex digits of all that determines the videos, without loading a feature. ``root`` is not part of it."""
    digest = find_module(source).digest(source)
    if source.split == "validation":
        digest += f" validation {source.validation_share!r} {source.seed}"
    return hashlib.sha256(digest.encode()).hexdigest()[:16]


def info(source: Source, root: Path) -> dict[str, Any]:
    """name, classes, videos {train, test}, streams, dimension (D) and like, without loading a feature.

    ``dimension`` is the widest of ``widths``, to which narrower streams are padded with zeros. ``like`` names the file
    of studies/data/ whose scale (training, widths) fits; a folder's data.yaml goes before it.
    Validation counts are the nominal ones: a class with few videos may move one.
    """
    found = find_module(source).info(source)
    if source.split == "validation":
        held = round(source.validation_share * found["videos"]["train"])
        found["videos"] = {"train": found["videos"]["train"] - held, "test": held}
    return found


def describe_streams(print_: str, root: Path) -> str:
    """Streams and widths of the cached data set with this fingerprint, and what became of unequal ones."""
    found = read_whole(root / "data" / print_)
    if found is None or not found.widths:
        return ""
    listed = ", ".join(f"{name} {width}" for name, width in zip(found.streams, found.widths))
    widest = max(found.widths)
    return listed + (f" (padded with zeros to {widest})" if min(found.widths) < widest else "")
