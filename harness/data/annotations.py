"""From the entries of an annotation file to videos: classes, labels, segments, seconds per snippet; all that is wrong.

An entry is {"annotations": [{"label", "segment": [start s, end s]}], "duration"?, "fps"?, "snippet_seconds"?}; the last
two may stand at the top of the file, beside ``classes``. Numbers may be strings. Layouts bring files to this form.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness.data.findings import Findings
from harness.data.segments import is_label, read_number, read_video
from harness.errors import MOST, hint
from model.ranges import Amount, Count

SPLITS = ("train", "test")
MOST_CLASSES = 10_000  # the label matrix of ten thousand videos then takes 0.4 GB
LEAST_SECONDS, MOST_SECONDS = 1e-3, 3600.0  # of a snippet


@dataclass(frozen=True)
class FolderKnobs:
    """What ``source.knobs`` may state about a folder; it goes before what gt.json says."""

    fps: Amount = 0.0  # frames per second of all videos; 0: not stated
    snippet_seconds: Amount = 0.0  # 0: not stated
    snippet_frames: Count = 16  # frames per snippet
    corrections: Literal["none", "thumos14"] = "none"  # leave out what is known to be wrong (``corrections``)
    ambiguous: Literal["keep", "ignore"] = "keep"  # segments labelled "Ambiguous", as THUMOS14 has them
    absent: Literal["refuse", "skip"] = "refuse"  # videos without features; "skip" leaves them out, tests included


@dataclass(frozen=True)
class Listing:
    """What a layout found in a folder: the outermost mapping of its annotation file, ids and entries of the videos."""

    file: Path
    top: Mapping[str, Any]
    ids: Mapping[str, list[str]]  # per split
    entries: Mapping[str, dict[str, Any]]  # of these ids, as far as they are well-formed


@dataclass(frozen=True)
class Video:
    """What is known of one video beside its features."""

    id: str
    labels: np.ndarray  # (C,) float32 multi-hot
    segments: np.ndarray  # (n, 3) start, end, class
    snippet_seconds: float  # NaN where only the duration is stated: the snippets share it
    duration: float  # seconds; NaN where it is not stated


@dataclass(frozen=True)
class Annotations:
    """Classes, and the videos of each split."""

    classes: tuple[str, ...]
    videos: Mapping[str, tuple[Video, ...]]


def interpret(listing: Listing, knobs: FolderKnobs, findings: Findings) -> Annotations:
    """The videos of a listing; what is wrong goes to ``findings`` and is left out."""
    classes = read_classes(listing, findings)
    index = {name: number for number, name in enumerate(classes)}
    seconds = read_snippet_seconds(listing, knobs, findings)
    videos: dict[str, tuple[Video, ...]] = {}
    for split in SPLITS:
        found = []
        for video in listing.ids[split]:
            if video in listing.entries:
                entry, where = listing.entries[video], (listing.file, f"video '{video}'")
                labels, segments = read_video(entry["annotations"], index, where, split == "train", findings)
                found.append(Video(video, labels, segments, seconds[video], read_duration(entry, where, findings)))
        videos[split] = tuple(found)
        if found and not any(video.labels.any() for video in found):
            findings.error(listing.file, f"the {split} split has no annotation at all; nothing could be measured")
    return Annotations(classes, videos)


def read_classes(listing: Listing, findings: Findings) -> tuple[str, ...]:
    """``classes`` of the file in their order, else the sorted labels of the training videos."""
    used = {split: collect_labels(listing, split) for split in SPLITS}
    stated = listing.top.get("classes")
    if stated is None:
        classes = tuple(sorted({*used["train"], *used["test"]}))
        unlearnt = sorted(set(used["test"]) - set(used["train"]))
        for name in unlearnt[:MOST]:
            text = f"label '{name}' is in test videos only ({used['test'][name]} times), so nothing can learn it"
            findings.error(listing.file, f"{text}; {hint(name, used['train'])}. If it is meant, list it in 'classes'")
        if len(unlearnt) > MOST:
            findings.error(listing.file, f"{len(unlearnt) - MOST} further labels are in test videos only")
    elif not isinstance(stated, list) or not all(isinstance(name, str) for name in stated):
        findings.error(listing.file, f"'classes' is {str(stated)[:60]!r}; expected a list of names")
        return ()
    else:
        classes = tuple(dict.fromkeys(stated))
        for name, times in Counter(stated).items():
            if times > 1:
                findings.error(listing.file, f"class '{name}' is listed {times} times")
        for name in classes:
            if name not in used["train"]:
                findings.warn(listing.file, f"no training video has class '{name}'")
    if len(classes) > MOST_CLASSES:
        findings.error(listing.file, f"{len(classes)} classes; expected at most {MOST_CLASSES}")
        return ()
    check_names(classes, "class", listing.file, findings)
    return classes


def check_names(names: Iterable[str], what: str, file: Path, findings: Findings) -> None:
    """Names are shown in terminals and tables: no control characters, not empty."""
    for name in names:
        if not name.isprintable() or not name.strip():
            findings.error(file, f"{what} {name[:60]!r}: expected printable characters")


def collect_labels(listing: Listing, split: str) -> Counter[str]:
    """How often each label stands in the videos of a split."""
    entries = [listing.entries[video] for video in listing.ids[split] if video in listing.entries]
    return Counter(item["label"] for entry in entries for item in entry["annotations"] if is_label(item))


def read_duration(entry: Mapping[str, Any], where: tuple[Path, str], findings: Findings) -> float:
    """``duration`` of an entry in seconds; NaN where it states none."""
    if entry.get("duration") is None:
        return math.nan
    length = read_number(entry["duration"])
    if not length > 0:
        findings.error(where[0], f"duration {entry['duration']!r}; expected seconds above 0", where[1])
        return math.nan
    return length


def read_snippet_seconds(listing: Listing, knobs: FolderKnobs, findings: Findings) -> dict[str, float]:
    """Seconds of a snippet of each video: stated, or frames over frames per second; never assumed.

    NaN where neither is stated but the duration is.
    """
    out, silent, path = dict[str, float](), list[str](), listing.file
    for video, entry in listing.entries.items():
        seconds = stated_seconds(entry, listing.top, knobs)
        sound = seconds is not None and LEAST_SECONDS <= seconds <= MOST_SECONDS
        out[video] = seconds if sound and seconds else math.nan
        if seconds is None:
            silent += [video] if entry.get("duration") is None else []
        elif not seconds > 0:
            findings.error(path, "snippet_seconds and fps must be numbers above 0", f"video '{video}'")
        elif not sound:
            expected = f"expected {LEAST_SECONDS:g} .. {MOST_SECONDS:g}"
            findings.error(path, f"a snippet of {seconds:g} s; {expected}", f"video '{video}'")
    if silent:
        findings.error(
            path,
            f"{len(silent)} of {len(out)} videos ('{silent[0]}' is the first) have neither fps nor snippet_seconds nor "
            f"duration. State one in {path.name}, or in {path.with_name('data.yaml')} as "
            "`source.knobs.fps: 25` (frames per second) or `source.knobs.snippet_seconds: 0.64`",
        )
    return out


def stated_seconds(entry: Mapping[str, Any], top: Mapping[str, Any], knobs: FolderKnobs) -> float | None:
    """None where nothing is stated, NaN where what is stated is no number above 0."""
    own: Mapping[str, Any] = {"snippet_seconds": knobs.snippet_seconds or None, "fps": knobs.fps or None}
    in_order = [(own, "snippet_seconds"), (own, "fps")]
    in_order += [(level, key) for key in ("snippet_seconds", "fps") for level in (entry, top)]
    for level, key in in_order:
        if level.get(key) is not None:
            value = read_number(level[key])
            if not value > 0:
                return math.nan
            return value if key == "snippet_seconds" else knobs.snippet_frames / value
    return None
