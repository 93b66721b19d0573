"""Hostile annotation and feature files: one clear line each, soon, without running or allocating what they say."""

import json
import os
import pickle
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import data, run
from harness.data.annotations import FolderKnobs, interpret
from harness.data.features import Part, inspect_part, measure_part
from harness.data.findings import Findings
from harness.data.reading import UnreadableError, load_features, read_json, read_shape
from harness.data.split_folders import list_videos
from harness.settings import Source

from support import data_folders
from support.data_folders import feature


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return data_folders.split_folders(tmp_path / "toy")


def errors(root: Path) -> list[str]:
    with pytest.raises(data.DataError) as caught:
        data.load(Source(name="folder", path=str(root)), root.parent / "mlruns")
    return caught.value.errors


def header(shape: str, kind: str = "<f4") -> bytes:
    """A .npy header that states this shape, and no data."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def archive(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), x=np.zeros((3, 8), np.float32))
    path.with_suffix(".npz").rename(path)


def replace_by(make):
    def plant(root: Path) -> None:
        path = feature(root, "train", "rgb", "b")
        path.unlink()
        make(path)

    return plant


FEATURES = {
    "a pipe": (os.mkfifo, "is not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "a folder": (lambda path: path.mkdir(), "is not a regular file"),
    "a loop": (lambda path: path.symlink_to(path), "cannot be read"),
    "a dangling link": (lambda path: path.symlink_to(path.with_name("nowhere")), "missing"),
    "an archive": (archive, "a zip archive (.npz?) renamed"),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps([1])), "a pickle"),
    "text": (lambda path: path.write_text("1 2 3"), "no .npy header"),
    "negative": (lambda path: path.write_bytes(header("(-1, 8)")), "broken header: shape (-1, 8)"),
    "huge": (lambda path: path.write_bytes(header("(10**12, 8)")), "broken header"),
    "huge number": (
        lambda path: path.write_bytes(header("(1000000000000, 8)")),
        "truncated: 0 of 32",
    ),
    "nested": (lambda path: path.write_bytes(header("(" * 4000)), "broken header"),
    "open string": (lambda path: path.write_bytes(header("'''")), "broken header"),
    "bool shape": (lambda path: path.write_bytes(header("(True, 8)")), "broken header"),
    "complex": (lambda path: np.save(path, np.zeros((7, 8), complex)), "expected (snippets, D) float16 or float32"),
    "wide floats": (lambda path: np.save(path, np.zeros((7, 8), np.longdouble)), "expected (snippets, D)"),
    "objects": (lambda path: np.save(path, np.array([[None]]), allow_pickle=True), "pickled objects"),
    "beyond float32": (lambda path: np.save(path, np.full((7, 8), 1e200)), "magnitudes up to 65504"),
    "beyond float16": (lambda path: np.save(path, np.full((7, 8), 1e10, np.float32)), "magnitudes up to 65504"),
}


@pytest.mark.parametrize("what", FEATURES)
def test_a_hostile_feature_file_is_one_line(folder, what):
    make, message = FEATURES[what]
    replace_by(make)(folder)
    (only,) = errors(folder)
    assert "rgb/b.npy: " in only
    assert message in only


def nest(depth: int) -> str:
    return '{"database":' + "[" * depth + "]" * depth + "}"


TEXTS = {
    "a pipe": (os.mkfifo, "is not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file"),
    "nested": (lambda path: path.write_text(nest(100_000)), "nested too deeply"),
    "long integer": (lambda path: path.write_text('{"database": ' + "9" * 5000 + "}"), "no 'database'"),
    "not UTF-8": (lambda path: path.write_bytes(b'{"database": "\xff"}'), "not UTF-8, byte 14"),
    "empty": (lambda path: path.write_text(""), "broken JSON"),
    "a list": (lambda path: path.write_text("[]"), "no 'database'"),
    "twice": (lambda path: path.write_text('{"database": {}, "database": {}}'), "key 'database' stands twice"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_a_hostile_annotation_file_is_told(folder, what):
    make, message = TEXTS[what]
    (folder / "gt.json").unlink()
    make(folder / "gt.json")
    assert any("gt.json" in error and message in error for error in errors(folder))


def edit(folder: Path, **entry: object) -> None:
    content = json.loads((folder / "gt.json").read_text())
    content["database"]["d"] |= entry
    (folder / "gt.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"annotations": [{"label": "run", "segment": [0, 1e300]}]}, "expected 0 <= start <= end <= 1e+07"),
        ({"annotations": [{"label": "run", "segment": [0, float("inf")]}]}, "expected [start, end] in seconds"),
        ({"annotations": [{"label": "run", "segment": [10**400, 10**401]}]}, "expected [start, end] in seconds"),
        ({"annotations": [{"label": "run", "segment": [[]] * 2}]}, "expected [start, end] in seconds"),
        ({"annotations": [{"label": "a\x1b[31mb", "segment": [0, 1]}]}, "expected printable characters"),
        ({"annotations": [{"label": ["run"], "segment": [0, 1]}]}, 'expected {"label": NAME'),
        ({"fps": 1e-300}, "a snippet of 1.6e+301 s"),
        ({"fps": 1e300}, "a snippet of 1.6e-299 s"),
        ({"snippet_seconds": 1e300}, "a snippet of 1e+300 s"),
        ({"duration": "long"}, "duration 'long'; expected seconds above 0"),
        ({"annotations": []}, None),
    ],
)
def test_hostile_entries(folder, entry, message):
    if message is None:
        edit(folder, **entry)
        assert data.load(Source(name="folder", path=str(folder)), folder.parent / "m").test.segments[0].shape == (0, 3)
        return
    edit(folder, **entry)
    found = errors(folder)
    assert any(message in error for error in found), found
    assert all("\x1b" not in error for error in found)


def test_ids_that_leave_the_folder_or_cannot_be_shown(folder):
    (folder / "split_test.txt").write_text("d\n../../x\ne\x07\n/etc/passwd\n")
    found = errors(folder)
    assert len([error for error in found if "video id" in error]) == 3
    assert all("\x07" not in error for error in found)


def test_the_command_says_it_before_anything_is_written(folder, tmp_path, capsys):
    replace_by(os.mkfifo)(folder)
    output = tmp_path / "runs"
    assert run.main(["table2", "--quick", "--data", str(folder), "--output", str(output)]) == 2
    assert "rgb/b.npy: is not a regular file" in capsys.readouterr().err
    assert not output.exists()


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
NAMES = st.text(max_size=6)
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=3))
ITEM = st.fixed_dictionaries({}, optional={"label": st.sampled_from(["run", "jump"]) | VALUES, "segment": VALUES})
NUMBERS = dict.fromkeys(("fps", "snippet_seconds", "duration"), VALUES)
ENTRY = st.fixed_dictionaries({}, optional=NUMBERS | {"annotations": st.lists(ITEM) | VALUES})
FILE = st.fixed_dictionaries(
    {"database": st.dictionaries(st.sampled_from("abcde"), ENTRY) | VALUES}, optional={"classes": VALUES, "fps": VALUES}
)


@given(FILE)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_told(tmp_path, content):
    """Whatever gt.json says: videos that are sound, or findings; never another exception."""
    (tmp_path / "gt.json").write_text(json.dumps(content))
    (tmp_path / "split_train.txt").write_text("a\nb\n")
    (tmp_path / "split_test.txt").write_text("c\nd\n")
    findings = Findings()
    listing = list_videos(tmp_path, findings)
    if listing is None:
        assert findings.errors
        return
    found = interpret(listing, FolderKnobs(), findings)
    for split in ("train", "test"):
        for video in found.videos[split]:
            assert video.labels.shape == (len(found.classes),)
            assert (video.segments[:, 0] <= video.segments[:, 1]).all()
            assert np.isfinite(video.segments).all()
            assert np.isnan(video.snippet_seconds) or 1e-3 <= video.snippet_seconds <= 3600
    if not findings.errors:
        assert sum(len(videos) for videos in found.videos.values()) == 4


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_no_json_or_json(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    try:
        value = read_json(tmp_path / "x.json", [])
    except UnreadableError:
        return
    assert json.dumps(value) == json.dumps(json.loads(content.decode("utf-8-sig")))


@given(st.text(string.printable, max_size=80), st.binary(max_size=200))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_header_is_refused_or_gives_its_shape(tmp_path, shape, rest):
    path = tmp_path / "x.npy"
    path.write_bytes(header(shape) + rest)
    try:
        (n, D), kind = read_shape(path)
    except UnreadableError:
        return
    assert n > 0
    assert D > 0
    assert n * D * kind.itemsize <= len(rest)


@given(
    st.sampled_from(["<f2", "<f4", "<f8", ">f4", "<i4", "|O"]),
    st.tuples(st.integers(0, 6), st.integers(0, 6)),
    st.integers(0, 300),
    st.booleans(),
)
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_truncated_and_foreign_arrays(tmp_path, kind, shape, cut, fortran):
    """What is read is what numpy wrote; what was cut or is no float array is refused."""
    path = tmp_path / "x.npy"
    values = np.random.default_rng(0).integers(0, 9, shape).astype(kind)
    np.save(path, np.asfortranarray(values) if fortran else values, allow_pickle=True)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - cut])
    findings = Findings()
    size = measure_part(Part(path), findings)
    if size is None:
        assert len(findings.errors) == 1
        assert cut or 0 in shape or kind in {"<i4", "|O"}
        return
    assert cut == 0
    assert size == shape
    assert np.array_equal(load_features(path), values)
    assert inspect_part(Part(path), findings).finite
