"""Folders in the field's layout: what is read, every error, and real recordings."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from harness import data
from harness.settings import Source

VIDEOS = {"train": ("a", "b", "c"), "test": ("d", "e")}
LENGTHS = {"a": 5, "b": 7, "c": 4, "d": 6, "e": 9}


def array(video: str, stream: str) -> np.ndarray:
    rng = np.random.default_rng([ord(video), len(stream)])
    return rng.random((LENGTHS[video], 8)).astype(np.float16 if stream == "flow" else np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound data set of five videos and two classes."""
    root = tmp_path / "toy"
    database = {}
    for split, videos in VIDEOS.items():
        for stream in ("rgb", "flow"):
            (root / "features" / split / stream).mkdir(parents=True)
            for video in videos:
                np.save(feature(root, split, stream, video), array(video, stream))
        (root / f"split_{split}.txt").write_text("\n".join(videos) + "\n")
        database |= {
            v: {"annotations": [{"label": "run" if v in "ad" else "jump", "segment": ["0.5", 1.25]}]} for v in videos
        }
    write_gt(root, {"database": database, "fps": 25})
    return root


def feature(root: Path, split: str, stream: str, video: str) -> Path:
    return root / "features" / split / stream / f"{video}.npy"


def write_gt(root: Path, content: object) -> None:
    (root / "gt.json").write_text(json.dumps(content))


def read_gt(root: Path) -> dict:
    return json.loads((root / "gt.json").read_text())


def load(root: Path, **source: object) -> data.Dataset:
    return data.load(Source(name="folder", path=str(root), **source), root.parent / "mlruns")


def errors(root: Path, **source: object) -> list[str]:
    with pytest.raises(data.DataError) as caught:
        load(root, **source)
    return caught.value.errors


def test_round_trip(folder):
    dataset = load(folder)
    assert (dataset.name, dataset.classes, dataset.streams) == ("toy", ("jump", "run"), ("rgb", "flow"))
    for split, found in ((dataset.train, VIDEOS["train"]), (dataset.test, VIDEOS["test"])):
        assert split.ids == found
        for v, video in enumerate(found):
            own = split.features[split.offsets[v] : split.offsets[v + 1]]
            want = np.stack([array(video, "rgb"), array(video, "flow")], 1).astype(np.float32)
            assert np.array_equal(own, want)
    assert isinstance(dataset.train.features, np.memmap)
    assert dataset.train.labels.tolist() == [[0, 1], [1, 0], [1, 0]]
    assert dataset.train.segments[0].tolist() == [[0.5, 1.25, 1]]
    assert dataset.train.snippet_seconds.tolist() == [16 / 25] * 3


def test_info_reads_no_feature(folder):
    found = data.info(Source(name="folder", path=str(folder)), folder)
    assert found["videos"] == {"train": 3, "test": 2}
    assert (found["dimension"], found["like"], found["classes"]) == (8, "synthetic", ("jump", "run"))


def test_wide_features_are_like_thumos14(folder):
    for split, videos in VIDEOS.items():
        for video in videos:
            for stream in ("rgb", "flow"):
                np.save(feature(folder, split, stream, video), np.zeros((3, 512), np.float16))
    assert data.info(Source(name="folder", path=str(folder)), folder)["like"] == "thumos14"


def test_one_stream_and_other_names(folder):
    for split in VIDEOS:
        (folder / "features" / split / "rgb").rename(folder / "features" / split / "depth")
    dataset = load(folder, streams=("depth",))
    assert dataset.streams == ("depth",)
    assert dataset.train.features.shape == (16, 1, 8)


def test_classes_of_gt_keep_their_order(folder):
    write_gt(folder, read_gt(folder) | {"classes": ["run", "walk", "jump"]})
    dataset = load(folder)
    assert dataset.classes == ("run", "walk", "jump")
    assert dataset.train.labels.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_a_training_annotation_may_be_a_label_alone(folder):
    content = read_gt(folder)
    del content["database"]["a"]["annotations"][0]["segment"]
    write_gt(folder, content)
    train = load(folder).train
    assert train.segments[0].shape == (0, 3)
    assert train.labels[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("top", "video", "knobs", "seconds"),
    [
        ({"fps": 25}, {}, {}, 0.64),
        ({"fps": 25}, {"fps": 32}, {}, 0.5),
        ({"fps": 25}, {"fps": "20"}, {}, 0.8),
        ({"snippet_seconds": 0.25, "fps": 25}, {"fps": 32}, {}, 0.25),
        ({"snippet_seconds": 0.25}, {"snippet_seconds": 0.3}, {}, 0.3),
        ({}, {}, {"fps": 20}, 0.8),
        ({}, {}, {"fps": 20, "snippet_frames": 8}, 0.4),
        ({"fps": 25}, {"fps": 32}, {"snippet_seconds": 0.9}, 0.9),
    ],
)
def test_seconds_per_snippet(folder, top, video, knobs, seconds):
    database = read_gt(folder)["database"]
    database["a"] |= video
    write_gt(folder, {"database": database} | ({"fps": 25} if not top and not knobs else top))
    assert load(folder, knobs=knobs).train.snippet_seconds[0] == pytest.approx(seconds)


def test_seconds_per_snippet_are_never_assumed(folder):
    content = read_gt(folder)
    del content["fps"]
    write_gt(folder, content)
    (only,) = errors(folder)
    assert "5 of 5 videos ('a' is the first) have neither fps nor snippet_seconds" in only
    assert f"{folder}/data.yaml as `source.knobs.fps: 25`" in only


def change(folder: Path, edit) -> None:
    content = read_gt(folder)
    edit(content)
    write_gt(folder, content)


def annotate(**item: object):
    return lambda content: content["database"]["a"]["annotations"].append(item)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            annotate(label="rum", segment=[0, 1]),
            "annotation 2: unknown label 'rum'; did you mean 'run'? allowed: jump, run",
        ),
        (annotate(label="run", segment=[2, 1]), "annotation 2: segment [2, 1]; expected 0 <= start <= end"),
        (annotate(label="run", segment=["x", 1]), "segment ['x', 1]; expected [start, end] in seconds"),
        (annotate(label="run", segment=[True, 1]), "expected [start, end] in seconds"),
        (annotate(segment=[0, 1]), "annotation 2: {'segment': [0, 1]}; expected {\"label\": NAME"),
        (lambda c: c["database"].pop("b"), "gt.json: no entry for video 'b' of split_train.txt"),
        (lambda c: c["database"]["b"].pop("annotations"), "gt.json: video 'b' has no list 'annotations'"),
        (
            lambda c: c["database"]["b"].update(annotations=[]),
            "'b': no annotation; a training video needs a label",
        ),
        (lambda c: c["database"]["d"]["annotations"][0].pop("segment"), "video 'd', annotation 1: segment None"),
        (lambda c: c["database"]["b"].update(fps=0), "video 'b': snippet_seconds and fps must be numbers above 0"),
        (lambda c: c.update(classes=["run", "jump", "run"]), "gt.json: class 'run' is listed 2 times"),
        (lambda c: c.update(classes="run"), "gt.json: 'classes' is 'run'; expected a list of names"),
        (lambda c: c.pop("database"), "gt.json: no 'database'"),
    ],
)
def test_errors_of_gt(folder, edit, message):
    change(folder, lambda content: (content.setdefault("classes", ["jump", "run"]), edit(content)))
    assert any(message in error and "gt.json" in error for error in errors(folder)), errors(folder)


def test_broken_json_has_line_and_column(folder):
    (folder / "gt.json").write_text('{"database":\n  {"a": }}')
    assert f"{folder}/gt.json:2:9: broken JSON: Expecting value" in errors(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("split_train.txt", "a\nb\nc\na\n", "split_train.txt: 'a' is listed 2 times"),
        ("split_train.txt", "a\nb\nc\n../x\n", "split_train.txt: video id '../x' is not a plain name"),
        ("split_train.txt", "a\nb\nc\nx/y\n", "split_train.txt: video id 'x/y' is not a plain name"),
        ("split_train.txt", "", "split_train.txt: no video; expected one id a line"),
        ("split_test.txt", "d\ne\na\n", "split_test.txt: 'a' is in split_train.txt as well"),
        ("split_test.txt", None, "split_test.txt: missing; expected a text file with one video id a line"),
        ("gt.json", None, "gt.json: missing; expected the annotations as JSON"),
    ],
)
def test_errors_of_the_text_files(folder, file, text, message):
    (folder / file).unlink() if text is None else (folder / file).write_text(text)
    assert any(message in error for error in errors(folder)), errors(folder)


def bad_values(video: np.ndarray) -> np.ndarray:
    video[2, 3] = np.nan
    return video


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda x: x[:-1], "snippets; the streams of a video must have equally many"),
        (lambda x: x[:, :-1], "flow/b.npy: 7 features per snippet; the other videos have 8"),
        (bad_values, "flow/b.npy: 1 values are not finite, the first (nan) at snippet 2, feature 3"),
        (lambda x: x[0], "flow/b.npy: float16 array of shape (8,); expected (snippets, D) float16 or float32"),
        (lambda x: x[:0], "flow/b.npy: float16 array of shape (0, 8)"),
        (lambda x: x.astype(int), "flow/b.npy: int64 array of shape (7, 8)"),
        (lambda x: np.array([None]), "flow/b.npy: cannot be read"),
    ],
)
def test_errors_of_features(folder, edit, message):
    path = feature(folder, "train", "flow", "b")
    np.save(path, edit(np.load(path)))
    found = errors(folder)
    assert len(found) == 1
    assert message in found[0]
    assert str(path) in found[0]


def test_missing_truncated_and_differing_features_are_all_named(folder):
    feature(folder, "train", "rgb", "a").unlink()
    cut = feature(folder, "test", "flow", "e")
    cut.write_bytes(cut.read_bytes()[:-10])
    for stream in ("rgb", "flow"):
        np.save(feature(folder, "train", stream, "c"), np.zeros((4, 9), np.float32))
    found = errors(folder)
    assert len(found) == 4
    assert f"{feature(folder, 'train', 'rgb', 'a')}: missing; expected a .npy file" in found[0]
    assert f"{cut}: cannot be read" in found[1]
    assert f"{feature(folder, 'train', 'rgb', 'c')}: 9 features per snippet; the other videos have 8" in found[2]
    assert f"{feature(folder, 'train', 'flow', 'c')}: 9 features per snippet; the other videos have 8" in found[3]


def test_missing_stream_folder_is_named_once(folder):
    for video in VIDEOS["test"]:
        feature(folder, "test", "flow", video).unlink()
    (folder / "features" / "test" / "flow").rmdir()
    (only,) = errors(folder)
    assert only == f"{folder}/features/test/flow: missing; expected a folder of ID.npy files"


def test_errors_of_the_source(folder, tmp_path):
    assert "is not a folder" in errors(tmp_path / "nowhere")[0]
    assert "did you mean 'fps'?" in errors(folder, knobs={"fsp": 25})[0]
    assert errors(folder, knobs={"fps": -1}) == ["source.knobs.fps: found -1; allowed: a number from 0 on"]
    assert "'../x' is not a plain name" in errors(folder, streams=("rgb", "../x"))[0]
    assert "named twice" in errors(folder, streams=("rgb", "rgb"))[0]
    with pytest.raises(data.DataError, match="did you mean 'folder'"):
        data.load(Source(name="foldr"), tmp_path)


def test_fingerprint_follows_the_content_not_the_place(folder, tmp_path):
    first = load(folder).fingerprint
    moved = folder.rename(tmp_path / "moved")
    assert load(moved).fingerprint == first
    path = feature(moved, "train", "rgb", "a")
    np.save(path, np.load(path) + 1)
    os.utime(path, ns=(time.time_ns() + 10**9,) * 2)
    assert load(moved).fingerprint != first
    assert load(moved).train.features[0, 0, 0] == pytest.approx(array("a", "rgb")[0, 0] + 1)
    assert load(moved, streams=("flow", "rgb")).fingerprint != load(moved).fingerprint
    assert load(moved, knobs={"fps": 30}).fingerprint != load(moved).fingerprint


def test_validation_of_a_folder(folder):
    part = load(folder, split="validation", validation_share=0.34)
    assert sorted(part.train.ids + part.test.ids) == ["a", "b", "c"]
    assert (part.train.labels.sum(0) > 0).all()
