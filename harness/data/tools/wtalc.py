"""W-TALC's object arrays. They are pickles: reading one can run whatever code its author put in, so only ``convert
--allow-pickle`` calls this.

One array a fact, in one order of videos: videoname, subset ("validation" trains), classlist, segments (seconds), labels
(a name per segment) or labels_all (the names of a video), duration, and one array of features (n, 2048), RGB beside
flow. Names may be bytes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.layouts import PICKLED
from harness.data.tools.writing import Clip
from harness.errors import DataError

SUBSETS = {"validation": "train", "train": "train", "training": "train", "test": "test", "testing": "test"}


def is_wtalc(folder: Path) -> bool:
    """Whether the folder holds W-TALC's arrays."""
    return all((folder / name).exists() for name in PICKLED)


def read_wtalc(folder: Path, seconds: float) -> tuple[list[str], Iterator[Clip]]:
    """Classes and videos; a snippet lasts ``seconds``, or its share of the video's duration where that is 0."""
    names = [decode(name) for name in load_pickled(folder / "videoname.npy")]
    columns = {name: load_column(folder, name, len(names)) for name in ("subset", "labels_all")}
    for name in ("segments", "labels", "duration"):
        if (folder / f"{name}.npy").exists():
            columns[name] = load_column(folder, name, len(names))
    features = load_column(folder, find_features(folder).stem, len(names))
    if not seconds and "duration" not in columns:
        raise DataError([f"{folder}: no duration.npy; state --snippet-seconds (0.64: 16 frames at 25 a second)"])
    classes = [decode(name) for name in load_pickled(folder / "classlist.npy")]
    return classes, list_clips(folder, names, columns, features, seconds)


def list_clips(
    folder: Path, names: Sequence[str], columns: dict[str, Any], features: Sequence[Any], seconds: float
) -> Iterator[Clip]:
    """The videos, one after the other."""
    for number, video in enumerate(names):
        array = np.asarray(features[number])
        if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] % 2 or not len(array):
            raise DataError(
                [f"{folder}: features of '{video}' are {array.dtype} {array.shape}; expected (n, 2 D) floats"]
            )
        subset = decode(columns["subset"][number])
        if subset not in SUBSETS:
            raise DataError([f"{folder / 'subset.npy'}: '{subset}' of '{video}'; allowed: {', '.join(SUBSETS)}"])
        half = array.shape[1] // 2
        length = seconds or float(columns["duration"][number]) / len(array)
        notes = list_annotations(folder, video, number, columns)
        yield Clip(video, SUBSETS[subset], {"rgb": array[:, :half], "flow": array[:, half:]}, notes, length)


def list_annotations(folder: Path, video: str, number: int, columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Labels with their segments; labels alone where no segment has one."""
    every = [decode(label) for label in columns["labels_all"][number]]
    segments = [list(map(float, segment)) for segment in columns.get("segments", {number: ()})[number]]
    own = [decode(label) for label in columns["labels"][number]] if "labels" in columns else every
    if len(own) == 1:
        own = own * len(segments)
    if segments and len(own) != len(segments):
        text = f"'{video}' has {len(segments)} segments and {len(own)} labels; labels.npy must name each segment's"
        raise DataError([f"{folder}: {text}"])
    notes: list[dict[str, Any]] = [{"label": label, "segment": pair} for label, pair in zip(own, segments)]
    return notes + [{"label": label} for label in dict.fromkeys(every) if label not in own or not segments]


def find_features(folder: Path) -> Path:
    """The array of features."""
    found = sorted(path for path in folder.glob("*.npy") if "feature" in path.stem.lower())
    if len(found) == 1:
        return found[0]
    raise DataError([f"{folder}: expected one array of features (*Features.npy); found {len(found)}"])


def load_column(folder: Path, name: str, videos: int) -> Any:
    """An array with one item a video."""
    column = load_pickled(folder / f"{name}.npy")
    if len(column) == videos:
        return column
    raise DataError([f"{folder / name}.npy: {len(column)} items; videoname.npy has {videos}"])


def load_pickled(path: Path) -> Any:
    """A .npy file with objects; runs what the pickle says."""
    try:
        return np.atleast_1d(np.load(path, allow_pickle=True))
    except (OSError, ValueError, EOFError, ImportError, UnicodeError) as error:
        raise DataError([f"{path}: cannot be read ({str(error)[:80]})"]) from None


def decode(name: Any) -> str:
    """A name that may be bytes."""
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)
