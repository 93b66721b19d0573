"""``harness.data check``: each defect planted once in a sound folder is found, and nothing else is."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.data.tools.checking import check_source
from harness.data.tools.command import main
from harness.data.tools.facts import measure_foreground
from harness.data.tools.naming import find_source

from support import data_folders
from support.data_folders import LAYOUTS, LENGTHS, feature


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return data_folders.split_folders(tmp_path / "toy")


def find(root: Path) -> list:
    return check_source(find_source(str(root)), lambda done, total: None).findings.found


def edit_json(root: Path, edit) -> None:
    (path,) = root.rglob("*.json")
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def annotate(video: str, **item: object):
    return lambda root: edit_json(root, lambda c: c["database"][video]["annotations"].append(item))


def change(video: str, split: str, edit, name: str = "flow"):
    def plant(root: Path) -> None:
        path = feature(root, split, name, video)
        np.save(path, edit(np.load(path)))

    return plant


def write(name: str, text: str):
    return lambda root: (root / name).write_text(text)


def put(row: int, column: int, value: float):
    def edit(features: np.ndarray) -> np.ndarray:
        features = features.astype(np.float64)
        features[row, column] = value
        return features

    return edit


def truncate(root: Path) -> None:
    path = feature(root, "train", "rgb", "b")
    path.write_bytes(path.read_bytes()[:-10])


def copy_to_test(root: Path) -> None:
    for name in ("rgb", "flow"):
        shutil.copy(feature(root, "train", name, "a"), feature(root, "test", name, "d"))


def exchange(root: Path) -> None:
    one, other = (feature(root, "train", name, "g") for name in ("rgb", "flow"))
    one.rename(root / "aside.npy")
    other.rename(one)
    (root / "aside.npy").rename(other)


def make_pipe(root: Path) -> None:
    path = feature(root, "train", "rgb", "b")
    path.unlink()
    os.mkfifo(path)


def state_classes(root: Path) -> None:
    edit_json(root, lambda content: content.update(classes=["jump", "run", "swim"]))


DEFECTS = {
    "missing": (lambda r: feature(r, "train", "rgb", "a").unlink(), "error", "rgb/a.npy", "", "missing"),
    "truncated": (truncate, "error", "rgb/b.npy", "", "truncated: 214 of 224 bytes"),
    "empty": (lambda r: feature(r, "test", "rgb", "d").write_bytes(b""), "error", "rgb/d.npy", "", "empty file"),
    "a pipe": (make_pipe, "error", "rgb/b.npy", "", "not a regular file"),
    "lengths": (change("b", "train", lambda x: x[:-1]), "error", "flow/b.npy", "", "must have equally many"),
    "width": (change("b", "train", lambda x: x[:, :-1]), "error", "flow/b.npy", "", "7 features per snippet; the"),
    "NaN": (change("b", "train", put(2, 3, np.nan)), "error", "flow/b.npy", "", "first (nan) at snippet 2, feature 3"),
    "inf": (change("b", "train", put(2, 3, np.inf)), "error", "flow/b.npy", "", "(inf) at snippet 2"),
    "huge": (change("b", "train", put(1, 2, -7e4)), "error", "flow/b.npy", "", "value 70000 at snippet 1, feature 2"),
    "constant": (change("b", "train", lambda x: x[:1].repeat(7, 0)), "defect", "flow/b.npy", "", "all 7 snippets"),
    "too long": (
        lambda r: edit_json(r, lambda c: c["database"]["b"].update(duration=1.0)),
        *("defect", "gt.json", "video 'b'", "features span 4.5 s (7 snippets of 0.64 s), the video lasts 1.0 s"),
    ),
    "outside": (
        annotate("d", label="run", segment=[9, 10]),
        "defect",
        "gt.json",
        "video 'd'",
        "lies outside the video",
    ),
    "outside in training": (annotate("b", label="run", segment=[9, 10]), "warning", "gt.json", "video 'b'", "outside"),
    "at 1e300": (annotate("d", label="run", segment=[1, 1e300]), "error", "gt.json", "'d', annotation 2", "1e+300"),
    "late end": (annotate("d", label="run", segment=[1, 6]), "warning", "gt.json", "video 'd'", "ends after the video"),
    "inverted": (annotate("d", label="run", segment=[2, 1]), "error", "gt.json", "'d', annotation 2", "0 <= start"),
    "no length": (annotate("d", label="run", segment=[2, 2]), "warning", "gt.json", "'d', annotation 2", "no length"),
    "duplicated": (annotate("d", label="run", segment=[0.5, 1.25]), "defect", "gt.json", "video 'd'", "2 times"),
    "test-only label": (
        annotate("d", label="jmp", segment=[1, 2]),
        *(
            "error",
            "gt.json",
            "",
            "label 'jmp' is in test videos only (1 times), so nothing can learn it; did you mean",
        ),
    ),
    "unused class": (state_classes, "warning", "gt.json", "", "no training video has class 'swim'"),
    "empty split": (write("split_test.txt", ""), "error", "split_test.txt", "", "no video"),
    "both splits": (write("split_test.txt", "d\ne\na\n"), "error", "split_test.txt", "", "in split_train.txt as well"),
    "listed twice": (write("split_test.txt", "d\ne\nd\n"), "error", "split_test.txt", "", "'d' is listed 2 times"),
    "a space": (write("split_test.txt", "d\ne\nf f\n"), "error", "split_test.txt", "", "has a space"),
    "same features": (copy_to_test, "defect", "test/", "", "of the other split"),
    "same streams": (
        lambda r: shutil.copy(feature(r, "train", "rgb", "a"), feature(r, "train", "flow", "a")),
        *("defect", "flow/a.npy", "", "two streams of the video hold the same numbers"),
    ),
    "exchanged": (exchange, "warning", "rgb/g.npy", "", "rgb and flow look exchanged"),
    "no annotation": (
        lambda r: edit_json(r, lambda c: [c["database"][v].update(annotations=[]) for v in "de"]),
        *("error", "gt.json", "", "the test split has no annotation at all"),
    ),
    "repeated key": (
        lambda r: (r / "gt.json").write_text((r / "gt.json").read_text().replace("{", '{"fps": 25, ', 1)),
        *("error", "gt.json", "", "key 'fps' stands twice"),
    ),
    "fast snippets": (
        lambda r: edit_json(r, lambda c: c["database"]["d"].update(snippet_seconds=1e-300)),
        *("error", "gt.json", "video 'd'", "a snippet of 1e-300 s; expected 0.001 .. 3600"),
    ),
    "slow snippets": (
        lambda r: edit_json(r, lambda c: c["database"]["d"].update(snippet_seconds="1e300")),
        *("error", "gt.json", "video 'd'", "a snippet of 1e+300 s"),
    ),
}
SEVERAL = {"same features": 2}  # one for each stream


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_wrong_with_a_sound_folder(tmp_path, layout):
    assert find(LAYOUTS[layout](tmp_path / "toy")) == []


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_found_and_nothing_else(folder, defect):
    plant, level, file, entry, text = DEFECTS[defect]
    plant(folder)
    found = find(folder)
    assert len(found) == SEVERAL.get(defect, 1), found
    for finding in found:
        assert finding.level == level
        assert file in finding.file
        assert entry in finding.entry
        assert text in finding.text


def shorten(root: Path) -> None:
    (path,) = root.rglob("d.npy") or root.rglob("v_d.npy")
    np.save(path, np.load(path)[:, :-1])


@pytest.mark.parametrize("layout", ["ActionFormer", "ActivityNet"])
@pytest.mark.parametrize(
    ("plant", "level", "text"),
    [
        (lambda r: edit_json(r, lambda c: c["database"]["d"].pop("subset")), "error", "video 'd' has no 'subset'"),
        (lambda r: edit_json(r, lambda c: c["database"]["d"].update(duration=99.0)), "defect", "the video lasts 99.0"),
        (annotate("d", label="run", segment=[9, 10]), "defect", "lies outside the video"),
        (annotate("d", label="rum", segment=[1, 2]), "error", "did you mean 'run'?"),
    ],
)
def test_defects_of_the_other_layouts(tmp_path, layout, plant, level, text):
    root = LAYOUTS[layout](tmp_path / "toy")
    plant(root)
    found = find(root)
    if layout == "ActivityNet" and "99.0" in text:
        assert found == []  # nothing else says how long a snippet is
        return
    (only,) = found
    assert only.level == level
    assert text in only.text


def test_halves_need_an_even_number_of_columns(tmp_path):
    root = data_folders.actionformer(tmp_path / "toy")
    path = root / "i3d_features" / "d.npy"
    np.save(path, np.load(path)[:, :-1])
    assert {finding.text for finding in find(root)} == {
        "15 features per snippet; two streams side by side need an even number"
    }


def test_exit_codes_and_json(folder, capsys):
    assert main(["check", str(folder), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["streams"] == {"rgb": 8, "flow": 8}
    assert content["splits"]["train"]["videos"] == 4
    assert content["instances_per_class"]["test"] == {"jump": 1, "run": 1}
    annotate("d", label="run", segment=[1, 6])(folder)  # a warning
    assert main(["check", str(folder)]) == 0
    annotate("d", label="run", segment=[9, 10])(folder)  # a defect
    assert main(["check", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "defect: " in shown
    assert "1 of degree defect (it changes results)" in shown
    assert main(["check", str(folder / "nowhere")]) == 2
    assert "neither a folder nor a data set" in capsys.readouterr().err


def test_a_defect_does_not_stop_training_but_an_error_does(folder):
    from harness import data
    from harness.settings import Source

    source = Source(name="folder", path=str(folder))
    annotate("d", label="run", segment=[9, 10])(folder)
    assert data.load(source, folder.parent / "mlruns").test.segments[0].shape == (2, 3)
    change("b", "train", put(1, 2, 7e4))(folder)
    with pytest.raises(data.DataError, match="expected magnitudes up to 65504"):
        data.load(source, folder.parent / "mlruns")


def test_many_classes_are_refused_before_a_matrix_is_made(folder):
    edit_json(folder, lambda content: content.update(classes=[f"c{i}" for i in range(100_000)]))
    assert any("100000 classes; expected at most 10000" in finding.text for finding in find(folder))


def test_facts_of_a_folder(folder):
    facts = check_source(find_source(str(folder)), lambda done, total: None).facts["train"]
    assert (facts.videos, facts.instances, facts.labels) == (4, 4, 1.0)
    assert facts.snippets == sum(LENGTHS[video] for video in "abcg")
    assert facts.foreground == pytest.approx(np.mean([0.75 / (0.64 * LENGTHS[video]) for video in "abcg"]))
    assert facts.per_class.tolist() == [2, 2]


def test_foreground_against_fine_counting():
    segments = np.array([[1.0, 3.0, 0], [2.0, 2.5, 1], [2.9, 4.0, 0], [8.0, 12.0, 0]])
    fine = (np.arange(100_000) + 0.5) / 10_000
    inside = np.any([(start <= fine) & (fine < stop) for start, stop, _ in segments], 0)
    assert measure_foreground(segments, 10.0) == pytest.approx(inside.mean(), abs=1e-4)
