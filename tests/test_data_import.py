"""``import``: features of published recordings against slow formulas, on small files in the formats as published."""

import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation

from harness import data
from harness.data.tools import actrectut, shrec21
from harness.data.tools.command import main
from harness.data.tools.naming import find_source
from harness.data.tools.windows import cut_windows, describe_fully

RATE = 50


def frames(n: int, seed: int) -> np.ndarray:
    """A wandering hand: (n, 20, 7) positions and unit quaternions."""
    rng = np.random.default_rng(seed)
    position = np.cumsum(rng.normal(0, 0.01, (n, 20, 3)), 0)
    turn = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.05, (n * 20, 3)).reshape(n, 20, 3), 0).reshape(-1, 3))
    return np.concatenate([position, turn.as_quat().reshape(n, 20, 4)], 2)


@pytest.fixture
def shrec(tmp_path: Path) -> Path:
    """Four training and two test sequences; one slip of the revised files, one end after the last frame."""
    root = tmp_path / "shrec"
    for folder, numbers in (("training_set", (1, 2, 3, 64)), ("test_set", (5, 155))):
        (root / folder / "sequences").mkdir(parents=True)
        for number in numbers:
            n = 1200 if number in (64, 155) else 203
            rows = frames(n, number).reshape(n, -1)
            text = "".join(";".join(f"{v:.9f}" for v in row) + ";\n" for row in rows)
            (root / folder / "sequences" / f"{number}.txt").write_text(text)
    (root / "training_set/annotations_revised_training.txt").write_text(
        "3;GRAB;20;60;\n64;TAP;1135;162;\n1;TAP;11;30;V;100;150;\n\n2;V;5;20;GRAB;30;50;\n"
    )
    (root / "test_set/annotations_revised.txt").write_text("155;V;595;528;TAP;700;760;\n5;GRAB;150;220;\n")
    return root


def slow_window(signal: np.ndarray, snippet: int) -> np.ndarray:
    """(32, C): the samples around snippet of 8, the first and last sample repeated beyond the edges."""
    n = len(signal) // 8 * 8
    return np.array([signal[min(max(8 * snippet - 12 + i, 0), n - 1)] for i in range(32)])


def test_windows_and_their_statistics_slowly():
    signal = np.random.default_rng(0).normal(0, 1, (61, 3)).cumsum(0)
    windows = cut_windows(signal)
    described = describe_fully(signal, 32)
    assert windows.shape == (7, 3, 32)
    for snippet in range(7):
        x = slow_window(signal, snippet)
        assert np.array_equal(windows[snippet].T, x)
        for c in range(3):
            own, t = x[:, c], np.arange(32) / 32
            centred = own - own.mean()
            want = [own.mean(), own.std(), own.min(), own.max(), *np.percentile(own, [25, 50, 75])]
            want += [np.polyfit(t, own, 1)[0], np.mean(np.abs(np.diff(own))), np.std(np.diff(own))]
            want += [sum((a < 0) != (b < 0) for a, b in pairwise(centred)) / 31]
            hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(32) / 31)
            bins = [abs(sum(centred * hann * np.exp(-2j * np.pi * k * np.arange(32) / 32))) for k in range(1, 6)]
            np.testing.assert_allclose(described[snippet, c::3], [*want, *np.log1p(bins)], atol=1e-9)


def test_pose_and_motion_against_scipy_rotations():
    hand = frames(40, 7)
    pose, motion = shrec21.find_pose(hand), shrec21.find_motion(hand)
    assert (pose.shape, motion.shape) == ((40, 76), (40, 35))
    palm = Rotation.from_quat(hand[:, 0, 3:])
    tips = []
    for t in range(40):
        joints = np.array([palm[t].inv().apply(hand[t, j, :3] - hand[t, 0, :3]) for j in range(1, 20)])
        np.testing.assert_allclose(pose[t, :57], joints.ravel(), atol=1e-12)
        np.testing.assert_allclose(pose[t, 57:66], palm[t].as_matrix().ravel(), atol=1e-12)
        own = joints[[2, 6, 10, 14, 18]]
        pairs = [np.linalg.norm(own[a] - own[b]) for a in range(5) for b in range(a + 1, 5)]
        np.testing.assert_allclose(pose[t, 66:], pairs, atol=1e-12)
        tips.append(own)
    for t in range(1, 39):
        velocity = (hand[t + 1, 0, :3] - hand[t - 1, 0, :3]) * RATE / 2
        np.testing.assert_allclose(motion[t, :3], velocity, atol=1e-9)
        np.testing.assert_allclose(motion[t, 3:6], palm[t].inv().apply(velocity), atol=1e-9)
        np.testing.assert_allclose(motion[t, 6], np.linalg.norm(velocity), atol=1e-9)
        turned = (palm[t].inv() * palm[t + 1]).as_rotvec()  # sin of the angle about its axis
        angle = np.linalg.norm(turned)
        np.testing.assert_allclose(motion[t, 11:14], turned / angle * np.sin(angle) * RATE, atol=1e-9)
        moving = (tips[t + 1] - tips[t - 1]) * RATE / 2
        np.testing.assert_allclose(motion[t, 15:30], moving.ravel(), atol=1e-9)
        np.testing.assert_allclose(motion[t, 30:], np.linalg.norm(moving, axis=1), atol=1e-9)


def test_shrec_becomes_a_sound_data_set(shrec, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["import", "shrec21", str(shrec), str(out)]) == 0
    assert "Cite A. Caputo" in capsys.readouterr().out
    source = find_source(str(out))
    assert source.streams == ("motion", "pose")
    dataset = data.load(source, tmp_path / "mlruns")
    assert data.info(source, tmp_path)["widths"] == (560, 304)
    assert dataset.train.ids == ("train_001", "train_002", "train_003", "train_064")
    assert dataset.test.ids == ("test_005", "test_155")
    assert set(dataset.train.snippet_seconds) == {0.16}
    classes = dataset.classes
    assert classes == ("GRAB", "TAP", "V")
    assert dataset.train.segments[0].tolist() == [[0.2, 0.6, 1], [1.98, 3.0, 2]]  # frames 11 .. 30 and 100 .. 150
    assert dataset.train.segments[3].tolist() == [[22.68, 23.24, 1]]  # the slip 1135 .. 162 is 1162
    assert dataset.test.segments[0].tolist() == [[2.98, 4.06, 0]]  # frame 220 of 203 is the last
    assert dataset.test.segments[1].tolist()[0] == [9.88, 10.56, 2]  # the slip 595 .. 528 is 495 .. 528
    train = np.asarray(dataset.train.features)
    np.testing.assert_allclose(train[:, 0].mean(0), 0, atol=5e-3)
    np.testing.assert_allclose(train[:, 1, :304].std(0), 1, atol=0.1)
    assert np.abs(train).max() <= 10
    assert main(["check", str(out)]) == 0


def test_broken_shrec_files_are_all_named(shrec, tmp_path, capsys):
    (shrec / "training_set/sequences/2.txt").write_text("1;2;3\n")
    (shrec / "training_set/sequences/3.txt").unlink()
    with (shrec / "test_set/annotations_revised.txt").open("a") as stream:
        stream.write("7;TAP;x;9;\n")
    assert main(["import", "shrec21", str(shrec), str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "sequences/2.txt: expected at least 8 rows of 140 finite numbers" in told
    assert "sequences/3.txt: missing" in told
    assert "annotations_revised.txt:3:1: found '7;TAP;x;9;'; expected N;LABEL;first;last" in told
    assert not (tmp_path / "out").exists()


@pytest.fixture
def sensors(tmp_path: Path) -> Path:
    """Two recordings of 11 gestures four times, NULL before, between and after them."""
    root = tmp_path / "sensors"
    for subject in (1, 2):
        rng = np.random.default_rng(subject)
        labels: list[int] = [1] * 100
        for _ in range(4):
            for gesture in range(2, 13):
                labels += [gesture] * int(rng.integers(40, 120)) + [1] * int(rng.integers(30, 90))
        folder = root / "Data" / f"subject{subject}_gesture"
        folder.mkdir(parents=True)
        values = rng.normal(1000, 50, (len(labels), 15)).cumsum(0) / 50
        savemat(folder / "data.mat", {"data": values, "labels": np.array(labels)[:, None]})
    return root


def test_clips_cut_no_gesture_and_lose_no_sample(sensors):
    clips = actrectut.read_clips(sensors, None, 0)
    _, labels = actrectut.read_recording(sensors, "subject1_gesture")
    own = [clip for clip in clips if clip.id.startswith("subject1")]
    bounds = [tuple(map(int, re.findall(r"(\d+):(\d+)", clip.about["source"])[0])) for clip in own]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == len(labels)
    assert [stop for _, stop in bounds[:-1]] == [start for start, _ in bounds[1:]]
    for start, _ in bounds[1:]:
        assert labels[start] == labels[start - 1] == 1
    lengths = np.diff(bounds) / 32
    assert lengths[:-1].min() >= 10
    assert sum(len(clip.annotations) for clip in clips) == 2 * 44
    kept = round(0.7 * len(own))
    assert [clip.split for clip in own] == ["train"] * kept + ["test"] * (len(own) - kept)
    first = own[0].annotations[0]
    assert first["label"] == "Open window"
    assert first["segment"][0] == 100 / 32


def test_sensor_streams_slowly(sensors):
    values, _ = actrectut.read_recording(sensors, "subject2_gesture")
    streams = actrectut.split_streams(values)
    assert {name: signal.shape[1] for name, signal in streams.items()} == {"accelerometer": 9, "gyroscope": 9}
    acceleration = [0, 1, 2, 5, 6, 7, 10, 11, 12]
    assert np.array_equal(streams["accelerometer"], values[:, acceleration])
    for unit in range(3):
        x, y = (values[:, 5 * unit + 3 + axis] - np.median(values[:, 5 * unit + 3 + axis]) for axis in range(2))
        np.testing.assert_allclose(streams["gyroscope"][:, 2 * unit], x)
        np.testing.assert_allclose(streams["gyroscope"][:, 6 + unit], np.hypot(x, y))


def test_sensors_become_a_sound_data_set_cut_as_stated(sensors, tmp_path, capsys):
    one, two, stated = (tmp_path / name for name in ("one", "two", "stated"))
    assert main(["import", "actrectut", str(sensors), str(one), "--seed", "1"]) == 0
    assert "GPL v3" in capsys.readouterr().out
    assert main(["import", "actrectut", str(sensors), str(two), "--seed", "2"]) == 0
    assert main(["import", "actrectut", str(sensors), str(stated), "--bounds", str(one / "gt.json")]) == 0
    sums = [(folder / "SHA256SUMS").read_text() for folder in (one, two, stated)]
    assert sums[0] == sums[2] != sums[1]
    assert main(["check", str(one)]) == 0
    info = data.info(find_source(str(one)), tmp_path)
    assert dict(zip(info["streams"], info["widths"])) == {"accelerometer": 144, "gyroscope": 144}
    assert len(info["classes"]) == 11


def test_broken_sensor_files_are_named(sensors, tmp_path, capsys):
    path = sensors / "Data/subject2_gesture/data.mat"
    path.write_bytes(b"no matrix")
    assert main(["import", "actrectut", str(sensors), str(tmp_path / "out")]) == 2
    assert "cannot be read as a MATLAB file" in capsys.readouterr().err
    savemat(path, {"data": np.zeros((9, 4)), "labels": np.ones(9)})
    assert main(["import", "actrectut", str(sensors), str(tmp_path / "out")]) == 2
    assert "expected data (N, 15) and labels (N,)" in capsys.readouterr().err


@pytest.mark.shared
def test_statistics_of_the_real_conversion_are_those_of_the_layout(shared):
    """Facts that the published conversions and this one share; the raw files are not here."""
    for name, widths, gestures in (("actrectut-pd", (144, 144), 11), ("shrec21", (304, 560), 17)):
        source = find_source(str(shared / "data" / name))
        info = data.info(source, shared)
        assert info["widths"] == widths
        assert len(info["classes"]) == gestures
    content = json.loads((shared / "data/actrectut-pd/gt.json").read_text())
    assert tuple(content["classes"]) == actrectut.GESTURES
    bounds = actrectut.read_bounds(shared / "data/actrectut-pd/gt.json")
    assert {name: (found[0][0], found[-1][1]) for name, found in bounds.items()} == {
        "subject1_gesture": (0, 62480),
        "subject2_gesture": (0, 70778),
    }
    for found in bounds.values():
        assert [stop for _, stop in found[:-1]] == [start for start, _ in found[1:]]
