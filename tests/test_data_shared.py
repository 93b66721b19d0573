"""Real recordings and annotation files (../shared/data), read as a user's folder is."""

import numpy as np
import pytest

from harness import data
from harness.data import split_folders
from harness.data.annotations import FolderKnobs, interpret
from harness.data.findings import Findings
from harness.settings import Source


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
