"""A data set as a folder in the field's layout: features/{train,test}/STREAM/ID.npy, gt.json, split_{train,test}.txt.

A feature file holds (n, D) floats, one row per snippet. On first use the folder is checked whole and copied into flat
memory-mapped arrays (``cache``), so that worker processes share pages and read no small files.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import annotations
from harness.data.annotations import SPLITS, Annotations, FolderKnobs, Video
from harness.data.cache import Plan
from harness.data.check import check_streams, replace_constants
from harness.data.dataset import Draft, Split
from harness.errors import DataError
from harness.settings import Source

END = 65536  # bytes at each end of a feature file that enter the fingerprint
WIDE = 512  # features per stream from which a folder without data.yaml takes THUMOS14's scale, not the embedded one's


@dataclass(frozen=True)
class Survey:
    """A folder found to be sound."""

    annotations: Annotations
    shapes: dict[str, np.ndarray]  # per split (V, 2): snippets n, features D


def name(source: Source) -> str:
    return Path(source.path).resolve().name


def feature_file(source: Source, split: str, stream: str, video: str) -> Path:
    return Path(source.path) / "features" / split / stream / f"{video}.npy"


def survey(source: Source, deep: bool) -> Survey:
    """Check the folder; ``deep`` reads every feature for NaN and infinity. DataError lists all that is wrong."""
    folder = Path(source.path)
    if not source.path or not folder.is_dir():
        what = f"'{folder}' is not a folder" if source.path else "empty"
        layout = "features/{train,test}/STREAM/ID.npy, gt.json, split_train.txt, split_test.txt"
        raise DataError([f"source.path: {what}; expected a folder with {layout}"])
    if errors := check_streams(source.streams):
        raise DataError(errors)
    found = annotations.read(folder, replace_constants(FolderKnobs(), source.knobs), errors)
    shapes = {split: check_features(source, split, found.videos[split], deep, errors) for split in SPLITS}
    errors += differing(source, found, shapes)
    if errors:
        raise DataError(errors)
    return Survey(found, shapes)


def check_features(source: Source, split: str, videos: tuple[Video, ...], deep: bool, errors: list[str]) -> np.ndarray:
    """Shapes (V, 2) of the videos' features: n and D, (0, 0) where a file is unsound."""
    missing = [s for s in source.streams if not feature_file(source, split, s, "ID").parent.is_dir()]
    for stream in missing:
        errors.append(f"{feature_file(source, split, stream, 'ID').parent}: missing; expected a folder of ID.npy files")
    shapes = np.zeros((len(videos), 2), np.int64)
    for row, video in zip(shapes, videos):
        files = [feature_file(source, split, s, video.id) for s in source.streams if s not in missing]
        found = {file: shape for file in files for shape in [check_file(file, deep, errors)] if shape}
        lengths = {shape[0] for shape in found.values()}
        if len(lengths) > 1:
            listed = ", ".join(f"{file} has {shape[0]}" for file, shape in found.items())
            errors.append(f"{listed} snippets; the streams of a video must have equally many")
        elif found and len(found) == len(source.streams):
            row[:] = lengths.pop(), max(shape[1] for shape in found.values())
            check_widths(found, errors)
    return shapes


def check_widths(found: dict[Path, tuple[int, int]], errors: list[str]) -> None:
    if len({shape[1] for shape in found.values()}) > 1:
        listed = ", ".join(f"{file} has {shape[1]}" for file, shape in found.items())
        errors.append(f"{listed} features per snippet; the streams must have equally many")


def check_file(path: Path, deep: bool, errors: list[str]) -> tuple[int, int] | None:
    """(n, D) of a feature file, or None with the reason in ``errors``."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        errors.append(f"{path}: {annotations.reason(error)}; expected a .npy file of (snippets, D) floats")
        return None
    if array.ndim != 2 or array.dtype.kind != "f" or 0 in array.shape:
        errors.append(f"{path}: {array.dtype} array of shape {array.shape}; expected (snippets, D) float16 or float32")
        return None
    if deep and not (finite := np.isfinite(array)).all():
        row, column = np.argwhere(~finite)[0]
        errors.append(
            f"{path}: {int((~finite).sum())} values are not finite, the first ({array[row, column]}) at snippet {row}, "
            f"feature {column}; expected finite numbers"
        )
    return array.shape[0], array.shape[1]


def differing(source: Source, found: Annotations, shapes: dict[str, np.ndarray]) -> list[str]:
    """Videos whose D is not the one that most videos have."""
    widths = np.concatenate([shapes[split][:, 1] for split in SPLITS])
    usual = int(np.bincount(widths[widths > 0]).argmax()) if (widths > 0).any() else 0
    return [
        f"{feature_file(source, split, source.streams[0], video.id)}: {width} features per snippet; "
        f"the other videos have {usual}"
        for split in SPLITS
        for video, width in zip(found.videos[split], shapes[split][:, 1])
        if width not in (0, usual)
    ]


def digest(source: Source) -> str:
    """Changes with gt.json, the splits, each feature file's name, size and both ends, the streams and the knobs."""
    folder, total = Path(source.path), hashlib.sha256()
    if check_streams(source.streams) or not folder.is_dir():
        survey(source, deep=False)  # raises
    total.update(repr((tuple(source.streams), replace_constants(FolderKnobs(), source.knobs))).encode())
    try:
        for text in ("gt.json", "split_train.txt", "split_test.txt"):
            total.update((folder / text).read_bytes() + b"\0")
        for split in SPLITS:
            for video in annotations.read_split(folder / f"split_{split}.txt", []):
                for stream in source.streams:
                    file = feature_file(source, split, stream, video)
                    state = file.stat()
                    total.update(f"{file.relative_to(folder).as_posix()} {state.st_size}\0".encode())
                    total.update(ends(file, state.st_size, state.st_mtime_ns))
    except OSError:
        survey(source, deep=False)  # names everything that is missing
        raise
    return total.hexdigest()


@cache
def ends(path: Path, size: int, modified: int) -> bytes:
    """Digest of the first and last 64 kB of a file; remembered as long as size and time (ns) stay."""
    with path.open("rb") as stream:
        head = stream.read(END)
        stream.seek(max(size - END, 0))
        return hashlib.sha256(head + stream.read(END)).digest()


def info(source: Source) -> dict[str, Any]:
    found = survey(source, deep=False)
    D = int(found.shapes["train"][0, 1])
    return {
        "name": name(source),
        "classes": found.annotations.classes,
        "videos": {split: len(found.annotations.videos[split]) for split in SPLITS},
        "streams": tuple(source.streams),
        "dimension": D,
        "like": "synthetic" if D < WIDE else "thumos14",
    }


def plan(source: Source) -> Plan:
    found = survey(source, deep=True)
    train, test = (draft(source, split, found) for split in SPLITS)
    return Plan(name(source), found.annotations.classes, tuple(source.streams), train, test)


def draft(source: Source, split: str, found: Survey) -> Draft:
    """A split of the folder; its features are read file by file."""
    videos, shapes = found.annotations.videos[split], found.shapes[split]
    return Draft(
        Split(
            tuple(video.id for video in videos),
            np.empty((0, len(source.streams), shapes[0, 1]), np.float32),
            np.concatenate([[0], np.cumsum(shapes[:, 0])]),
            np.stack([video.labels for video in videos]),
            tuple(video.segments for video in videos),
            np.array([video.snippet_seconds for video in videos]),
        ),
        features(source, split, videos),
    )


def features(source: Source, split: str, videos: tuple[Video, ...]) -> Iterator[np.ndarray]:
    """(n, M, D) float32 per video."""
    for video in videos:
        streams = [np.load(feature_file(source, split, stream, video.id)) for stream in source.streams]
        yield np.stack(streams, 1).astype(np.float32)
