"""Write a data set as a folder, whole or not at all, with the SHA-256 of every file."""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.annotations import SPLITS
from harness.data.cache import PendingDataset
from harness.data.features import LARGEST
from harness.errors import DataError

SUMS = "SHA256SUMS"  # `sha256sum -c SHA256SUMS` verifies the folder
SUBSETS = {"split-folders": ("train", "test"), "actionformer": ("Validation", "Test")}
SUBSETS["activitynet"] = ("training", "validation")
FEATURES = {"actionformer": "i3d_features", "activitynet": "features"}
ANNOTATIONS = {"split-folders": "gt.json", "actionformer": "annotations/annotations.json"}
ANNOTATIONS["activitynet"] = "activity_net.json"


@dataclass(frozen=True)
class Clip:
    """A video to be written: one array (n, D) a stream, and its annotations."""

    id: str
    split: str
    features: Mapping[str, np.ndarray]
    annotations: Sequence[Mapping[str, Any]]
    snippet_seconds: float
    about: Mapping[str, Any] = field(default_factory=dict)  # further keys of its entry


def list_clips(pending: PendingDataset) -> Iterable[Clip]:
    """The videos of a data set about to be written, one after the other."""
    for split in SPLITS:
        videos = getattr(pending, split)
        described = videos.split
        for number, features in enumerate(videos.features):
            named = zip(pending.streams, pending.widths)
            streams = {name: features[:, m, :width] for m, (name, width) in enumerate(named)}
            notes = [
                {"label": pending.classes[int(label)], "segment": [float(start), float(end)]}
                for start, end, label in described.segments[number]
            ]
            known = {note["label"] for note in notes}
            labels = [pending.classes[c] for c in np.flatnonzero(described.labels[number])]
            notes += [{"label": label} for label in labels if label not in known]  # training labels without a segment
            yield Clip(described.ids[number], split, streams, notes, float(described.snippet_seconds[number]))


def write_folder(
    out: Path, clips: Iterable[Clip], classes: Sequence[str], layout: str = "split-folders", half: bool = False
) -> None:
    """Write ``clips`` as folder ``out``; float16 where ``half``. DataError: ``out`` is in use, or values do not fit."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError([f"{out}: is there already and not empty; expected a new folder"])
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        write_clips(temporary, clips, classes, layout, half)
        write_sums(temporary)
        if out.exists():
            out.rmdir()
        os.replace(temporary, out)
    except OSError as error:
        raise DataError([f"{out}: cannot be written ({error.strerror or error})"]) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_clips(folder: Path, clips: Iterable[Clip], classes: Sequence[str], layout: str, half: bool) -> None:
    """Feature files, the annotation file, split files, and the streams where they have names of their own."""
    database: dict[str, Any] = {}
    ids: dict[str, list[str]] = {split: [] for split in SPLITS}
    streams: tuple[str, ...] = ()
    for clip in clips:
        streams = tuple(clip.features)
        write_features(folder, clip, layout, half)
        ids[clip.split].append(clip.id)
        subset = SUBSETS[layout][SPLITS.index(clip.split)]
        entry = {"subset": subset, "snippet_seconds": clip.snippet_seconds, **clip.about}
        database[clip.id] = entry | {"annotations": list(clip.annotations)}
    path = folder / ANNOTATIONS[layout]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"classes": list(classes), "database": database}, indent=1))
    if layout == "split-folders":
        for split, videos in ids.items():
            (folder / f"split_{split}.txt").write_text("".join(f"{video}\n" for video in videos))
    elif streams != ("rgb", "flow"):
        raise DataError([f"streams are {', '.join(streams)}; {layout} holds rgb and flow side by side"])


def write_features(folder: Path, clip: Clip, layout: str, half: bool) -> None:
    """The feature files of a clip."""
    kind = np.float16 if half else np.float32
    for name, features in clip.features.items():
        if half and (peak := float(np.abs(features).max())) > LARGEST:
            raise DataError([f"video '{clip.id}', stream '{name}': value {peak:g} is beyond float16 ({LARGEST:g})"])
    if layout == "split-folders":
        for name, features in clip.features.items():
            path = folder / "features" / clip.split / name / f"{clip.id}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.ascontiguousarray(features, kind))
        return
    if len({features.shape for features in clip.features.values()}) > 1:
        raise DataError([f"{layout} holds streams side by side, which must be equally wide"])
    path = folder / FEATURES[layout] / f"{clip.id}.npy"
    path.parent.mkdir(exist_ok=True)
    np.save(path, np.concatenate(list(clip.features.values()), 1).astype(kind))


def write_sums(folder: Path) -> None:
    """SHA-256 of every file below ``folder``."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            lines.append(f"{file_digest(stream, 'sha256').hexdigest()}  {path.relative_to(folder).as_posix()}\n")
    (folder / SUMS).write_text("".join(lines))


def verify_sums(folder: Path) -> list[str]:
    """Files that differ from what SHA256SUMS says of them, or are missing."""
    wrong = []
    for line in (folder / SUMS).read_text().splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not path.is_file():
            wrong.append(f"{path}: missing, but listed in {SUMS}")
            continue
        with path.open("rb") as stream:
            if file_digest(stream, "sha256").hexdigest() != digest:
                wrong.append(f"{path}: differs from its digest in {SUMS}")
    return wrong
