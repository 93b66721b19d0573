"""A data set as a folder, in any layout of ``layouts``: checked whole, then copied into flat arrays on first use.

So worker processes share pages and read no small files. Streams may differ in width: the narrower are padded with zeros
to the widest, which leaves every product with weights as it is.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from harness.data.annotations import SPLITS, Annotations, FolderKnobs, Video, interpret
from harness.data.cache import PendingDataset
from harness.data.check import check_streams, replace_constants
from harness.data.dataset import PendingSplit, Split
from harness.data.features import Contents, Part, inspect_part, measure_part, stack_streams
from harness.data.findings import Findings
from harness.data.layouts import LAYOUTS, expected, recognise
from harness.data.reading import UnreadableError, open_regular
from harness.errors import DataError
from harness.settings import Source

END = 65536  # bytes at each end of a feature file that enter the fingerprint
WIDE = 512  # features per stream from which a folder without data.yaml takes THUMOS14's scale, not the embedded one's


@dataclass(frozen=True)
class Survey:
    """What a folder holds, as far as it is sound."""

    layout: str
    annotations: Annotations
    lengths: dict[str, np.ndarray]  # per split (V,): snippets, 0 where a video's features are unsound
    widths: tuple[int, ...]  # features per stream, as most videos have them


def name(source: Source) -> str:
    """The folder's own name."""
    return Path(source.path).resolve().name


def layout_of(source: Source) -> ModuleType:
    """The layout of the folder; DataError where it has none."""
    if not source.path:
        raise DataError([f"source.path: empty; {expected()}"])
    return LAYOUTS[recognise(Path(source.path))]


def find_streams(path: Path) -> tuple[str, ...]:
    """The streams that a folder has; empty where it has no known layout."""
    try:
        return tuple(LAYOUTS[recognise(path)].find_streams(path))
    except DataError:
        return ()


def examine(source: Source, findings: Findings) -> Survey | None:
    """Read annotations and the headers of all feature files; None where there is nothing to go on with."""
    layout, folder = layout_of(source), Path(source.path)
    if errors := check_streams(source.streams):
        raise DataError(errors)
    knobs = replace_constants(FolderKnobs(), source.knobs)
    listing = layout.list_videos(folder, findings)
    if listing is None:
        return None
    found = interpret(listing, knobs, findings)
    shapes = {split: measure_split(source, split, found.videos[split], findings) for split in SPLITS}
    widths = usual_widths(np.concatenate([shapes[split][..., 1] for split in SPLITS]))
    lengths: dict[str, np.ndarray] = {}
    for split in SPLITS:
        check_widths(source, split, found.videos[split], shapes[split][..., 1], widths, findings)
        lengths[split] = shapes[split][:, 0, 0]
    videos = {split: share_durations(found.videos[split], lengths[split]) for split in SPLITS}
    return Survey(recognise(folder), Annotations(found.classes, videos), lengths, widths)


def survey(source: Source) -> Survey:
    """``examine`` for a sound folder; DataError lists all that is wrong."""
    findings = Findings()
    found = examine(source, findings)
    if findings.errors or found is None:
        raise DataError(findings.errors)
    return found


def find_parts(source: Source, split: str, video: str) -> list[Part]:
    """Where the streams of a video lie."""
    layout = layout_of(source)
    return [layout.place(Path(source.path), split, stream, video) for stream in source.streams]


def measure_split(source: Source, split: str, videos: tuple[Video, ...], findings: Findings) -> np.ndarray:
    """Shapes (V, M, 2) of the videos' streams: snippets and features; 0 where something is unsound."""
    places = {part.path.parent for video in videos for part in find_parts(source, split, video.id)}
    missing = sorted(place for place in places if not place.is_dir())
    here = find_streams(Path(source.path))
    for place in missing:
        also = f"; streams here: {', '.join(here)}" if here and not set(source.streams) <= set(here) else ""
        findings.error(place, f"missing; expected a folder of ID.npy files{also}")
    shapes = np.zeros((len(videos), len(source.streams), 2), np.int64)
    for row, video in zip(shapes, videos):
        parts = [part for part in find_parts(source, split, video.id) if part.path.parent not in missing]
        found = [(part, shape) for part in parts if (shape := measure_part(part, findings))]
        if len({shape[0] for _, shape in found}) > 1:
            listed = ", ".join(f"{part.path} has {shape[0]}" for part, shape in found)
            findings.error(parts[0].path, f"{listed} snippets; the streams of a video must have equally many")
        elif len(found) == len(source.streams):
            row[:] = [shape for _, shape in found]
    return shapes


def usual_widths(widths: np.ndarray) -> tuple[int, ...]:
    """The most frequent width of each stream; widths (V, M), 0 where unknown."""
    return tuple(int(np.bincount(column[column > 0]).argmax()) if column.any() else 0 for column in widths.T)


def check_widths(
    source: Source,
    split: str,
    videos: tuple[Video, ...],
    widths: np.ndarray,
    usual: tuple[int, ...],
    findings: Findings,
) -> None:
    """Name each file whose width is not that of most videos' same stream."""
    for video, row in zip(videos, widths):
        for part, width, others in zip(find_parts(source, split, video.id), row, usual):
            if width not in (0, others):
                findings.error(part.path, f"{width} features per snippet; the other videos have {others}")


def share_durations(videos: tuple[Video, ...], lengths: np.ndarray) -> tuple[Video, ...]:
    """Videos of which only the duration is known: their snippets share it."""
    return tuple(
        replace(video, snippet_seconds=video.duration / n) if np.isnan(video.snippet_seconds) and n else video
        for video, n in zip(videos, lengths)
    )


def digest(source: Source) -> str:
    """Changes with annotations, splits, each feature file's name, size and both ends, the streams and the knobs."""
    layout, folder, total = layout_of(source), Path(source.path), hashlib.sha256()
    if errors := check_streams(source.streams):
        raise DataError(errors)
    total.update(repr((tuple(source.streams), replace_constants(FolderKnobs(), source.knobs))).encode())
    listing = layout.list_videos(folder, Findings())
    try:
        for text in layout.list_texts(folder):
            with open_regular(text) as stream:
                total.update(stream.read() + b"\0")
        for split in SPLITS if listing else ():
            for video in listing.ids[split]:
                for part in find_parts(source, split, video):
                    state = part.path.stat()
                    total.update(f"{part.path.relative_to(folder).as_posix()} {state.st_size}\0".encode())
                    total.update(ends(part.path, state.st_size, state.st_mtime_ns))
    except (OSError, UnreadableError):
        listing = None
    if listing is None:
        survey(source)  # names everything that is wrong
        raise DataError([f"{folder}: changed while it was read"])
    return total.hexdigest()


@cache
def ends(path: Path, size: int, modified: int) -> bytes:
    """Digest of the first and last 64 kB of a file; remembered as long as size and time (ns) stay."""
    with open_regular(path) as stream:
        head = stream.read(END)
        stream.seek(max(size - END, 0))
        return hashlib.sha256(head + stream.read(END)).digest()


def info(source: Source) -> dict[str, Any]:
    """See ``harness.data.info``; ``widths`` are the streams' own, ``dimension`` the widest."""
    found = survey(source)
    width = max(found.widths)
    large = "activitynet-1.3" if found.layout == "ActivityNet" else "thumos14"
    return {
        "name": name(source),
        "classes": found.annotations.classes,
        "videos": {split: len(found.annotations.videos[split]) for split in SPLITS},
        "streams": tuple(source.streams),
        "dimension": width,
        "widths": found.widths,
        "layout": found.layout,
        "like": "synthetic" if width < WIDE else large,
    }


def inspect_videos(
    source: Source, found: Survey, split: str, findings: Findings
) -> Iterator[tuple[Video, list[Contents]]]:
    """Each video of a split with what its streams' numbers say; unsound numbers go to ``findings``."""
    for video, length in zip(found.annotations.videos[split], found.lengths[split]):
        if length:
            yield video, [inspect_part(part, findings) for part in find_parts(source, split, video.id)]


def pend(source: Source) -> PendingDataset:
    """The folder, checked to the last number, ready to be copied."""
    found, findings = survey(source), Findings()
    for split in SPLITS:
        for _ in inspect_videos(source, found, split, findings):
            pass
    if findings.errors:
        raise DataError(findings.errors)
    train, test = (pend_split(source, split, found) for split in SPLITS)
    return PendingDataset(name(source), found.annotations.classes, tuple(source.streams), train, test, found.widths)


def pend_split(source: Source, split: str, found: Survey) -> PendingSplit:
    """A split of the folder; its features are read video by video."""
    videos, width = found.annotations.videos[split], max(found.widths)
    described = Split(
        tuple(video.id for video in videos),
        np.empty((0, len(source.streams), width), np.float32),
        np.concatenate([[0], np.cumsum(found.lengths[split])]),
        np.stack([video.labels for video in videos]),
        tuple(video.segments for video in videos),
        np.array([video.snippet_seconds for video in videos]),
    )
    return PendingSplit(described, (stack_streams(find_parts(source, split, video.id), width) for video in videos))
