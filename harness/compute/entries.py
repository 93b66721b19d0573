"""What is wrong with ground truth and detections in ActivityNet's JSON format: every entry, not only the first."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import hint

SHOWN = 20  # allowed names that are listed
COMPARED = 5000  # allowed names that may be what was meant
ALLOWED = {dict: "a mapping", list: "a list", str: "a text"}


@dataclass(frozen=True)
class Problem:
    """Something wrong with an entry; ``countable``: the released evaluator gives a number all the same.

    What an ``unknown`` name may have meant is looked up only when the problem is told: thousands may have one.
    """

    entry: str  # "results.VIDEO[3].score"; empty: the whole file
    text: str
    countable: bool = False
    unknown: str | None = None
    allowed: Collection[str] = ()

    def __str__(self) -> str:
        told = self.text
        if self.unknown is not None:
            told += f"; {hint(self.unknown, sorted(self.allowed), SHOWN, COMPARED)}"
        return f"{self.entry}: {told}" if self.entry else told


def wrong_truth(truth: Any, subset: str) -> Iterator[Problem]:
    """All problems of a ground truth: {"database": {video: {"subset", "annotations": [{"label", "segment"}]}}}."""
    if wrong := _lacks(dict, truth, "database", ""):
        yield wrong
        return
    database, filled, there = truth["database"], False, set()
    for name, video in database.items():
        where = f"database.{name}"
        if wrong := _lacks(str, video, "subset", where):
            yield wrong
            continue
        there.add(video["subset"])
        if video["subset"] != subset:
            continue
        if wrong := _lacks(list, video, "annotations", where):
            yield wrong
            continue
        filled = filled or bool(video["annotations"])
        for i, entry in enumerate(video["annotations"]):
            yield from _wrong_entry(entry, f"{where}.annotations[{i}]")
    if subset not in there:
        yield Problem("database", f"no video in subset '{subset}'", unknown=subset, allowed=there)
    elif not filled:
        yield Problem("database", f"subset '{subset}' has no annotated segment")


def wrong_predictions(predictions: Any, database: Mapping[str, Any], subset: str) -> Iterator[Problem]:
    """All problems of {"results": {video: [{"label", "score", "segment"}]}}; an unknown label is reported once.

    ``database``: that of a ground truth in which nothing is wrong that cannot be counted.
    """
    if wrong := _lacks(dict, predictions, "results", ""):
        yield wrong
        return
    videos = {name: video for name, video in database.items() if video["subset"] == subset}
    labels = {a["label"] for video in videos.values() for a in video["annotations"]}
    unknown: set[str] = set()
    for name, found in predictions["results"].items():
        where = f"results.{name}"
        if name not in videos:
            yield _unknown_video(name, where, database, videos, subset)
        if not isinstance(found, list):
            yield Problem(where, f"{shown(found)}; allowed: a list of detections")
            continue
        for i, entry in enumerate(found):
            yield from _wrong_entry(entry, f"{where}[{i}]", scored=True)
            label = entry.get("label") if isinstance(entry, dict) else None
            if isinstance(label, str) and label not in labels and label not in unknown:
                unknown.add(label)
                text = f"no class '{label}' in subset '{subset}'"
                yield Problem(f"{where}[{i}].label", text, unknown=label, allowed=labels)


def _unknown_video(
    name: str, where: str, database: Mapping[str, Any], videos: Mapping[str, Any], subset: str
) -> Problem:
    if name in database:
        text = f"this video is in subset '{database[name]['subset']}', not in '{subset}'"
        return Problem(where, text, countable=True)
    return Problem(where, "the ground truth has no such video", True, unknown=name, allowed=videos.keys())


def _wrong_entry(entry: Any, where: str, scored: bool = False) -> Iterator[Problem]:
    """An annotation, or a detection (``scored``): label, score and segment."""
    if not isinstance(entry, dict):
        yield Problem(where, f"{shown(entry)}; allowed: a mapping")
        return
    if wrong := _lacks(str, entry, "label", where):
        yield wrong
    if scored and (wrong := _wrong_score(entry, where)):
        yield wrong
    if wrong := _lacks(list, entry, "segment", where) or _wrong_segment(entry["segment"], f"{where}.segment"):
        yield wrong


def _wrong_score(entry: Mapping[str, Any], where: str) -> Problem | None:
    if "score" not in entry:
        return Problem(where, f"no key 'score' (a finite number); it has {_keys(entry)}")
    value = number(entry["score"])
    if value is not None and math.isfinite(value) and not isinstance(entry["score"], str | bool):
        return None
    return Problem(f"{where}.score", f"{shown(entry['score'])}; allowed: a finite number", value is not None)


def _wrong_segment(segment: list[Any], where: str) -> Problem | None:
    ends = [value for value in map(number, segment) if value is not None]
    if not len(ends) == len(segment) == 2:
        return Problem(where, f"{shown(segment)}; allowed: [start, end] in seconds")
    start, end = ends
    if math.isfinite(start) and math.isfinite(end) and start < end:
        return None
    kind = "not finite"
    if start == end:
        kind = "zero length"
    elif end < start:
        kind = "inverted"
    return Problem(where, f"{shown(segment)} ({kind}); allowed: finite seconds, start before end", countable=True)


def _lacks(kind: type[dict | list | str], mapping: Any, key: str, where: str) -> Problem | None:
    """What is wrong with mapping[key], if it is not there or no ``kind``."""
    if not isinstance(mapping, dict):
        return Problem(where, f"{shown(mapping)}; allowed: a mapping with the key '{key}'")
    if key not in mapping:
        return Problem(where, f"no key '{key}' ({ALLOWED[kind]}); it has {_keys(mapping)}")
    if isinstance(mapping[key], kind):
        return None
    return Problem(f"{where}.{key}".lstrip("."), f"{shown(mapping[key])}; allowed: {ALLOWED[kind]}")


def _keys(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"'{key}'" for key in list(mapping)[:SHOWN]) or "none"


def number(value: Any) -> float | None:
    """What float() makes of a number or of a text (ground truths in use have segments of texts); else None."""
    try:
        return float(value) if isinstance(value, int | float | str) else None
    except (ValueError, OverflowError):
        return None


def shown(value: Any) -> str:
    """``value`` as a message shows it."""
    text = json.dumps(value, ensure_ascii=False)  # NaN and Infinity as JSON files in use write them
    if len(text) > 60:
        text = text[:57] + "..."
    return f"the text {text}" if isinstance(value, str) else text
