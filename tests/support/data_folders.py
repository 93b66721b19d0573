"""Small sound data sets on disk, one in each layout: six videos, two classes, streams that look different."""

import json
from pathlib import Path

import numpy as np

VIDEOS = {"train": ("a", "b", "c", "g"), "test": ("d", "e")}
LENGTHS = {"a": 5, "b": 7, "c": 4, "d": 6, "e": 9, "g": 8}  # snippets of 0.64 s
LABELS = {video: "run" if video in "adg" else "jump" for video in LENGTHS}
WIDTH = 8
SUBSETS = {
    "actionformer": {"train": "Validation", "test": "Test"},
    "activitynet": {"train": "training", "test": "validation"},
}


def stream(video: str, name: str, width: int = WIDTH) -> np.ndarray:
    """Features of one stream; flow's are larger than RGB's."""
    rng = np.random.default_rng([ord(video), len(name)])
    return (rng.random((LENGTHS[video], width)) + (3 if name == "flow" else 0)).astype(np.float32)


def joined(video: str) -> np.ndarray:
    """Both streams side by side."""
    return np.concatenate([stream(video, "rgb"), stream(video, "flow")], 1)


def entries() -> dict:
    """One annotation a video, inside it."""
    return {video: {"annotations": [{"label": label, "segment": [0.5, 1.25]}]} for video, label in LABELS.items()}


def feature(root: Path, split: str, name: str, video: str) -> Path:
    """A feature file of the split-folder layout."""
    return root / "features" / split / name / f"{video}.npy"


def split_folders(root: Path, streams: tuple[str, ...] = ("rgb", "flow"), widths: tuple[int, ...] = ()) -> Path:
    """The layout of BaS-Net, CoLA, ASL and CASE."""
    for split, videos in VIDEOS.items():
        for name, width in zip(streams, widths or (WIDTH,) * len(streams)):
            (root / "features" / split / name).mkdir(parents=True)
            for video in videos:
                np.save(feature(root, split, name, video), stream(video, name, width))
        (root / f"split_{split}.txt").write_text("\n".join(videos) + "\n")
    (root / "gt.json").write_text(json.dumps({"database": entries(), "fps": 25}))
    return root


def stated(layout: str) -> dict:
    """Entries with subset and duration."""
    database = entries()
    for split, videos in VIDEOS.items():
        for video in videos:
            database[video] |= {"subset": SUBSETS[layout][split], "duration": LENGTHS[video] * 0.64}
    return database


def actionformer(root: Path) -> Path:
    """ActionFormer's layout: stride 16 at 25 frames a second."""
    (root / "i3d_features").mkdir(parents=True)
    (root / "annotations").mkdir()
    for video in LENGTHS:
        np.save(root / "i3d_features" / f"{video}.npy", joined(video))
    database = {video: entry | {"fps": 25.0} for video, entry in stated("actionformer").items()}
    content = {"version": "toy", "feat_stride": 16, "database": database}
    (root / "annotations" / "toy.json").write_text(json.dumps(content))
    return root


def activitynet(root: Path) -> Path:
    """ActivityNet's official json beside one file a video, half of them with "v_" in front; durations, no rates."""
    (root / "features").mkdir(parents=True)
    for number, video in enumerate(LENGTHS):
        np.save(root / "features" / f"{'v_' if number % 2 else ''}{video}.npy", joined(video))
    database = stated("activitynet") | {"untold": {"subset": "testing", "duration": 9.0, "annotations": []}}
    (root / "activity_net.v1-3.min.json").write_text(json.dumps({"version": "VERSION 1.3", "database": database}))
    return root


def wtalc(root: Path) -> Path:
    """W-TALC's object arrays: names as bytes, one array of features, RGB beside flow."""
    root.mkdir(parents=True)
    videos = list(LENGTHS)
    subset = [b"validation" if video in VIDEOS["train"] else b"test" for video in videos]
    columns = {
        "videoname": np.array([video.encode() for video in videos]),
        "subset": np.array(subset),
        "classlist": np.array([b"jump", b"run"]),
        "duration": np.array([LENGTHS[video] * 0.64 for video in videos]),
        "labels_all": fill([[LABELS[video]] for video in videos]),
        "labels": fill([[LABELS[video]] for video in videos]),
        "segments": fill([[[0.5, 1.25]] for _ in videos]),
        "Toy-I3D-JOINTFeatures": fill([joined(video) for video in videos]),
    }
    for name, values in columns.items():
        np.save(root / f"{name}.npy", values, allow_pickle=True)
    return root


def fill(values: list) -> np.ndarray:
    """An object array whose items are these, whatever they are."""
    out = np.empty(len(values), object)
    for number, value in enumerate(values):
        out[number] = value
    return out


LAYOUTS = {"split folders": split_folders, "ActionFormer": actionformer, "ActivityNet": activitynet}
