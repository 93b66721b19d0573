"""Looks at evidence: which comparison decides, the interval that a verdict is read off, and the seeds still needed."""

import numpy as np
import pytest

from harness.claims import contrasts, evidence
from harness.claims import statistics as stats
from harness.claims import verdicts as claims
from harness.claims.looks import look

from support import stores
from support.stores import BASE, BEATS

SHAPE = np.array([1.0, -1.0, 1.0, -1.0, 0.0])  # standard deviation 1
FOUR = """
title: x
seeds: {seeds}
rows: [{{label: a}}, {{label: b}}, {{label: c}}, {{label: d}}]
columns: {{mAP: map/avg}}
"""


def judge_rows(folder, text, rows):
    """The verdict on a claim about four rows, from their values."""
    loaded = stores.load(folder, stores.claim(text), text=FOUR)
    (verdict,) = claims.judge(stores.records(loaded, {(i, "mAP"): x for i, x in enumerate(rows, 1)}))
    return verdict


def judge_gains(folder, *gains):
    """The verdict that rows 2 and 4 beat rows 1 and 3, from their gains."""
    rows = [values for gain in gains for values in (BASE, BASE + gain)]
    return judge_rows(folder, "rows: [2, 4], beat: [1, 3], on: mAP", rows)


def test_a_look_at_n_seeds_is_a_look_at_the_first_n():
    """Five of six seeds have a result, but not the first five: a seed that failed is not replaced by a later one."""
    x = np.array([1.0, 1.1, np.nan, 1.05, 0.95, 1.02])
    found = look(evidence.Evidence((x,)), contrasts.Test(0.05, (5,), None, 1), "row 2: 5/6 seeds have a result")
    assert (found.status, found.reason) == ("undecided", "row 2: 5/6 seeds have a result")
    assert found.evidence.differences[0].tolist() == [1.0, 1.1, 1.05, 0.95, 1.02], "shown, not judged"
    assert look(evidence.Evidence((x[3:],)), contrasts.Test(0.05, (3,), None, 1)).status == "supported"


def test_each_of_several_gains_needs_its_own_seeds(tmp_path):
    """The lower interval is that of the larger gain, but the smaller gain is what more seeds are needed for."""
    small, large = 0.2 + 0.6 * SHAPE, 2.0 + 3.0 * SHAPE
    verdict = judge_gains(tmp_path, small, large)
    assert verdict.delta == pytest.approx(large.mean())
    assert verdict.low < stats.difference(small).low
    needed = [stats.seeds_needed(x, 0.05, 0.0) for x in (small, large)]
    assert verdict.seeds_needed == needed[0] > needed[1]


def test_some_of_several_losses_pays_for_each_try(tmp_path):
    """Of two comparisons one lies below 0 at 5 %, but not at 2.5 %: undecided, with an interval that holds 0."""
    half = stats.interval(SHAPE, 0.05)[1]
    loss, gain = -1.05 * half + SHAPE, 5.0 + SHAPE
    assert stats.difference(loss).high < 0
    verdict = judge_gains(tmp_path, loss, gain)
    assert (verdict.status, verdict.reason) == ("undecided", "the interval holds 0")
    assert verdict.low < 0 < verdict.high
    assert (verdict.low, verdict.high) == pytest.approx(stats.interval(loss, 0.025))
    assert verdict.seeds_needed == stats.seeds_needed(loss, 0.025, 0.0) > 5
    contradicted = judge_gains(tmp_path, loss - half, gain)
    assert contradicted.status == "contradicted"
    assert contradicted.high == pytest.approx(stats.interval(loss - half, 0.025)[1])
    assert contradicted.high < 0


def test_rows_apart_are_shown_by_the_interval_that_tells_it(tmp_path):
    """Beyond the margin by a two-sided test at 5 %, and the interval at 5 % lies just beyond it."""
    half = stats.interval(SHAPE, 0.05)[1]
    for excess, status in ((0.01, "contradicted"), (-0.01, "undecided")):
        apart = 1.0 + half + excess + SHAPE
        verdict = judge_rows(tmp_path, "rows: [1, 2], stable_within: 1.0, on: mAP", [BASE, BASE + apart])
        assert (verdict.status, verdict.high < -1.0) == (status, status == "contradicted")


@pytest.mark.parametrize(("gain", "level"), [(0.2, 0.1), (-0.8, 0.05)])
def test_smaller_is_shown_by_the_level_that_tells_it(gain, level, tmp_path):
    """Twice the level only where that tells: else an interval could exclude 0 beside a verdict that does not."""
    verdict = judge_rows(tmp_path, BEATS, [BASE, BASE + gain + 0.75 * SHAPE])
    expected = stats.difference(gain + 0.75 * SHAPE, level)
    assert verdict.status == "smaller"
    assert (verdict.low, verdict.high) == pytest.approx((expected.low, expected.high))
    assert verdict.high < 1.0  # the margin
    assert verdict.low <= 0 <= verdict.high


def test_more_seeds_than_there_are_would_decide():
    """The first look may spend less than the last one, at whose level five seeds would have done."""
    x = 2.0 + SHAPE
    p = stats.difference(x).p
    test = contrasts.Test(p / 0.12, stats.LOOKS, None, 1)
    found = look(evidence.Evidence((x,)), test)
    assert found.status == "undecided"
    assert stats.seeds_needed(x, test.levels[-1], 0.0) <= 5
    assert found.seeds_needed == 6
