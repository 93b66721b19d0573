"""gt.json and the split lists of a folder: classes, video labels, segments, seconds per snippet; every error of them.

gt.json: ``database`` {ID: {"annotations": [{"label", "segment": [start s, end s]}], "fps"?, "snippet_seconds"?}}, and
at its top optionally ``classes``, ``fps``, ``snippet_seconds``. Numbers may be strings.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import unknown, unsafe
from model.settings import Amount, Count

SPLITS = ("train", "test")
Database = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class FolderKnobs:
    """What ``source.knobs`` may state about a folder; it goes before what gt.json says."""

    fps: Amount = 0.0  # frames per second of all videos; 0: not stated
    snippet_seconds: Amount = 0.0  # 0: not stated
    snippet_frames: Count = 16  # frames per snippet


@dataclass(frozen=True)
class Video:
    """What is known of one video beside its features."""

    id: str
    labels: np.ndarray  # (C,) float32 multi-hot
    segments: np.ndarray  # (n, 3) start, end, class
    snippet_seconds: float


@dataclass(frozen=True)
class Annotations:
    classes: tuple[str, ...]
    videos: dict[str, tuple[Video, ...]]  # per split


def read(folder: Path, knobs: FolderKnobs, errors: list[str]) -> Annotations:
    """Annotations of ``folder``; what is wrong is appended to ``errors`` and left out."""
    ids = {split: read_split(folder / f"split_{split}.txt", errors) for split in SPLITS}
    for both in sorted(set(ids["train"]) & set(ids["test"])):
        errors.append(f"{folder / 'split_test.txt'}: '{both}' is in split_train.txt as well; a video has one split")
    gt = folder / "gt.json"
    content = read_json(gt, errors)
    if content is None:
        return Annotations((), dict.fromkeys(SPLITS, ()))
    wanted = {video: split for split in SPLITS for video in ids[split]}
    database = described(content["database"], wanted, gt, errors)
    classes = read_classes(content, database, gt, errors)
    seconds = snippet_lengths(database, content, knobs, gt, errors)
    videos = {
        video: Video(
            video,
            *annotated(entry, classes, f"{gt}: video '{video}'", wanted[video] == "train", errors),
            seconds[video],
        )
        for video, entry in database.items()
    }
    return Annotations(classes, {s: tuple(videos[v] for v in ids[s] if v in videos) for s in SPLITS})


def read_split(path: Path, errors: list[str]) -> list[str]:
    """Video ids, one a line."""
    try:
        ids = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        errors.append(f"{path}: {reason(error)}; expected a text file with one video id a line")
        return []
    if not ids:
        errors.append(f"{path}: no video; expected one id a line")
    errors += [f"{path}: '{video}' is listed {n} times" for video, n in Counter(ids).items() if n > 1]
    errors += [f"{path}: video id '{video}' {unsafe(video)}" for video in dict.fromkeys(ids) if unsafe(video)]
    return [video for video in dict.fromkeys(ids) if not unsafe(video)]


def reason(error: Exception) -> str:
    """In two or three words why a file cannot be read."""
    return "missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"


def read_json(path: Path, errors: list[str]) -> dict[str, Any] | None:
    """gt.json with a ``database``, or None."""
    try:
        content = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        errors.append(f"{path}:{error.lineno}:{error.colno}: broken JSON: {error.msg}")
        return None
    except (OSError, UnicodeDecodeError) as error:
        errors.append(f"{path}: {reason(error)}; expected the annotations as JSON")
        return None
    if not isinstance(content, dict) or not isinstance(content.get("database"), dict):
        errors.append(f'{path}: no \'database\'; expected {{"database": {{ID: {{"annotations": [...]}}}}}}')
        return None
    return content


def described(database: dict[str, Any], wanted: dict[str, str], path: Path, errors: list[str]) -> Database:
    """The entries of the wanted videos, as far as they are well-formed."""
    found: Database = {}
    for video, split in wanted.items():
        entry = database.get(video)
        if entry is None:
            errors.append(f"{path}: no entry for video '{video}' of split_{split}.txt")
        elif not isinstance(entry, dict) or not isinstance(entry.get("annotations"), list):
            errors.append(f"{path}: video '{video}' has no list 'annotations'")
        else:
            found[video] = entry
    return found


def read_classes(content: dict[str, Any], database: Database, path: Path, errors: list[str]) -> tuple[str, ...]:
    """``classes`` of gt.json in its order, else the sorted labels of the videos used."""
    stated = content.get("classes")
    if stated is None:
        items = [item for entry in database.values() for item in entry["annotations"]]
        return tuple(sorted({item["label"] for item in items if isinstance(item, dict) and is_label(item)}))
    if not isinstance(stated, list) or not all(isinstance(name, str) for name in stated):
        errors.append(f"{path}: 'classes' is {stated!r}; expected a list of names")
        return ()
    errors += [f"{path}: class '{name}' is listed {n} times" for name, n in Counter(stated).items() if n > 1]
    return tuple(dict.fromkeys(stated))


def is_label(item: dict[str, Any]) -> bool:
    return isinstance(item.get("label"), str)


def annotated(
    entry: dict[str, Any], classes: tuple[str, ...], where: str, train: bool, errors: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (C,) and segments (n, 3) of a video. A training annotation may do without a segment."""
    labels, segments = np.zeros(len(classes), np.float32), []
    for number, item in enumerate(entry["annotations"], 1):
        at = f"{where}, annotation {number}"
        if not isinstance(item, dict) or not is_label(item):
            errors.append(f'{at}: {item!r}; expected {{"label": NAME, "segment": [start, end]}}')
        elif item["label"] not in classes:
            errors.append(f"{at}: {unknown('label', item['label'], classes)}")
        else:
            index = classes.index(item["label"])
            labels[index] = 1
            if not (train and "segment" not in item):
                segments += [(*bounds, index) for bounds in segment(item.get("segment"), at, errors)]
    if train and not entry["annotations"]:
        errors.append(f"{where}: no annotation; a training video needs a label")
    return labels, np.array(segments, np.float64).reshape(-1, 3)


def segment(value: Any, where: str, errors: list[str]) -> list[tuple[float, float]]:
    """[(start, end)], or nothing where ``value`` is no segment."""
    numbers = [number(item) for item in value] if isinstance(value, list) else []
    if len(numbers) != 2 or any(math.isnan(item) for item in numbers):
        errors.append(f"{where}: segment {value!r}; expected [start, end] in seconds")
    elif numbers[0] < 0 or numbers[1] < numbers[0]:
        errors.append(f"{where}: segment {value!r}; expected 0 <= start <= end")
    else:
        return [(numbers[0], numbers[1])]
    return []


def number(value: Any) -> float:
    """A finite number or a string of one; else NaN."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def snippet_lengths(
    database: Database, content: dict[str, Any], knobs: FolderKnobs, path: Path, errors: list[str]
) -> dict[str, float]:
    """Seconds of a snippet of each video: stated, or frames per snippet over frames per second; never assumed."""
    lengths = {video: snippet_seconds(entry, content, knobs) for video, entry in database.items()}
    wrong = [video for video, seconds in lengths.items() if seconds is not None and not seconds > 0]
    errors += [f"{path}: video '{video}': snippet_seconds and fps must be numbers above 0" for video in wrong]
    silent = [video for video, seconds in lengths.items() if seconds is None]
    if silent:
        errors.append(
            f"{path}: {len(silent)} of {len(lengths)} videos ('{silent[0]}' is the first) have neither fps nor "
            f"snippet_seconds. State either in gt.json, or in {path.with_name('data.yaml')} as "
            "`source.knobs.fps: 25` (frames per second) or `source.knobs.snippet_seconds: 0.64`"
        )
    return {video: seconds or math.nan for video, seconds in lengths.items()}


def snippet_seconds(entry: dict[str, Any], content: dict[str, Any], knobs: FolderKnobs) -> float | None:
    """None where nothing is stated, NaN where what is stated is no number above 0."""
    stated = {"snippet_seconds": knobs.snippet_seconds or None, "fps": knobs.fps or None}
    both = ("snippet_seconds", "fps")
    for level, key in [(stated, key) for key in both] + [(level, key) for key in both for level in (entry, content)]:
        if level.get(key) is not None:
            value = number(level[key])
            seconds = value if key == "snippet_seconds" or not value > 0 else knobs.snippet_frames / value
            return seconds if seconds > 0 else math.nan
    return None
