"""The cache of generated data: made once, whole or not at all."""

import json
import multiprocessing
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness import data
from harness.data import cache, synthetic
from harness.settings import Source


def load_in_process(root: str) -> float:
    return float(data.load(Source(scale="tiny"), Path(root)).train.features[100].sum())


def test_several_processes_make_one_cache(tmp_path):
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sums = pool.map(load_in_process, [str(tmp_path)] * 3)
    assert len(set(sums)) == 1
    assert [p.name for p in (tmp_path / "data").iterdir() if p.is_dir()] == [
        data.fingerprint(Source(scale="tiny"), tmp_path)
    ]


def test_an_interrupted_making_leaves_nothing_behind(tmp_path):
    plan = synthetic.pend(Source(scale="tiny"))
    broken = replace(plan, test=replace(plan.test, features=iter(list(plan.test.features)[:5])))
    with pytest.raises(ValueError, match="shorter"):
        cache.load_cached(tmp_path / "key", lambda: broken)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]


def test_the_cache_describes_itself(tmp_path):
    data.load(Source(scale="tiny"), tmp_path)
    folder = tmp_path / "data" / data.fingerprint(Source(scale="tiny"), tmp_path)
    assert json.loads((folder / "dataset.json").read_text())["name"] == "synthetic-tiny"


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    damaged = {"empty": b"", "garbage": b"\0garbage" * 9, "cut": content[: len(content) // 2], "text": b"{}"}
    path.write_bytes(damaged[how])


@pytest.mark.parametrize("how", ["empty", "garbage", "cut", "text"])
@pytest.mark.parametrize("file", ["dataset.json", "train.npy", "train.npz", "test.npz"])
def test_a_damaged_cache_is_made_anew(tmp_path, capsys, file, how):
    source = Source(scale="tiny")
    first = data.load(source, tmp_path)
    want = np.array(first.train.features), first.test.labels.copy()
    folder = tmp_path / "data" / first.fingerprint
    spoil(folder / file, how)
    again = data.load(source, tmp_path)
    assert np.array_equal(again.train.features, want[0])
    assert np.array_equal(again.test.labels, want[1])
    assert f"{folder}: damaged, made anew" in capsys.readouterr().err
    (folder / file).unlink()
    data.load(source, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        *("dataset.json", "test.npy", "test.npz", "train.npy", "train.npz")
    ]


FULL = """
import resource, sys
from pathlib import Path
from harness import data
from harness.settings import Source
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    data.load(Source(scale="tiny"), Path(sys.argv[1]))
except data.DataError as error:
    print(error)
    sys.exit(2)
"""


def test_a_disk_that_fills_ends_in_a_word_and_leaves_nothing(tmp_path):
    """The kernel refuses to write beyond a file size, as it refuses on a full disk: an error, not a signal."""
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + FULL
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "the data set cannot be written (File too large)" in done.stdout
    assert not [path for path in (tmp_path / "data").iterdir() if path.is_dir()]
    assert len(data.load(Source(scale="tiny"), tmp_path).train.ids) == 80
