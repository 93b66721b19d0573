"""``convert`` and ``synthetic``: nothing is lost on the way, checksums hold, pickles need a word."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from harness import data
from harness.data.tools.command import main
from harness.data.tools.naming import find_source
from harness.data.tools.writing import verify_sums
from harness.settings import Source

from support import data_folders
from support.data_folders import LAYOUTS


def load(root: Path) -> data.Dataset:
    return data.load(find_source(str(root)), root.parent / "mlruns")


def assert_same(one: data.Dataset, other: data.Dataset, atol: float = 0.0) -> None:
    """Equal videos, whatever their order within a split."""
    assert (one.classes, one.streams) == (other.classes, other.streams)
    for a, b in ((one.train, other.train), (one.test, other.test)):
        assert sorted(a.ids) == sorted(b.ids)
        place = [b.ids.index(video) for video in a.ids]
        np.testing.assert_allclose(a.snippet_seconds, b.snippet_seconds[place])
        assert np.array_equal(a.labels, b.labels[place])
        for v, w in enumerate(place):
            assert np.array_equal(a.segments[v], b.segments[w])
            own, copy = (s.features[slice(*s.offsets[i : i + 2])] for s, i in ((a, v), (b, w)))
            np.testing.assert_allclose(own, copy, rtol=0, atol=atol)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("to", ["split-folders", "actionformer", "activitynet"])
def test_every_layout_converts_into_every_other(tmp_path, layout, to, capsys):
    root = LAYOUTS[layout](tmp_path / "toy")
    assert main(["convert", str(root), str(tmp_path / "out"), "--to", to]) == 0
    assert "digests in SHA256SUMS" in capsys.readouterr().out
    assert_same(load(root), load(tmp_path / "out"))


def test_float16_halves_the_files_and_keeps_three_digits(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy")
    assert main(["convert", str(root), str(tmp_path / "out"), "--fp16"]) == 0
    path = data_folders.feature(tmp_path / "out", "train", "rgb", "a")
    assert np.load(path).dtype == np.float16
    assert_same(load(root), load(tmp_path / "out"), atol=2e-3)


def test_streams_keep_their_names_and_widths(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy", ("pose", "motion"), (3, 5))
    assert main(["convert", str(root), str(tmp_path / "out")]) == 0
    assert data.info(find_source(str(tmp_path / "out")), tmp_path)["widths"] == (5, 3)  # motion, pose: by name
    assert main(["convert", str(root), str(tmp_path / "no"), "--to", "actionformer"]) == 2
    assert not (tmp_path / "no").exists()


def test_labels_without_segments_survive(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy")
    content = json.loads((root / "gt.json").read_text())
    content["database"]["a"]["annotations"] = [{"label": "run"}, {"label": "jump", "segment": [1, 2]}]
    (root / "gt.json").write_text(json.dumps(content))
    assert main(["convert", str(root), str(tmp_path / "out")]) == 0
    assert_same(load(root), load(tmp_path / "out"))


def test_checksums_are_those_of_sha256sum_and_notice_a_change(tmp_path):
    root = data_folders.split_folders(tmp_path / "toy")
    out = tmp_path / "out"
    assert main(["convert", str(root), str(out)]) == 0
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=out, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert verify_sums(out) == []
    path = data_folders.feature(out, "test", "flow", "d")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (out / "split_test.txt").unlink()
    assert [line.partition(": ")[2] for line in verify_sums(out)] == [
        "differs from its digest in SHA256SUMS",
        "missing, but listed in SHA256SUMS",
    ]


def test_pickles_are_read_on_request_only(tmp_path, capsys):
    root = data_folders.wtalc(tmp_path / "arrays")
    assert main(["convert", str(root), str(tmp_path / "out")]) == 2
    assert "--allow-pickle if you trust where they come from" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["convert", str(root), str(tmp_path / "out"), "--allow-pickle"]) == 0
    assert_same(load(data_folders.split_folders(tmp_path / "toy")), load(tmp_path / "out"))


class Planted:
    """An object whose pickle runs code when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_no_command_but_convert_runs_a_pickle(tmp_path):
    root = data_folders.wtalc(tmp_path / "arrays")
    mark = tmp_path / "ran"
    np.save(root / "labels_all.npy", data_folders.fill([Planted(mark)] * 6), allow_pickle=True)
    folder = data_folders.split_folders(tmp_path / "toy")
    np.save(data_folders.feature(folder, "train", "rgb", "a"), data_folders.fill([Planted(mark)]), allow_pickle=True)
    for arguments in (["check", str(root)], ["convert", str(root), str(tmp_path / "out")], ["check", str(folder)]):
        assert main(arguments) in {1, 2}
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("subset", [b"validation"] * 5 + [b"tset"], "'tset' of 'g'; allowed: validation, "),
        ("duration", [1.0] * 5, "5 items; videoname.npy has 6"),
        ("labels", [["run"]] * 5 + [["run", "jump"]], "'g' has 1 segments and 2 labels"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, capsys, name, values, message):
    root = data_folders.wtalc(tmp_path / "arrays")
    kept = np.array(values) if name != "labels" else data_folders.fill(values)
    np.save(root / f"{name}.npy", kept, allow_pickle=True)
    assert main(["convert", str(root), str(tmp_path / "out"), "--allow-pickle"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_mapped_form_is_what_training_uses(tmp_path, capsys):
    root = data_folders.split_folders(tmp_path / "toy")
    assert main(["convert", str(root), str(tmp_path / "runs"), "--to", "memory-mapped"]) == 0
    print_ = data.fingerprint(find_source(str(root)), tmp_path)
    assert [path.name for path in (tmp_path / "runs" / "data").iterdir() if path.is_dir()] == [print_]
    assert str(tmp_path / "runs") in capsys.readouterr().out


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
    root = data_folders.split_folders(tmp_path / "toy")
    assert main(["convert", str(root), str(root)]) == 2
    assert "is there already and not empty" in capsys.readouterr().err
    assert main(["check", str(root)]) == 0


def test_the_embedded_set_as_a_folder_is_the_embedded_set(tmp_path):
    out = tmp_path / "synthetic"
    assert main(["synthetic", "--out", str(out), "--scale", "tiny", "--seed", "3"]) == 0
    assert_same(data.load(Source(scale="tiny", seed=3), tmp_path / "mlruns"), load(out))
    assert main(["check", str(out)]) == 0


def test_a_picture_of_a_data_set(tmp_path, capsys):
    from matplotlib.image import imread

    root = data_folders.split_folders(tmp_path / "toy")
    assert main(["describe", str(root), "--out", str(tmp_path / "toy.png")]) == 0
    assert re.search(r"toy\.png", capsys.readouterr().out)
    picture = imread(tmp_path / "toy.png")
    assert picture.shape[:2] == (770, 1320)
    assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) > 20
