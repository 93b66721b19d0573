"""New videos: features alone, as DIR/STREAM/ID.npy, or as DIR/ID.npy with RGB beside flow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.data.cache import PendingDataset
from harness.data.dataset import PendingSplit, Split
from harness.data.entries import refuse_id
from harness.data.features import Part, inspect_part, measure_part, stack_streams
from harness.data.findings import Findings
from harness.data.joint_files import HALVES
from harness.errors import DataError


@dataclass(frozen=True)
class Expected:
    """What a trained run takes: its classes, its streams with their widths, and the seconds of a snippet."""

    classes: tuple[str, ...]
    streams: tuple[str, ...]
    widths: tuple[int, ...]
    snippet_seconds: float


def pend_features(folder: Path, expected: Expected) -> PendingDataset:
    """The videos of ``folder``, checked against what the run takes. DataError lists all that does not fit."""
    findings = Findings()
    parts = list_parts(folder, expected.streams, findings)
    lengths = []
    for own in parts.values():
        sizes = [measure_part(part, findings) for part in own]
        for part, size, stream, width in zip(own, sizes, expected.streams, expected.widths):
            if size and size[1] != width:
                findings.error(part.path, f"{size[1]} features per snippet; the run was trained on {width} of {stream}")
        counts = {size[0] for size in sizes if size}
        if len(counts) > 1:
            listed = ", ".join(f"{stream} has {size[0]}" for stream, size in zip(expected.streams, sizes) if size)
            findings.error(own[0].path, f"{listed} snippets; the streams of a video must have equally many")
        if all(sizes):
            for part in own:
                inspect_part(part, findings)
        lengths.append(max(counts, default=0))
    if findings.errors:
        raise DataError(findings.errors)
    every = pend_videos(list(parts), list(parts.values()), lengths, expected)
    first = pend_videos(list(parts)[:1], list(parts.values())[:1], lengths[:1], expected)
    return PendingDataset("new videos", expected.classes, expected.streams, first, every, expected.widths)


def list_parts(folder: Path, streams: Sequence[str], findings: Findings) -> dict[str, list[Part]]:
    """Where the streams of each video lie, by id."""
    if not folder.is_dir():
        raise DataError([f"--features: '{folder}' is not a folder"])
    here = sorted(path.name for path in folder.iterdir() if path.is_dir())
    parts: dict[str, list[Part]] = {}
    if set(streams) <= set(here):
        for video in sorted({path.stem for stream in streams for path in (folder / stream).glob("*.npy")}):
            parts[video] = [Part(folder / stream / f"{video}.npy") for stream in streams]
    elif set(streams) <= set(HALVES) and any(folder.glob("*.npy")):
        for video in sorted(path.stem for path in folder.glob("*.npy")):
            parts[video] = [Part(folder / f"{video}.npy", HALVES[stream]) for stream in streams]
    else:
        text = f"the run takes streams {', '.join(streams)}; here are folders {', '.join(here) or 'none'}"
        raise DataError([f"{folder}: {text}; expected STREAM/ID.npy"])
    if not parts:
        raise DataError([f"{folder}: no video; expected ID.npy files"])
    for video in parts:
        if trouble := refuse_id(video):
            findings.error(folder, f"video id {video[:80]!r} {trouble}")
    return parts


def pend_videos(ids: list[str], parts: list[list[Part]], lengths: list[int], expected: Expected) -> PendingSplit:
    """Videos without labels and segments, their features read one after the other."""
    width = max(expected.widths)
    described = Split(
        tuple(ids),
        np.empty((0, len(expected.streams), width), np.float32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.zeros((len(ids), len(expected.classes)), np.float32),
        (np.zeros((0, 3)),) * len(ids),
        np.full(len(ids), expected.snippet_seconds),
    )
    return PendingSplit(described, (stack_streams(own, width) for own in parts))
