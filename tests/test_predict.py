"""``harness.predict``: on the test videos it gives the run's own detections; what does not fit is told before."""

import json
import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import evaluate, predict, run
from harness.store import results

from support import data_folders
from support.data_folders import VIDEOS, feature, stream

STUDY = """
title: Two rows
base: paper
seeds: 2
rows: [{label: plain, set: {case.cat: 0}}, {label: full}]
columns: {mAP: map/avg}
"""
FAST = ["--set", "training.steps=3", "--set", "training.snippets=8", "--set", "localization.upsampling=4"]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with data, and a study of two rows and two seeds trained on it."""
    place = tmp_path_factory.mktemp("predict")
    data_folders.split_folders(place / "toy", ("pose", "motion"), (3, 5))
    (place / "toy" / "data.yaml").write_text("source.streams: [pose, motion]\n")
    (place / "two.yaml").write_text(STUDY)
    assert run.main([*study(place), "--no-mlflow", "--jobs", "1"]) == 0
    return place


def study(place: Path) -> list[str]:
    return [str(place / "two.yaml"), *options(place)]


def options(place: Path) -> list[str]:
    return ["--quick", "--data", str(place / "toy"), "--output", str(place / "runs"), *FAST]


def apply(place: Path, target: str, out: Path, *more: str, features: Path | None = None) -> int:
    where = features or place / "toy" / "features" / "test"
    return predict.main([target, "--features", str(where), "--out", str(out), *options(place), *more])


def test_on_the_test_videos_it_gives_what_the_run_stored(place, tmp_path):
    for seed in (0, 1):
        assert apply(place, f"{place / 'two.yaml'}:full:{seed}", tmp_path / f"{seed}.json") == 0
    made = [json.loads((tmp_path / f"{seed}.json").read_text())["results"] for seed in (0, 1)]
    scorings = place.glob("runs/store/*/*/result.json")
    every = [results.read_predictions(place / "runs", *path.parts[-3:-1]) for path in scorings]
    assert all(one in every for one in made)
    assert made[0] != made[1]


def test_a_row_without_seed_is_the_mean_over_seeds(place, tmp_path):
    assert apply(place, f"{place / 'two.yaml'}:2", tmp_path / "mean.json") == 0
    mean = json.loads((tmp_path / "mean.json").read_text())["results"]
    assert set(mean) == set(VIDEOS["test"])
    assert all(len(detection["segment"]) == 2 for found in mean.values() for detection in found)
    for seed in (0, 1):
        assert apply(place, f"{place / 'two.yaml'}:2:{seed}", tmp_path / "one.json") == 0
        assert json.loads((tmp_path / "one.json").read_text())["results"] != mean


SEQUENTIAL = """
title: Undecided whatever is measured
seeds: {at_least: 3, at_most: 4, until: decided}
rows: [{label: one}, {label: other}]
columns: {mAP: map/avg}
claims: [{quote: q, section: "1", row: other, beats: one, on: mAP}]
"""


def test_the_mean_of_a_sequential_row_is_over_the_seeds_of_all_its_looks(place, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text(SEQUENTIAL)
    where = ["--data", str(place / "toy"), "--output", str(tmp_path / "runs"), *FAST]
    assert run.main([str(tmp_path / "s.yaml"), *where, "--no-mlflow", "--jobs", "1"]) == 0
    features, out = str(place / "toy" / "features" / "test"), str(tmp_path / "o.json")
    rest = ["--features", features, "--out", out, *where]
    for row, seeds in {"one": "mean over 4 seeds", "one:3": "one seed"}.items():
        assert predict.main([f"{tmp_path / 's.yaml'}:{row}", *rest]) == 0
        assert capsys.readouterr().out.endswith(f"{seeds}\n")
    assert predict.main([f"{tmp_path / 's.yaml'}:one", *rest, "--seeds", "2"]) == 0
    assert capsys.readouterr().out.endswith("mean over 2 seeds\n")


def test_its_output_is_read_by_the_evaluation(place, tmp_path, capsys):
    assert apply(place, f"{place / 'two.yaml'}:full", tmp_path / "p.json", "--timelines", str(tmp_path / "lines")) == 0
    assert sorted(path.name for path in (tmp_path / "lines").iterdir()) == ["d.png", "e.png"]
    truth = json.loads((place / "toy" / "gt.json").read_text())
    for video, entry in truth["database"].items():
        entry["subset"] = "test" if video in VIDEOS["test"] else "train"
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    files = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "p.json")]
    assert evaluate.main(files) == 0
    assert "AP at tIoU" in capsys.readouterr().out


def test_a_run_is_found_by_its_key_and_by_its_folder(place, tmp_path):
    key = next(path.parent.name for path in place.glob("runs/store/*/training.json"))
    for target in (key, str(place / "runs" / "store" / key)):
        assert apply(place, target, tmp_path / "key.json") == 0


def new_videos(root: Path, widths: tuple[int, int] = (3, 5), names: tuple[str, str] = ("pose", "motion")) -> Path:
    for name, width in zip(names, widths):
        (root / name).mkdir(parents=True)
        for video in "ab":
            np.save(root / name / f"{video}.npy", stream(video, name, width))
    return root


def test_what_does_not_fit_is_told_and_nothing_is_written(place, tmp_path, capsys):
    row, out = f"{place / 'two.yaml'}:full", tmp_path / "out.json"
    other = new_videos(tmp_path / "n", names=("rgb", "flow"))
    cases = {
        "6 features per snippet; the run was trained on 5 of motion": new_videos(tmp_path / "wide", (3, 6)),
        "the run takes streams pose, motion; here are folders flow, rgb": other,
        "is not a folder": tmp_path / "nowhere",
    }
    for message, features in cases.items():
        assert apply(place, row, out, features=features) == 2
        assert message in capsys.readouterr().err
    (tmp_path / "sound").mkdir()
    sound = new_videos(tmp_path / "sound" / "x")
    (sound / "motion" / "a.npy").unlink()
    assert apply(place, row, out, features=sound) == 2
    assert "motion/a.npy: missing" in capsys.readouterr().err
    for target, message in {
        f"{place / 'two.yaml'}:ful": "no row 'ful'; did you mean 'full'?",
        f"{place / 'two.yaml'}:full:7": "row full seed 7 of",
        "0123456789abcdef": "no training '0123456789abcdef'",
    }.items():
        assert apply(place, target, out) == 2
        assert message in capsys.readouterr().err
    assert apply(place, row, out, "--snippet-seconds", "-1") == 2
    assert not out.exists()


def test_places_and_names_that_cannot_be_used_are_told_and_left_alone(place, tmp_path, capsys):
    row, out, long = f"{place / 'two.yaml'}:full", tmp_path / "out.json", "x" * 5000
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    cases = {
        "pipe' is there and is no regular file": (row, tmp_path / "pipe"),
        "file' is a file, not a folder": (row, out, "--timelines", str(tmp_path / "file")),
        "--timelines: '/proc' belongs to the kernel": (row, out, "--timelines", "/proc/x"),
        "expected 0.001 .. 3600": (row, out, "--snippet-seconds", "1e308"),
        "row full seed 99999999999999999999 of": (f"{row}:{'9' * 5000}", out),
        "no training 'xxxx": (long, out),
    }
    for message, (target, path, *more) in cases.items():
        assert apply(place, target, path, *more) == 2
        assert message in capsys.readouterr().err
    assert apply(place, row, out, features=Path(long)) == 2
    assert "--features: 'xxxx" in capsys.readouterr().err
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert not out.exists()


def test_a_checkpoint_runs_no_code(place, tmp_path, capsys):
    copied = shutil.copytree(place / "runs", tmp_path / "runs")
    key = next(path.parent for path in copied.glob("store/*/training.json"))
    mark = tmp_path / "ran"
    torch.save(Planted(mark), key / "checkpoint.pt")
    record = json.loads((key / "training.json").read_text())
    record.pop("files", None)
    (key / "training.json").write_text(json.dumps(record))
    arguments = [key.name, "--features", str(place / "toy/features/test"), "--out", str(tmp_path / "o.json")]
    assert predict.main([*arguments, "--output", str(copied)]) == 2
    assert "checkpoint.pt: cannot be read as weights" in capsys.readouterr().err
    assert not mark.exists()


class Planted:
    """An object whose pickle runs code when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_seconds_per_snippet_scale_the_detections(place, tmp_path):
    row = f"{place / 'two.yaml'}:full:0"
    assert apply(place, row, tmp_path / "a.json") == 0
    assert apply(place, row, tmp_path / "b.json", "--snippet-seconds", "1.28") == 0
    found = [json.loads((tmp_path / name).read_text())["results"]["d"] for name in ("a.json", "b.json")]
    assert max(d["segment"][1] for d in found[1]) == pytest.approx(2 * max(d["segment"][1] for d in found[0]))
    assert feature(place / "toy", "test", "pose", "d").exists()
