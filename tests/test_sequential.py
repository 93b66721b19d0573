"""Sequential studies: seeds are added at fixed looks, to rows of undecided claims, and nowhere else."""

from types import SimpleNamespace

import pytest

from harness import study
from harness.claims import sequential
from harness.claims import verdicts as claims

STUDY = """
title: Sequential
base: paper
seeds: {at_least: 3, at_most: 10, until: decided}
rows: [{label: a}, {label: b, set: {case.clusters: 8}}, {label: c, set: {case.clusters: 4}}]
columns: {mAP: map/avg}
"""


@pytest.fixture
def loaded(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(STUDY)
    return study.load(path, root=tmp_path)


def walk(loaded, root, monkeypatch, undecided):
    """Seeds per row at each look, where ``undecided(seeds of row 2)`` keeps the claim on rows 1 and 2 open."""
    looks = []

    def judge(records):
        looks.append(sequential.seeds(records.study))
        state = "undecided" if undecided(looks[-1][2]) else "supported"
        return [SimpleNamespace(status=state, rows=(1, 2)), SimpleNamespace(status="contradicted", rows=(3, 1))]

    monkeypatch.setattr(claims, "judge", judge)
    while loaded is not None:
        loaded = sequential.further(loaded, root)
    return looks


def test_only_rows_of_undecided_claims_get_seeds(loaded, tmp_path, monkeypatch):
    looks = walk(loaded, tmp_path, monkeypatch, lambda n: n < 5)
    assert looks == [{1: 3, 2: 3, 3: 3}, {1: 5, 2: 5, 3: 3}]


def test_the_last_look_ends_it(loaded, tmp_path, monkeypatch):
    walk(loaded, tmp_path, monkeypatch, lambda n: True)
    grown = loaded
    while (new := sequential.further(grown, tmp_path)) is not None:
        grown = new
    assert sequential.seeds(grown) == {1: 10, 2: 10, 3: 3}
    assert {run.seed for run in grown.runs if run.row == 1} == set(range(10))


def test_a_fixed_number_of_seeds_stays(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(STUDY.replace("{at_least: 3, at_most: 10, until: decided}", "3"))
    assert sequential.further(study.load(path, root=tmp_path), tmp_path) is None
