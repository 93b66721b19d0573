"""The annotations of one video: its labels and its segments, and what is wrong with each."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.findings import Findings
from harness.errors import report_unknown

LATEST = 1e7  # seconds: four months of video


def is_label(item: Any) -> bool:
    """Whether an annotation has a label."""
    return isinstance(item, dict) and isinstance(item.get("label"), str)


def read_number(value: Any) -> float:
    """A finite number or a string of one; else NaN."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return math.nan
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return result if math.isfinite(result) else math.nan


def read_video(
    items: list[Any], index: Mapping[str, int], where: tuple[Path, str], train: bool, findings: Findings
) -> tuple[np.ndarray, np.ndarray]:
    """Labels (C,) and segments (n, 3) of a video; ``where`` is the file and the entry that say so.

    A training annotation may do without a segment: training reads labels alone.
    """
    file, entry = where
    labels = np.zeros(len(index), np.float32)
    segments: list[tuple[float, float, int]] = []
    for number, item in enumerate(items, 1):
        at = f"{entry}, annotation {number}"
        if not is_label(item):
            findings.error(file, f'{str(item)[:80]}; expected {{"label": NAME, "segment": [start, end]}}', at)
        elif item["label"] not in index:
            findings.error(file, report_unknown("label", item["label"], index), at)
        else:
            label = index[item["label"]]
            labels[label] = 1
            bounds = None if train and "segment" not in item else read_segment(item.get("segment"), file, at, findings)
            segments += [(*bounds, label)] if bounds else []
    if train and not items:
        findings.error(file, "no annotation; a training video needs a label", entry)
    check_repeated(segments, where, train, findings)
    return labels, np.array(segments, np.float64).reshape(-1, 3)


def read_segment(value: Any, file: Path, at: str, findings: Findings) -> tuple[float, float] | None:
    """(start, end) in seconds, or None where ``value`` is no segment."""
    numbers = [read_number(item) for item in value] if isinstance(value, list) and len(value) == 2 else []
    shown = f"segment {str(value)[:60]}"
    if not numbers or any(math.isnan(item) for item in numbers):
        findings.error(file, f"{shown}; expected [start, end] in seconds", at)
        return None
    start, end = numbers
    if start < 0 or end < start or end > LATEST:
        findings.error(file, f"{shown}; expected 0 <= start <= end <= {LATEST:g}", at)
        return None
    if start == end:
        findings.warn(file, f"{shown} has no length, so no detection can overlap it", at)
    return start, end


def check_repeated(
    segments: list[tuple[float, float, int]], where: tuple[Path, str], train: bool, findings: Findings
) -> None:
    """Two equal segments count twice in testing, and only one can be found."""
    note = findings.warn if train else findings.defect
    for (start, end, _), times in Counter(segments).items():
        if times > 1:
            note(where[0], f"segment [{start:g}, {end:g}] is annotated {times} times with one label", where[1])
