"""The cache of generated data: made once, whole or not at all."""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

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
