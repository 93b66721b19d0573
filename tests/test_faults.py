"""Kills through the real command line, at every phase: nothing is lost, nothing is left, the table is the same."""

import random

import pytest

from support import faults

CHAINS = 4  # each is killed once in every phase, and then completed


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table of an uninterrupted run."""
    return faults.complete(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("seed", range(CHAINS))
def test_killed_in_every_phase(seed, tmp_path, table):
    rng = random.Random(seed)
    for phase in faults.PHASES:
        fault = faults.draw(rng, phase)
        _, wrong = faults.inject(tmp_path, fault)
        assert wrong == [], fault
    assert faults.complete(tmp_path) == table
