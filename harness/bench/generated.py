"""Videos of any shape with random features, in memory: for times and memory, not for metrics."""

from dataclasses import dataclass

import numpy as np

from harness.data import Dataset, Split
from harness.data.dataset import multi_hot

SNIPPET_SECONDS = 0.64
ACTIVITYNET = {"train": 10024, "test": 4926}  # videos of version 1.3
SUBSET = 256  # of each split: the features of all videos take 22 GB
LENGTH = 183  # snippets of a video of ActivityNet, 117 s on average


@dataclass(frozen=True)
class Form:
    """What generated videos look like."""

    videos: int
    length: int  # snippets of each video
    width: int  # D, features of each of two streams
    classes: int


def make_dataset(train: Form, test: Form) -> Dataset:
    """Training and test videos of two forms that share width and classes."""
    rng = np.random.default_rng(0)
    classes = tuple(f"class {i}" for i in range(train.classes))
    splits = [make_split(name, form, rng) for name, form in (("train", train), ("test", test))]
    return Dataset("generated", classes, ("rgb", "flow"), splits[0], splits[1], "", (train.width,) * 2)


def make_split(name: str, form: Form, rng: np.random.Generator) -> Split:
    """Features as after a ReLU, and one segment a video."""
    features = rng.standard_normal((form.videos * form.length, 2, form.width), np.float32)
    np.maximum(features, 0, out=features)
    seconds = form.length * SNIPPET_SECONDS
    edges = np.sort(rng.uniform(0, seconds, (form.videos, 2)), axis=1)
    drawn = rng.integers(form.classes, size=form.videos)
    segments = tuple(np.array([[low, high, label]]) for (low, high), label in zip(edges, drawn))
    offsets = np.arange(form.videos + 1, dtype=np.int64) * form.length
    ids = tuple(f"{name}_{i}" for i in range(form.videos))
    labels = multi_hot(segments, form.classes)
    return Split(ids, features, offsets, labels, segments, np.full(form.videos, SNIPPET_SECONDS))


def make_activitynet() -> Dataset:
    """A subset of the videos of ActivityNet 1.3's shape: 1024 features a stream, 200 classes."""
    form = Form(SUBSET, LENGTH, 1024, 200)
    return make_dataset(form, form)
