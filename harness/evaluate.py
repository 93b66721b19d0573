"""ActivityNet's detection evaluation of JSON files: ``python -m harness.evaluate --ground-truth G --predictions P``.

Ground truth: {"database": {video: {"subset", "annotations": [{"label", "segment": [start, end]}]}}}; predictions:
{"results": {video: [{"label", "score", "segment"}]}}, as every run of this package writes them. The classes are the
labels of the chosen subset, or of the videos that a file lists (``--videos``, for annotations without subsets); among
tied scores the later listed comes first (``harness.compute.metrics``). Bad entries are refused; ``--lenient`` counts
what the released evaluator counts (a score that is a text as the number it spells).
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli import Parser, guard
from harness.errors import escape, hint, tell_lack

if TYPE_CHECKING:
    import numpy as np

    from harness.compute.entries import Problem
    from harness.compute.localize import Detections

SHOWN = 20  # errors that are listed
PAIR = 64  # bytes that a detection takes for each annotation of its class and video, at least
NEAR = 3  # videos that are named where one is not there
ANET = "0.5:0.95"  # the average that is always computed, over its own thresholds


@dataclass(frozen=True)
class Task:
    """Arguments of ``metrics.average_precision``: segments per video (n, 3), detections; and the classes' names."""

    classes: tuple[str, ...]
    segments: list["np.ndarray"]
    detections: "Detections"


@dataclass(frozen=True)
class Located:
    """A problem with the file that it is in; only those that are shown become text."""

    path: Path
    problem: "Problem"

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def collect(ground_truth: Mapping[str, Any], results: Mapping[str, Any], subset: str) -> Task:
    """Both files as arrays, entries in the order of the files. KeyError: a label that the subset does not have."""
    import numpy as np

    from harness.compute.localize import Detections

    videos = {name: v["annotations"] for name, v in ground_truth["database"].items() if v["subset"] == subset}
    classes = number_names(entry["label"] for entries in videos.values() for entry in entries)
    index = number_names([*videos, *results])  # unknown videos: no segments
    segments = []
    for name in index:
        own = [(*map(float, entry["segment"]), classes[entry["label"]]) for entry in videos.get(name, ())]
        segments.append(np.array(own, np.float64).reshape(-1, 3))
    rows = [
        (index[name], classes[p["label"]], float(p["score"]), *map(float, p["segment"]))
        for name, found in results.items()
        for p in found
    ]
    video, label, score, start, end = np.array(rows, np.float64).reshape(-1, 5).T
    found = Detections(video.astype(np.int64), label.astype(np.int64), score, start, end)
    return Task(tuple(classes), segments, found)


def refuse_size(task: Task) -> str:
    """Why this machine cannot match the detections: of each class in each video, all against all; else empty."""
    import numpy as np

    counts = [np.unique(segments[:, 2], return_counts=True)[1].max(initial=0) for segments in task.segments]
    most, detections = int(max(counts, default=0)), len(task.detections.score)
    lack = tell_lack(PAIR * most * detections)
    return lack and f"{most} annotations of one class in one video beside {detections} detections need {lack}"


def number_names(names: Iterable[str]) -> dict[str, int]:
    """Name -> position among the names that differ, in the order of first mention."""
    return {name: position for position, name in enumerate(dict.fromkeys(names))}


def average_precision(task: Task, tiou: Sequence[float]) -> dict[str, list[float]]:
    """Class -> AP per tIoU, fractions."""
    from harness.compute import metrics

    values = metrics.average_precision(task.segments, task.detections, tiou, len(task.classes))
    return dict(zip(task.classes, values.T.tolist()))


def evaluate(task: Task, tiou: Sequence[float]) -> dict[str, Any]:
    """mAP per tIoU, averages over the given tIoUs ("avg") and over the usual ranges, AP per class; all fractions."""
    import numpy as np

    from harness.compute import metrics
    from harness.study.metrics import RANGES

    low, high, n = RANGES[ANET]
    own = np.linspace(low, high, n).tolist()
    ap = average_precision(task, [*tiou, *own])
    both = np.array(list(ap.values())).T  # (thresholds, C)
    given = metrics.averages(both[: len(tiou)], tiou)
    average = {name: given[name] for name in ("avg", *RANGES) if name in given}
    average[ANET] = metrics.averages(both[len(tiou) :], own)[ANET]
    return {
        "tiou": list(tiou),
        "mAP": both[: len(tiou)].mean(1).tolist(),
        "average": average,
        "per_class": {label: values[: len(tiou)] for label, values in ap.items()},
    }


def thresholds(text: str) -> list[float]:
    """ "0.1:0.7:0.1" (both ends included) or "0.5,0.75" as numbers in (0, 1], each once."""
    try:
        values = _range(*map(float, text.split(":"))) if ":" in text else [float(part) for part in text.split(",")]
    except (TypeError, ValueError, OverflowError):
        values = []
    names = {round(v, 2) for v in values if 0 < v <= 1 and abs(v - round(v, 2)) < 1e-9}
    if not values or len(names) < len(values):
        allowed = "LOW:HIGH:STEP or a list A,B,... of multiples of 0.01 above 0, at most 1, each once"
        raise argparse.ArgumentTypeError(f"'{text}'; allowed: {allowed}")
    return values


def _range(low: float, high: float, step: float) -> list[float]:
    """low, low + step, ... high, as numpy.linspace rounds them; ValueError if the step does not divide the range."""
    n = round((high - low) / step) if step > 0 else -1
    if not 0 <= n <= 100 or abs(low + n * step - high) > 1e-9:
        raise ValueError(f"{low}:{high}:{step}")
    import numpy as np

    values: list[float] = np.linspace(low, high, n + 1).tolist()
    return values


def read(path: Path) -> Any:
    """A JSON file. ValueError: file, line and column of what is broken, or why it cannot be read."""
    from harness.data.reading import UnreadableError, read_json

    repeated: list[str] = []
    try:
        content = read_json(path, repeated)
    except UnreadableError as error:
        reason = str(error)
        located = reason[0].isdigit()  # LINE:COLUMN: what is broken
        raise ValueError(f"{path}:{reason}" if located else f"{path}: {reason}; allowed: a JSON file") from None
    if repeated:
        raise ValueError(f"{path}: '{repeated[0][:60]}' stands twice in one mapping; allowed: each video and key once")
    return content


def read_listed(path: Path) -> frozenset[str]:
    """The videos that a file lists, one a line. ValueError where it cannot be read or lists none."""
    from harness.data.reading import UnreadableError, read_text

    try:
        lines = read_text(path).splitlines()
    except UnreadableError as error:
        raise ValueError(f"{path}: {error}; allowed: a text file with one ID a line") from None
    listed = frozenset(line.strip() for line in lines if line.strip())
    if not listed:
        raise ValueError(f"{path}: lists no video; allowed: one ID a line")
    return listed


def mark_subset(truth: Any, listed: frozenset[str], subset: str) -> list[str]:
    """Make the listed videos of a ground truth its subset, and no others; what is broken in it stays so.

    Returns a message for each video that is not there.
    """
    database = truth.get("database") if isinstance(truth, dict) else None
    if not isinstance(database, dict):
        return []
    for name, video in database.items():
        if isinstance(video, dict):
            video["subset"] = subset if name in listed else f"not {subset}"
    absent = sorted(listed - database.keys())
    told = [
        f"no annotations of '{name}'; {hint(name, get_close_matches(name, database, NEAR, 0.0))}"
        for name in absent[:SHOWN]
    ]
    return told + [f"no annotations of '{name}'" for name in absent[SHOWN:]]


def table(report: Mapping[str, Any], per_class: bool) -> str:
    """The report for people, in percent."""
    heads = "".join(f"{tiou:>7.2f}" for tiou in report["tiou"])
    rows = {"mAP": report["mAP"]} | (report["per_class"] if per_class else {})
    shown = {escape(name): values for name, values in rows.items()}
    width = max(len("AP at tIoU, %"), *map(len, shown))
    lines = [f"{'AP at tIoU, %':<{width}}{heads}"]
    for name, values in shown.items():
        cells = "".join(f"{100 * value:7.2f}" for value in values)
        lines.append(f"{name:<{width}}{cells}")
    names = {"avg": "the tIoUs above"}
    lines += ["", "average mAP over, %"]
    lines += [f"  {names.get(name, name):<{width}}{100 * v:7.2f}" for name, v in report["average"].items()]
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    out = Parser("python -m harness.evaluate", description="mAP at tIoU of detections in JSON files.")
    out.add_argument("--ground-truth", type=Path, required=True, metavar="FILE", help="annotations, ActivityNet format")
    out.add_argument("--predictions", type=Path, required=True, metavar="FILE", help="detections, ActivityNet format")
    counted = out.add_mutually_exclusive_group()
    counted.add_argument("--subset", default="test", help="videos that count (default: test)")
    counted.add_argument("--videos", type=Path, metavar="FILE", help="the videos that count, one ID a line")
    out.add_argument(
        "--tiou", type=thresholds, default="0.1:0.7:0.1", help="LOW:HIGH:STEP or A,B,... (default: %(default)s)"
    )
    out.add_argument("--per-class", action="store_true", help="also print the AP of each class")
    out.add_argument("--json", action="store_true", help="print JSON, with the classes, as fractions")
    out.add_argument(
        "--lenient", action="store_true", help="warn of bad entries and count them as the released code does"
    )
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """0, or 2 if the input is refused."""
    arguments = parser().parse_args(argv)
    return guard(lambda: answer(arguments))


def answer(arguments: argparse.Namespace) -> int:
    """Read, check, evaluate and print."""
    values: list[Any] = []
    broken: list[str] = []
    for path in (arguments.ground_truth, arguments.predictions):
        try:
            values.append(read(path))
        except ValueError as e:
            broken.append(str(e))
    listed: frozenset[str] = frozenset()
    if arguments.videos:
        try:
            listed = read_listed(arguments.videos)
        except ValueError as e:
            broken.append(str(e))
    if broken:
        return _refuse(broken)
    if listed:
        absent = mark_subset(values[0], listed, arguments.subset)
        if absent:
            return _refuse([f"{arguments.videos}: {text}" for text in absent])
    found = problems(values[0], values[1], arguments)
    fatal = [one for one in found if not (one.problem.countable and arguments.lenient)]
    if fatal:
        return _refuse(fatal)
    _print(found, "warning: counted as the released evaluator does: ")
    task = collect(values[0], values[1]["results"], arguments.subset)
    if trouble := refuse_size(task):
        return _refuse([f"{arguments.ground_truth}: {trouble}"])
    report = evaluate(task, arguments.tiou)
    print(json.dumps(report) if arguments.json else table(report, arguments.per_class))
    return 0


def problems(truth: Any, predictions: Any, arguments: argparse.Namespace) -> list["Located"]:
    """All problems of both files; an unsound ground truth hides the predictions' own."""
    from harness.compute.entries import wrong_predictions, wrong_truth

    found = [(arguments.ground_truth, problem) for problem in wrong_truth(truth, arguments.subset)]
    if all(problem.countable for _, problem in found):
        others = wrong_predictions(predictions, truth["database"], arguments.subset)
        found += [(arguments.predictions, problem) for problem in others]
    return [Located(path, problem) for path, problem in found]


def _refuse(texts: Sequence["str | Located"]) -> int:
    _print(texts, "error: ")
    return 2


def _print(texts: Sequence["str | Located"], before: str) -> None:
    for text in texts[:SHOWN]:
        print(before + escape(str(text)), file=sys.stderr)
    if len(texts) > SHOWN:
        print(f"... and {len(texts) - SHOWN} more", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
