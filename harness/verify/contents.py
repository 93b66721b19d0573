"""What a finished training left in a store, value by value, and where two of them differ."""

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ConfigError
from harness.store import results
from harness.study.metrics import is_percent

UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Contents:
    """Stored arrays (curves, scores, weights, memory), and per scoring its numbers and detections as they stand."""

    machine: Mapping[str, str]  # that trained it; empty: not noted
    settings: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    metrics: Mapping[str, float]  # "SCORING map/avg"
    rest: Mapping[str, Any]  # curves over evaluations, best evaluation, detections: as JSON has them


def read_contents(root: Path, key: str, scorings: Iterable[str]) -> Contents:
    """What a store holds of a training. ValueError: what cannot be read, and why."""
    folder = results.training_folder(root, key)
    record = results.read_training(root, key)
    if record is None:
        raise ValueError(f"{folder / 'training.json'}: cannot be read")
    arrays = dict(read_tensors(folder))
    for name in ("curves", "scores"):
        arrays |= {f"{name}/{part}": values for part, values in read_npz(root, key, name).items()}
    metrics: dict[str, float] = {}
    rest: dict[str, Any] = {}
    for scoring in scorings:
        result = results.read_result(root, key, scoring)
        if result is None:
            raise ValueError(f"{folder / scoring / 'result.json'}: cannot be read")
        metrics |= {f"{scoring} {name}": value for name, value in result["metrics"].items()}
        rest |= {f"{scoring} {part}": result.get(part) for part in ("curve", "best")}
        rest[f"{scoring} detections"] = read_detections(root, key, scoring)
    return Contents(record.get("machine", {}), record["settings"], arrays, metrics, rest)


def read_npz(root: Path, key: str, name: str) -> Mapping[str, np.ndarray]:
    """Arrays as they are stored."""
    try:
        return results.read_training_arrays(root, key, name)
    except UNREADABLE as error:
        raise ValueError(f"{results.training_folder(root, key) / name}.npz: cannot be read ({error})") from None


def read_tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Weights, memory and Q^R of checkpoint.pt."""
    from harness.predict import read_checkpoint

    try:
        content = read_checkpoint(folder)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    for part in ("weights", "memory"):
        for name, tensor in content[part].items():
            yield f"{part}/{name}", tensor.numpy()
    yield "Q_R", content["Q_R"].numpy()


def read_detections(root: Path, key: str, scoring: str) -> Any:
    """The detections of a scoring."""
    try:
        return results.read_predictions(root, key, scoring)
    except UNREADABLE as error:
        folder = results.scoring_folder(root, key, scoring)
        raise ValueError(f"{folder / results.PREDICTIONS}: cannot be read ({error})") from None


def compare_bits(stored: Contents, again: Contents) -> Iterator[str]:
    """Where two trainings differ in a bit."""
    if stored.settings != again.settings:
        yield "settings: not those that are noted"
    yield from compare_names(stored.arrays, again.arrays)
    for name in stored.arrays.keys() & again.arrays.keys():
        one, other = stored.arrays[name], again.arrays[name]
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            yield f"{name}: stored {one.dtype} {one.shape}, now {other.dtype} {other.shape}"
        elif one.tobytes() != other.tobytes():
            yield f"{name}: {tell_distance(one, other)}"
    yield from compare_names(stored.metrics, again.metrics)
    for name in stored.metrics.keys() & again.metrics.keys():
        if repr(stored.metrics[name]) != repr(again.metrics[name]):
            yield f"{name}: stored {stored.metrics[name]}, now {again.metrics[name]}"
    for name in stored.rest:
        if json.dumps(stored.rest[name]) != json.dumps(again.rest[name]):
            yield f"{name}: not the same"


def compare_names(stored: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    """What only one of two has."""
    yield from (f"{name}: stored, not there now" for name in stored.keys() - again.keys())
    yield from (f"{name}: not stored, there now" for name in again.keys() - stored.keys())


def tell_distance(one: np.ndarray, other: np.ndarray) -> str:
    """How far two arrays of one shape are apart."""
    gap = np.abs(one.astype(np.float64) - other.astype(np.float64))
    return f"{np.count_nonzero(one != other)} of {one.size} values differ, by at most {gap.max(initial=0):.3g}"


def compare_roughly(stored: Contents, again: Contents, points: float, first: float) -> Iterator[str]:
    """Where two trainings differ by more than rounding may explain: the first loss, and metrics in percent."""
    losses = [float(contents.arrays["curves/loss"][0]) for contents in (stored, again)]
    if not abs(losses[0] - losses[1]) <= first * abs(losses[0]):
        yield f"first loss: stored {losses[0]}, now {losses[1]}"
    yield from compare_names(stored.metrics, again.metrics)
    for name in stored.metrics.keys() & again.metrics.keys():
        one, other = stored.metrics[name], again.metrics[name]
        same = abs(one - other) <= points or (isnan(one) and isnan(other))
        if is_percent(name.partition(" ")[2]) and not same:
            yield f"{name}: stored {one}, now {other}"
