"""A data set as a folder, in any layout of ``layouts``: checked whole, then copied into flat arrays on first use.

So worker processes share pages and read no small files. Streams may differ in width: the narrower are padded with zeros
to the widest, which leaves every product with weights as it is.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.annotations import SPLITS
from harness.data.cache import PendingDataset
from harness.data.dataset import PendingSplit, Split
from harness.data.features import stack_streams
from harness.data.findings import Findings
from harness.data.reading import UnreadableError, open_regular
from harness.data.survey import Folder, Survey, examine, inspect_videos, open_folder
from harness.errors import DataError
from harness.settings import Source

END = 65536  # bytes at each end of a feature file that enter the fingerprint
WIDE = 512  # features per stream from which a folder without data.yaml takes THUMOS14's scale, not the embedded one's


def name(source: Source) -> str:
    """The folder's own name."""
    return Path(source.path).resolve().name


def read_sound(folder: Folder) -> Survey:
    """The survey of a sound folder; DataError lists all that is wrong."""
    findings = Findings()
    found = examine(folder, findings)
    if findings.errors or found is None:
        raise DataError(findings.errors)
    return found


def digest(source: Source) -> str:
    """Changes with annotations, splits, each feature file's name, size and both ends, the streams and the knobs."""
    folder, total = open_folder(source), hashlib.sha256()
    total.update(repr((folder.streams, folder.knobs)).encode())
    listing = folder.list_videos(Findings())
    try:
        for text in folder.module.list_texts(folder.path):
            with open_regular(text) as stream:
                total.update(stream.read() + b"\0")
        for split, videos in (listing.ids if listing else {}).items():
            for video in videos:
                for part in folder.find_parts(split, video):
                    state = part.path.stat()
                    total.update(f"{part.path.relative_to(folder.path).as_posix()} {state.st_size}\0".encode())
                    total.update(digest_ends(part.path, state.st_size, state.st_mtime_ns))
    except (OSError, UnreadableError):
        listing = None
    if listing is None:
        read_sound(folder)  # names everything that is wrong
        raise DataError([f"{folder.path}: changed while it was read"])
    return total.hexdigest()


@cache
def digest_ends(path: Path, size: int, modified: int) -> bytes:
    """Digest of the first and last 64 kB of a file; remembered as long as size and time (ns) stay."""
    with open_regular(path) as stream:
        head = stream.read(END)
        stream.seek(max(size - END, 0))
        return hashlib.sha256(head + stream.read(END)).digest()


def info(source: Source) -> dict[str, Any]:
    """See ``harness.data.info``; ``widths`` are the streams' own, ``dimension`` the widest."""
    folder = open_folder(source)
    found = read_sound(folder)
    width = max(found.widths)
    large = "activitynet-1.3" if folder.layout == "ActivityNet" else "thumos14"
    return {
        "name": name(source),
        "classes": found.annotations.classes,
        "videos": {split: len(found.annotations.videos[split]) for split in SPLITS},
        "streams": folder.streams,
        "dimension": width,
        "widths": found.widths,
        "layout": folder.layout,
        "like": "synthetic" if width < WIDE else large,
    }


def pend(source: Source) -> PendingDataset:
    """The folder, checked to the last number, ready to be copied."""
    folder = open_folder(source)
    found, findings = read_sound(folder), Findings()
    for split in SPLITS:
        for _ in inspect_videos(folder, found, split, findings):
            pass
    if findings.errors:
        raise DataError(findings.errors)
    train, test = (pend_split(folder, split, found) for split in SPLITS)
    return PendingDataset(name(source), found.annotations.classes, folder.streams, train, test, found.widths)


def pend_split(folder: Folder, split: str, found: Survey) -> PendingSplit:
    """A split of the folder; its features are read video by video."""
    videos, width = found.annotations.videos[split], max(found.widths)
    ids = tuple(video.id for video in videos)
    labels = np.stack([video.labels for video in videos])
    segments = tuple(video.segments for video in videos)
    snippet_seconds = np.array([video.snippet_seconds for video in videos])
    described = Split(
        ids,
        np.empty((0, len(folder.streams), width), np.float32),
        np.concatenate([[0], np.cumsum(found.lengths[split])]),
        labels,
        segments,
        snippet_seconds,
    )
    return PendingSplit(described, (stack_streams(folder.find_parts(split, video), width) for video in ids))
