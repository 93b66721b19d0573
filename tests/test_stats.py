"""Statistics against scipy, hand-computed numbers, and error rates found by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.claims import statistics as stats

P_VALUES = st.lists(st.one_of(st.floats(1e-6, 1), st.just(float("nan"))), min_size=1, max_size=8)


def draws(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_summary_by_hand():
    found = stats.summary([1.0, 2.0, 6.0])
    assert (found.mean, found.n, found.asked) == (3.0, 3, 3)
    assert found.std == pytest.approx(np.sqrt((4 + 1 + 9) / 2))


def test_one_run_has_no_spread_and_a_failed_one_counts_as_asked():
    assert np.isnan(stats.summary([40.0]).std)
    found = stats.summary([40.0, float("nan"), 42.0, float("inf")])
    assert (found.mean, found.n, found.asked) == (41.0, 2, 4)
    assert np.isnan(stats.summary([]).mean)


def test_pairs_are_of_the_same_seed():
    assert stats.pairs({0: 5.0, 2: 7.0, 3: 1.0}, {3: 0.5, 0: 4.0, 1: 9.0}).tolist() == [1.0, 0.5]
    assert stats.pairs({0: 5.0, 1: float("nan")}, {0: 4.0, 1: 1.0}).tolist() == [1.0]


@pytest.mark.parametrize("n", [2, 3, 5, 10, 19])
def test_difference_is_scipys_paired_t_test(n):
    ours, theirs = draws(n) + 0.7, draws(n, seed=1)
    found = stats.difference(ours - theirs, 0.02)
    expected = scipy_stats.ttest_rel(ours, theirs)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.98)))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.delta == pytest.approx(ours.mean() - theirs.mean())
    assert found.effect == pytest.approx(expected.statistic / np.sqrt(n))
    assert found.n == n


def test_bootstrap_only_from_twenty_pairs_on():
    x = np.random.default_rng(3).exponential(size=20)
    found = scipy_stats.bootstrap(
        (x,), np.mean, confidence_level=0.95, rng=np.random.default_rng(0)
    ).confidence_interval
    assert stats.interval(x, 0.05) == (found.low, found.high)
    student = scipy_stats.ttest_1samp(x[:19], 0).confidence_interval(0.95)
    assert stats.interval(x[:19], 0.05) == pytest.approx((student.low, student.high))
    assert stats.interval(x, 0.05) == stats.interval(x, 0.05), "the same digits each time"


def test_without_spread_p_is_0_or_1():
    same = stats.difference(np.full(5, 0.1) * 3 - 0.3)
    assert (same.p, same.low, same.high) == (1.0, same.delta, same.delta)
    assert stats.difference(np.full(25, 2.0)).p == 0.0
    assert stats.equivalence(np.zeros(4), 0.1) == 0.0
    assert stats.equivalence(np.full(4, 0.5), 0.1) == 1.0


def test_one_pair_has_no_interval():
    found = stats.difference(np.array([2.0]))
    assert (found.delta, found.n) == (2.0, 1)
    assert np.isnan([found.low, found.high, found.p, found.effect]).all()
    assert stats.difference(np.array([])).n == 0


def test_equivalence_is_two_one_sided_tests():
    x = 0.1 + 0.2 * draws(8)
    above = scipy_stats.ttest_1samp(x, -0.5, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(x, 0.5, alternative="less").pvalue
    assert stats.equivalence(x, 0.5) == pytest.approx(max(above, below))


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm_levels([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.05 / 3, 0.05 / 2, 0.05 / 2, 0.05 / 4])
    assert stats.holm([]) == stats.holm_levels([]) == []


@given(P_VALUES)
def test_level_and_adjusted_p_agree(p):
    levels, adjusted = stats.holm_levels(p), stats.holm(p)
    for raw, level, corrected in zip(p, levels, adjusted):
        assert (raw <= level) == (corrected <= stats.ALPHA) or abs(corrected - stats.ALPHA) < 1e-9
        assert stats.ALPHA / len(p) <= level <= stats.ALPHA


def test_claims_that_cannot_be_tested_still_count():
    assert stats.holm([0.02, float("nan"), float("nan")])[0] == pytest.approx(0.06)


def test_looks():
    assert stats.looks_until(3, 20) == (3, 5, 10, 20)
    assert stats.looks_until(4, 12) == (4, 5, 10, 12)
    assert stats.look_level(5, (3, 5, 10, 20)) == pytest.approx(0.05 / 20)


@pytest.mark.parametrize("n", [3, 5])
def test_interval_covers_the_truth_as_often_as_it_says(n):
    covered = [low <= 1.0 <= high for low, high in (stats.interval(x, 0.05) for x in 1.0 + draws(4000, n))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_several_comparisons_do_not_reverse_a_claim_by_chance():
    """Four comparisons without any difference: "some lies below" fires in at most alpha of the studies."""
    fired = [stats.directions(list(x))[1] <= 0.05 for x in draws(3000, 4, 5)]
    assert np.mean(fired) <= 0.05 + 0.012
    assert np.mean([stats.directions(list(x))[0] <= 0.05 for x in draws(3000, 4, 5, seed=1)]) < 0.005


def test_equivalence_errs_at_its_margin_as_often_as_it_says():
    wrong = [stats.within([0.5 + 0.2 * x], 0.5)[0] <= 0.05 for x in draws(4000, 6)]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.012)


def test_holm_keeps_the_family_wise_error():
    """Eight claims without a difference at five seeds: any direction at all in at most alpha of the studies."""
    studies = draws(1200, 8, 5, seed=2)
    p = [[min(stats.directions([x])) for x in claims] for claims in studies]
    wrong = [any(raw <= level for raw, level in zip(row, stats.holm_levels(row))) for row in p]
    assert np.mean(wrong) <= 0.05 + 0.019
