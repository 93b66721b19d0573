"""ActRecTut's body-worn sensors as a data set: Data/subject{1,2}_gesture/data.mat with ``data`` and ``labels``.

``data`` (N, 15) at 32 Hz: per unit (right hand, lower arm, upper arm) three axes of acceleration and two of rotation;
``labels`` (N,): 1 is NULL, 2 to 12 the gestures. A continuous recording is cut into clips inside NULL stretches.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.reading import UnreadableError, open_regular
from harness.data.tools.windows import HOP, describe_fully
from harness.data.tools.writing import Clip
from harness.errors import DataError

RATE = 32  # samples a second
GESTURES = (
    *("Open window", "Drink", "Water plant", "Close window", "Cut", "Chop"),
    *("Stir", "Book", "Forehand", "Backhand", "Smash"),
)
NULL = 1
UNITS, AXES = 3, 5  # columns: per unit three of the accelerometer, two of the gyroscope
SHORTEST, LONGEST = 10.0, 30.0  # seconds of a clip, drawn uniformly
TRAIN = 0.7  # each subject's first share of clips trains
ABOUT = """ActRecTut (github andreas-bulling/ActRecTut): LICENSE is GPL v3 for the toolbox; the data state none.
Cite A. Bulling, U. Blanke, B. Schiele, ACM Computing Surveys 46(3):33, 2014. Not video: only the layout is.
Clips are cut where no gesture is: a small leak of labels into the bounds of the clips."""


def read_clips(source: Path, bounds: Path | None, seed: int) -> list[Clip]:
    """Both subjects' clips, cut at random, or as the ``source`` entries of the gt.json ``bounds`` say."""
    clips = []
    stated = read_bounds(bounds) if bounds else {}
    for subject in (1, 2):
        name = f"subject{subject}_gesture"
        data, labels = read_recording(source, name)
        streams = split_streams(data)
        rng = np.random.default_rng([seed, subject])
        cuts = stated.get(name, []) if bounds else draw_cuts(labels, rng)
        last = max([stop for _, stop in cuts], default=0)
        if not cuts or last > len(data):
            raise DataError([f"{bounds}: clips of {name} end at row {last}; the recording has {len(data)}"])
        for number, (start, stop) in enumerate(cuts):
            split = "train" if number < round(TRAIN * len(cuts)) else "test"
            features = {stream: describe_fully(signal[start:stop], RATE) for stream, signal in streams.items()}
            notes = list_gestures(labels[start:stop])
            about = {"duration": (stop - start) / RATE, "fps": RATE, "source": f"{name}/data.mat rows {start}:{stop}"}
            clips.append(Clip(f"subject{subject}_clip{number:03d}", split, features, notes, HOP / RATE, about))
    return clips


def read_recording(source: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(N, 15) and (N,) of a data.mat, in SRC or in SRC/Data."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    paths = [source / name / "data.mat", source / "Data" / name / "data.mat"]
    path = next((path for path in paths if path.exists()), paths[0])
    try:
        open_regular(path).close()
        content = loadmat(str(path))
    except UnreadableError as error:
        raise DataError([f"{path}: {error}; expected ActRecTut's data.mat"]) from None
    except (MatReadError, ValueError, TypeError, NotImplementedError, OSError, KeyError) as error:
        raise DataError([f"{path}: cannot be read as a MATLAB file ({str(error)[:80]})"]) from None
    data, labels = content.get("data"), np.ravel(content.get("labels", ()))
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != UNITS * AXES or len(labels) != len(data):
        raise DataError([f"{path}: expected data (N, {UNITS * AXES}) and labels (N,)"])
    known = set(range(NULL, NULL + len(GESTURES) + 1))
    if not set(np.unique(labels)) <= known or not np.isfinite(data).all():
        raise DataError([f"{path}: expected finite numbers, and labels {min(known)} to {max(known)}"])
    return data.astype(np.float64), labels.astype(np.int64)


def split_streams(data: np.ndarray) -> dict[str, np.ndarray]:
    """Accelerometers (N, 9); gyroscopes (N, 9): axes without their median, then the size of each unit's."""
    units = data.reshape(len(data), UNITS, AXES)
    turn = units[..., 3:] - np.median(units[..., 3:], axis=0)
    size = np.linalg.norm(turn, axis=-1)
    return {
        "accelerometer": units[..., :3].reshape(len(data), -1),
        "gyroscope": np.concatenate([turn.reshape(len(data), -1), size], 1),
    }


def find_runs(labels: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(label, start, stop) of each stretch of one label."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    for start, stop in zip([0, *edges], [*edges, len(labels)]):
        yield int(labels[start]), int(start), int(stop)


def draw_cuts(labels: np.ndarray, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Bounds of clips: the first middle of a NULL stretch after a length drawn anew for each clip.

    A rest that is too short or without gesture joins the clip before it.
    """
    middles = [(start + stop) // 2 for label, start, stop in find_runs(labels) if label == NULL]
    cuts = [0]
    wanted = rng.uniform(SHORTEST, LONGEST) * RATE
    for middle in middles:
        if middle - cuts[-1] >= wanted and (labels[cuts[-1] : middle] != NULL).any():
            cuts.append(middle)
            wanted = rng.uniform(SHORTEST, LONGEST) * RATE
    rest = labels[cuts[-1] :]
    if len(cuts) > 1 and (len(rest) < SHORTEST * RATE or (rest == NULL).all()):
        cuts.pop()
    return list(zip(cuts, [*cuts[1:], len(labels)]))


def list_gestures(labels: np.ndarray) -> list[dict[str, Any]]:
    """Annotations of a clip from its labels."""
    out = []
    for label, start, stop in find_runs(labels):
        if label != NULL:
            segment = [round(start / RATE, 4), round(stop / RATE, 4)]
            out.append({"label": GESTURES[label - NULL - 1], "segment": segment})
    return out


def read_bounds(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Clips of each recording from the entries' ``source``: "subject1_gesture/data.mat rows 0:2469"."""
    try:
        entries = json.loads(path.read_text())["database"].values()
        named = [entry["source"].replace("/data.mat rows ", ":").split(":") for entry in entries]
        found = sorted((name, int(start), int(stop)) for name, start, stop in named)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        expected = "a gt.json whose entries say `source: NAME/data.mat rows A:B`"
        raise DataError([f"{path}: expected {expected} ({error})"]) from None
    out: dict[str, list[tuple[int, int]]] = {}
    for name, start, stop in found:
        out.setdefault(name, []).append((start, stop))
    return out
