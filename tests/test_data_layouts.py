"""Folder layouts: each is recognised and gives the same data set; what is in none is told."""

import json

import numpy as np
import pytest

from harness import data, run, study
from harness.data.layouts import recognise
from harness.settings import Source

from support import data_folders
from support.data_folders import LABELS, LAYOUTS, LENGTHS, VIDEOS, stream


def load(root, **source):
    return data.load(Source(name="folder", path=str(root), **source), root.parent / "mlruns")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_data_set(tmp_path, layout):
    root = LAYOUTS[layout](tmp_path / "toy")
    assert recognise(root) == layout
    dataset = load(root)
    assert dataset.classes == ("jump", "run")
    for split, videos in ((dataset.train, VIDEOS["train"]), (dataset.test, VIDEOS["test"])):
        assert sorted(split.ids) == sorted(videos)
        np.testing.assert_allclose(split.snippet_seconds, 0.64)
        for number, video in enumerate(split.ids):
            own = split.features[split.offsets[number] : split.offsets[number + 1]]
            assert np.array_equal(own, np.stack([stream(video, "rgb"), stream(video, "flow")], 1))
            assert split.labels[number].tolist() == [LABELS[video] == "jump", LABELS[video] == "run"]
            assert split.segments[number].tolist() == [[0.5, 1.25, LABELS[video] == "run"]]


@pytest.mark.parametrize("layout", ["ActionFormer", "ActivityNet"])
def test_halves_can_be_exchanged_and_joined(tmp_path, layout):
    root = LAYOUTS[layout](tmp_path / "toy")
    both = load(root).train.features
    assert np.array_equal(load(root, streams=("flow", "rgb")).train.features, both[:, ::-1])
    joint = load(root, streams=("joint",)).train.features
    assert joint.shape[1:] == (1, 16)
    assert np.array_equal(joint[:, 0], np.concatenate([both[:, 0], both[:, 1]], 1))


def test_a_stride_and_a_frame_rate_go_before_the_duration(tmp_path):
    root = data_folders.actionformer(tmp_path / "toy")
    path = root / "annotations" / "toy.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"feat_stride": 15}))
    np.testing.assert_allclose(load(root).train.snippet_seconds, 0.6)
    del content["feat_stride"]
    path.write_text(json.dumps(content))
    np.testing.assert_allclose(load(root).train.snippet_seconds, 0.64)  # the duration, shared out
    np.testing.assert_allclose(load(root, knobs={"fps": 20}).train.snippet_seconds, 0.8)


def test_streams_of_different_width_are_padded_with_zeros(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy", ("pose", "motion"), (3, 5))
    source = Source(name="folder", path=str(root), streams=("pose", "motion"))
    info = data.info(source, tmp_path)
    assert (info["widths"], info["dimension"]) == ((3, 5), 5)
    features = load(root, streams=("pose", "motion")).train.features
    assert (features[:, 0, 3:] == 0).all()
    assert np.array_equal(features[: LENGTHS["a"], 0, :3], stream("a", "pose", 3))
    assert np.array_equal(features[: LENGTHS["a"], 1], stream("a", "motion", 5))


def test_pickles_are_never_read_implicitly(tmp_path):
    root = data_folders.wtalc(tmp_path / "toy")
    with pytest.raises(data.DataError, match=r"pickles.*python -m harness.data convert .* --allow-pickle"):
        load(root)


@pytest.mark.parametrize("layout", ["ActionFormer", "ActivityNet"])
def test_two_annotation_files_are_one_too_many(tmp_path, layout):
    root = LAYOUTS[layout](tmp_path / "toy")
    (own,) = root.rglob("*.json")
    (own.parent / "other.json").write_text("{}")
    with pytest.raises(data.DataError, match=r"expected one \.json file with the annotations; found"):
        load(root)


def test_a_folder_without_layout_is_told_what_there_could_be(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(data.DataError, match=r"no layout that is known.*gt\.json.*i3d_features.*activity_net"):
        load(tmp_path / "empty")


def test_videos_without_features_are_refused_or_left_out_on_request(tmp_path):
    root = data_folders.activitynet(tmp_path / "toy")
    (root / "features" / "d.npy").unlink(missing_ok=True)
    (root / "features" / "v_d.npy").unlink(missing_ok=True)
    with pytest.raises(data.DataError, match=r"d\.npy: missing"):
        load(root)
    assert load(root, knobs={"absent": "skip"}).test.ids == ("e",)


def test_known_corrections_leave_videos_out_and_state_the_frame_rate(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy")
    content = {"database": data_folders.entries()}
    bad = "video_test_0000270"
    content["database"][bad] = content["database"]["d"]
    (root / "gt.json").write_text(json.dumps(content))
    (root / "split_test.txt").write_text(f"d\ne\n{bad}\n")
    for name in ("rgb", "flow"):
        np.save(data_folders.feature(root, "test", name, bad), stream("d", name) + 1)
    dataset = load(root, knobs={"corrections": "thumos14"})
    assert dataset.test.ids == ("d", "e")
    assert set(dataset.test.snippet_seconds) == {0.64}
    assert load(root, knobs={"fps": 25}).test.ids == ("d", "e", bad)
    with pytest.raises(data.DataError, match=r"source.knobs.corrections: .*thumos14"):
        load(root, knobs={"corrections": "thumos"})


def test_ambiguous_segments_are_a_class_unless_ignored(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy")
    content = json.loads((root / "gt.json").read_text())
    for video in "ad":
        content["database"][video]["annotations"].append({"label": "Ambiguous", "segment": [0, 0.4]})
    (root / "gt.json").write_text(json.dumps(content))
    assert load(root).classes == ("Ambiguous", "jump", "run")
    ignored = load(root, knobs={"ambiguous": "ignore"})
    assert ignored.classes == ("jump", "run")
    assert [len(found) for found in ignored.test.segments] == [1, 1]


def test_a_data_set_that_is_not_here_answers_with_its_guide(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run.main(["table2", "--data", "thumos14"]) == 2
    told = capsys.readouterr().err
    assert "data set 'thumos14' is not here" in told
    assert "### THUMOS14 in three commands" in told
    assert "python -m harness.data check data/thumos14" in told
    assert "### ActivityNet" not in told
    assert run.main(["table2", "--data", "activitynet-1.2"]) == 2
    assert "activity_net.v1-3.min.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_brings_its_own_streams(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy", ("pose", "motion"), (3, 5))
    loaded = study.load("table2", data=str(root), quick=True, root=tmp_path / "runs")
    assert {row.settings.source.streams for row in loaded.rows} == {("motion", "pose")}
    (root / "data.yaml").write_text("source.streams: [pose]\n")
    loaded = study.load("table2", data=str(root), quick=True, root=tmp_path / "runs")
    assert {row.settings.source.streams for row in loaded.rows} == {("pose",)}
    found = data.load(loaded.rows[0].settings.source, tmp_path / "runs")
    assert data.describe_streams(found.fingerprint, tmp_path / "runs") == "pose 3"
    both = load(root, streams=("pose", "motion"))
    told = data.describe_streams(both.fingerprint, tmp_path / "mlruns")
    assert told == "pose 3, motion 5 (padded with zeros to 5)"
