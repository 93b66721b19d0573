"""SHREC 2021 hand gestures as a data set: training_set/ and test_set/ with sequences/N.txt and the revised annotations.

A row of a sequence holds palm and 19 joints, each position and quaternion (x y z w), separated by ";"; 50 rows a
second. A row of the annotations: N;LABEL;first;last;..., frames counted from 1, both ends included.
"""

from pathlib import Path

import numpy as np

from harness.data.reading import UnreadableError, read_text
from harness.data.tools.windows import HOP, describe_briefly, describe_fully
from harness.data.tools.writing import Clip
from harness.errors import DataError

RATE = 50  # frames a second
FOLDERS = {
    "train": ("training_set", "annotations_revised_training.txt"),
    "test": ("test_set", "annotations_revised.txt"),
}
TIPS = [2, 6, 10, 14, 18]  # joints at the finger tips
SLIPS = {  # typing slips of the revised files, settled by the old ones: (split, sequence, label, frames) -> frames
    ("train", 64, "TAP", 1135, 162): (1135, 1162),
    ("test", 155, "V", 595, 528): (495, 528),
}
ABOUT = """SHREC 2021, skeleton-based hand gestures in the wild; the data state no licence.
Cite A. Caputo, A. Giachetti et al., Computers & Graphics 2021 (arXiv 2106.10980). Not video: only the layout is."""


def read_clips(source: Path) -> list[Clip]:
    """All sequences; streams "pose" (304 features) and "motion" (560). DataError names what is missing or broken."""
    errors: list[str] = []
    clips = []
    for split, (folder, name) in FOLDERS.items():
        for number, notes in read_annotations(source / folder / name, split, errors):
            path = source / folder / "sequences" / f"{number}.txt"
            frames = read_frames(path, errors)
            if frames is not None:
                clips.append(make_clip(split, number, frames, notes))
    if errors:
        raise DataError(errors)
    return clips


def read_annotations(path: Path, split: str, errors: list[str]) -> list[tuple[int, list[tuple[str, int, int]]]]:
    """(sequence, [(label, first, last)]) by sequence."""
    try:
        lines = read_text(path).splitlines()
    except UnreadableError as error:
        errors.append(f"{path}: {error}; expected lines N;LABEL;first;last;...")
        return []
    out = []
    for line, text in enumerate(lines, 1):
        fields = [field for field in text.strip().split(";") if field.strip()]
        if not fields:
            continue
        try:
            number, notes = int(fields[0]), list(zip(fields[1::3], map(int, fields[2::3]), map(int, fields[3::3])))
        except ValueError:
            number, notes = -1, []
        if number < 0 or len(fields) != 1 + 3 * len(notes):
            errors.append(f"{path}:{line}:1: found '{text[:60]}'; expected N;LABEL;first;last;...")
            continue
        mended = [(label, *SLIPS.get((split, number, label, a, b), (a, b))) for label, a, b in notes]
        out.append((number, mended))
    return sorted(out)


def read_frames(path: Path, errors: list[str]) -> np.ndarray | None:
    """(frames, 20, 7), or None with the reason in ``errors``."""
    try:
        rows = [line.strip().strip(";").split(";") for line in read_text(path).splitlines() if line.strip()]
        values = np.array(rows, np.float64)
    except UnreadableError as error:
        errors.append(f"{path}: {error}; expected rows of 140 numbers")
        return None
    except ValueError:
        values = np.zeros((0, 0))
    if values.ndim == 2 and values.shape[1] == 140 and len(values) >= HOP and np.isfinite(values).all():
        return values.reshape(-1, 20, 7)
    errors.append(f"{path}: expected at least {HOP} rows of 140 finite numbers separated by ';'")
    return None


def make_clip(split: str, number: int, frames: np.ndarray, notes: list[tuple[str, int, int]]) -> Clip:
    """A sequence as a clip; ends after the last frame are moved to it."""
    n = len(frames)
    segments = [(label, round((a - 1) / RATE, 3), round(min(b, n) / RATE, 3)) for label, a, b in notes]
    annotations = [{"label": label, "segment": [start, end]} for label, start, end in segments]
    about = {"duration": round(n / RATE, 3), "fps": RATE, "source": f"{FOLDERS[split][0]}/sequences/{number}.txt"}
    features = {"pose": describe_briefly(find_pose(frames)), "motion": describe_fully(find_motion(frames), RATE)}
    return Clip(f"{split}_{number:03d}", split, features, annotations, HOP / RATE, about)


def find_rotations(quaternions: np.ndarray) -> np.ndarray:
    """(..., 4) x y z w -> (..., 3, 3)."""
    x, y, z, w = np.moveaxis(quaternions / np.maximum(np.linalg.norm(quaternions, axis=-1, keepdims=True), 1e-9), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def find_joints(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The palm's rotation (t, 3, 3), and the joints in its frame (t, 19, 3)."""
    R = find_rotations(frames[:, 0, 3:])
    return R, np.einsum("tji,tnj->tni", R, frames[:, 1:, :3] - frames[:, :1, :3])


def find_pose(frames: np.ndarray) -> np.ndarray:
    """(t, 76): joints in the palm's frame, the palm's rotation, distances between finger tips."""
    R, joints = find_joints(frames)
    tips = joints[:, TIPS]
    first, second = np.triu_indices(len(TIPS), 1)
    distances = np.linalg.norm(tips[:, first] - tips[:, second], axis=-1)
    return np.concatenate([joints.reshape(len(frames), -1), R.reshape(len(frames), 9), distances], 1)


def find_motion(frames: np.ndarray) -> np.ndarray:
    """(t, 35): velocity of the palm in the world and in its frame, acceleration, rotation, velocity of the tips."""
    R, joints = find_joints(frames)
    velocity = np.gradient(frames[:, 0, :3], 1 / RATE, axis=0)
    acceleration = np.gradient(velocity, 1 / RATE, axis=0)
    turn = np.einsum("tij,tik->tjk", R[:-1], R[1:])
    skew = [turn[:, 2, 1] - turn[:, 1, 2], turn[:, 0, 2] - turn[:, 2, 0], turn[:, 1, 0] - turn[:, 0, 1]]
    rotation = np.stack(skew, 1) * RATE / 2
    rotation = np.concatenate([rotation, rotation[-1:]])
    tips = np.gradient(joints[:, TIPS], 1 / RATE, axis=0)  # (t, 5, 3)
    parts = [velocity, np.einsum("tji,tj->ti", R, velocity), find_size(velocity)]
    parts += [acceleration, find_size(acceleration), rotation, find_size(rotation)]
    return np.concatenate([*parts, tips.reshape(len(frames), -1), find_size(tips)[..., 0]], 1)


def find_size(vectors: np.ndarray) -> np.ndarray:
    """Norms over the last axis, which is kept."""
    return np.linalg.norm(vectors, axis=-1, keepdims=True)
