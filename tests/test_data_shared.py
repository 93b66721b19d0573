"""Real recordings and annotation files (../shared/data), read as a user's folder is."""

import csv
import json

import numpy as np
import pytest

from harness import data, predict, run
from harness.data import activitynet, split_folders
from harness.data.annotations import FolderKnobs, interpret
from harness.data.findings import Findings
from harness.data.tools.command import main
from harness.settings import Source
from harness.store import results


@pytest.mark.shared
def test_real_recordings(shared, tmp_path):
    """Body-worn inertial recordings of gestures: facts from the README beside them."""
    source = Source(name="folder", path=str(shared / "data" / "actrectut-pd"))
    dataset = data.load(source, tmp_path)
    assert (len(dataset.train.ids), len(dataset.test.ids), len(dataset.classes)) == (111, 48, 11)
    assert [sum(map(len, split.segments)) for split in (dataset.train, dataset.test)] == [389, 183]
    assert set(dataset.train.snippet_seconds) | set(dataset.test.snippet_seconds) == {0.25}
    assert dataset.train.features.shape[1:] == (2, 144)
    lengths = np.concatenate([dataset.train.lengths, dataset.test.lengths])
    assert (lengths.min(), lengths.max(), np.median(lengths)) == (40, 890, 87)
    own = np.load(shared / "data/actrectut-pd/features/train/flow" / f"{dataset.train.ids[4]}.npy")
    assert np.array_equal(dataset.train.features[slice(*dataset.train.offsets[4:6]), 1], own.astype(np.float32))


@pytest.mark.shared
def test_thumos14_annotations(shared):
    """Segments are strings and no frame rate is stated."""
    findings = Findings()
    listing = split_folders.list_videos(shared / "data" / "thumos14", findings)
    content = interpret(listing, FolderKnobs(fps=25.0), findings)
    assert findings.found == []
    assert len(content.classes) == 20
    assert content.classes[0] == "BaseballPitch"
    assert {split: len(videos) for split, videos in content.videos.items()} == {"train": 200, "test": 210}
    assert sum(len(video.segments) for video in content.videos["test"]) == 3311
    assert {video.snippet_seconds for video in content.videos["train"]} == {0.64}
    interpret(listing, FolderKnobs(), findings)
    assert len(findings.found) == 1
    assert "410 of 410 videos" in findings.errors[0]


@pytest.mark.shared
def test_activitynet_annotations_in_the_official_form(shared, tmp_path):
    """9,649 training and 4,728 validation videos; a segment may have no length, none lies outside its video."""
    own = shared / "data" / "activitynet"
    with (own / "video_info_new.csv").open() as stream:
        subsets = {row["video"]: row["subset"] for row in csv.DictReader(stream)}
    entries = json.loads((own / "anet_anno_action.json").read_text())
    database = {
        video.removeprefix("v_"): {
            "subset": subsets[video],
            "duration": entry["duration_second"],
            "annotations": entry["annotations"],
        }
        for video, entry in entries.items()
    }
    path = tmp_path / "activity_net.v1-3.min.json"
    path.write_text(json.dumps({"version": "VERSION 1.3", "database": database}))
    assert activitynet.recognise(tmp_path)
    findings = Findings()
    listing = activitynet.list_videos(tmp_path, findings)
    content = interpret(listing, FolderKnobs(), findings)
    assert {split: len(videos) for split, videos in content.videos.items()} == {"train": 9649, "test": 4728}
    counts = {split: sum(len(video.segments) for video in videos) for split, videos in content.videos.items()}
    assert counts == {"train": 14859, "test": 7293}
    assert len(content.classes) == 200
    assert findings.errors == []
    assert {finding.level for finding in findings.found} <= {"warning", "defect"}
    assert sum("has no length" in finding.text for finding in findings.found) == 12


STUDY = """
title: End to end
base: paper
seeds: 1
rows: [{label: full}]
columns: {mAP: map/avg, ACC: acc}
"""


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "streams", "told"),
    [
        ("actrectut-pd", ("rgb", "flow"), "rgb 144, flow 144"),
        ("shrec21", ("rgb", "flow"), "rgb 304, flow 560 (padded with zeros to 560)"),
        ("shrec21", ("flow",), "flow 560"),
    ],
)
def test_real_recordings_end_to_end(shared, tmp_path, name, streams, told, capsys):
    """Checked, trained for a few steps, reported with its streams, and applied to the test videos again."""
    folder = str(shared / "data" / name)
    (tmp_path / "one.yaml").write_text(STUDY)
    few = (
        "training.steps=2",
        "training.snippets=32",
        "localization.upsampling=2",
        f"source.streams=[{', '.join(streams)}]",
    )
    options = ["--quick", "--data", folder, "--output", str(tmp_path / "runs")]
    options += [word for setting in few for word in ("--set", setting)]
    assert main(["check", folder]) == 0
    study = str(tmp_path / "one.yaml")
    assert run.main([study, *options, "--no-mlflow", "--jobs", "1"]) == 0
    (page,) = (tmp_path / "runs" / "reports").rglob("report.html")
    assert told in page.read_text()
    out = tmp_path / "out.json"
    features = str(shared / "data" / name / "features" / "test")
    assert predict.main([f"{study}:full:0", "--features", features, "--out", str(out), *options]) == 0
    (stored,) = (tmp_path / "runs").rglob("predictions.json.bz2")
    kept = results.read_predictions(tmp_path / "runs", *stored.parts[-3:-1])
    assert json.loads(out.read_text())["results"] == kept
