"""Sequences above a threshold: upsampling and runs, beside scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.ndimage import label as connected

from harness.compute.runs import find_runs, upsample


@pytest.mark.parametrize("scale", [1, 2, 24])
def test_upsampling_is_scipys_interpolation_with_extrapolation(scale: int) -> None:
    values = np.random.default_rng(0).normal(size=(3, 7))
    wanted = interp1d(np.arange(7), values, fill_value="extrapolate")(np.arange(7 * scale) / scale)
    np.testing.assert_allclose(upsample(values, scale), wanted, rtol=0, atol=1e-12)


def test_upsampling_one_snippet_repeats_it() -> None:
    np.testing.assert_array_equal(upsample(np.array([[0.3]]), 4), np.full((1, 4), 0.3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=5))
def test_runs_are_connected_components(rows: list[list[bool]]) -> None:
    """As scipy.ndimage labels them; a row that is exactly {0} has none (the released rule)."""
    wanted = []
    for r, values in enumerate(rows):
        marks, n = connected(np.array(values))
        spans = [np.nonzero(marks == i)[0] for i in range(1, n + 1)]
        wanted += [(r, s[0], s[-1]) for s in spans if [list(x) for x in spans] != [[0]]]
    mask = np.array(rows)
    assert list(zip(*find_runs(mask))) == wanted
    np.testing.assert_array_equal(mask, np.array(rows))  # the caller's mask stays
