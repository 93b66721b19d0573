"""Statistics against scipy, hand-computed numbers, and error rates found by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.claims import statistics as stats


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


@pytest.mark.parametrize("n", [2, 5, 20, 60])
def test_interval_is_students_at_every_number_of_seeds(n):
    x = np.random.default_rng(3).exponential(size=n)
    student = scipy_stats.ttest_1samp(x, 0).confidence_interval(0.95)
    assert stats.interval(x, 0.05) == pytest.approx((student.low, student.high))


def test_tails_by_hand():
    """Mean 2, standard deviation 2 of four values: t = 2 against 0, t = 1 against 1, at 3 degrees of freedom."""
    x = np.array([2.0, 2.0 + np.sqrt(6), 2.0, 2.0 - np.sqrt(6)])
    assert stats.tails(x) == pytest.approx((scipy_stats.t.sf(2, 3), scipy_stats.t.cdf(2, 3)))
    assert stats.tails(x, 1.0) == pytest.approx((scipy_stats.t.sf(1, 3), scipy_stats.t.cdf(1, 3)))


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


def test_directions_are_two_sided_and_pay_for_each_try():
    """ "Every" is the largest two-sided p; "some" is the smallest one times the number of comparisons."""
    xs = [draws(6, seed=seed) + shift for seed, shift in enumerate((1.0, 0.3, -0.8))]
    two_sided = [scipy_stats.ttest_1samp(x, 0, alternative="two-sided").pvalue for x in xs]
    assert [x.mean() > 0 for x in xs] == [True, True, False]
    assert stats.directions(xs[:2])[0] == pytest.approx(max(two_sided[:2]))
    assert stats.directions(xs)[1] == pytest.approx(min(1, 3 * two_sided[2]))


def test_beyond_the_margin_pays_for_each_try():
    xs = [2.0 + draws(8), 0.1 * draws(8, seed=1), 0.1 * draws(8, seed=2)]
    beyond = scipy_stats.ttest_1samp(xs[0], 1.0, alternative="two-sided").pvalue
    assert stats.within(xs, 1.0)[1] == pytest.approx(3 * beyond)
    assert stats.within([-x for x in xs], 1.0)[1] == pytest.approx(3 * beyond), "either side"


@given(st.integers(3, 12), st.floats(-2, 2), st.floats(0.1, 2), st.floats(0.001, 0.2))
def test_p_and_interval_agree(n, mean, margin, level):
    """A p at or below the level is an interval at that level on one side of 0, or below the margin."""
    x = mean + draws(n, seed=n)
    low, high = stats.interval(x, level)
    above, below = stats.directions([x])
    most = stats.interval(x, 2 * level)[1]  # of a one-sided test
    for p, apart in ((above, low), (below, -high), (stats.smaller(x, margin), margin - most)):
        assert (p <= level) == (apart >= 0) or abs(apart) < 1e-6


def test_looks():
    assert stats.looks_until(5, 20) == (5, 8, 12, 16, 20)
    assert stats.looks_until(4, 13) == (4, 5, 8, 12, 13)
    assert stats.looks_until(2, 5) == (3, 5), "a look at two seeds would spend and decide nothing"
    assert (stats.looks_until(1, 2), stats.looks_until(1, 3), stats.looks_until(6, 7)) == ((2,), (3,), (6, 7))
    assert 3 not in stats.LOOKS, "with two degrees of freedom nothing is ever decided"


def test_looks_spend_the_level_and_half_of_it_by_two_fifths_of_the_seeds():
    assert stats.spend(0.04, (5, 8, 12, 16, 20)) == pytest.approx([0.004, 0.016, 0.008, 0.006, 0.006])
    assert stats.spend(0.05, (7,)) == [0.05]
    for looks in ((5, 8, 12), (4, 5, 8, 12, 13), (5, 8, 12, 16, 20, 40)):
        spent = stats.spend(0.05, looks)
        assert sum(spent) == pytest.approx(0.05)
        assert min(spent) > 0


@pytest.mark.parametrize(("mean", "edge"), [(1.0, 0.0), (0.05, 0.5), (-0.2, 0.0)])
def test_seeds_needed_is_where_the_interval_is_first_off_the_edge(mean, edge):
    x = mean + np.array([0.6, -0.6, 0.6, -0.6, 0.3, -0.3])
    n = stats.seeds_needed(x, 0.01, edge)

    def holds_edge(seeds):
        half = scipy_stats.t.ppf(0.995, seeds - 1) * x.std(ddof=1) / np.sqrt(seeds)
        return abs(edge - x.mean()) <= half

    assert not holds_edge(n)
    assert holds_edge(n - 1)


def test_no_number_of_seeds_tells_zero_from_zero():
    assert stats.seeds_needed(np.array([1.0, -1.0, 1.0, -1.0]), 0.05, 0.0) is None
    assert stats.seeds_needed(np.array([1.0]), 0.05, 0.0) is None


@pytest.mark.parametrize("n", [3, 5])
def test_interval_covers_the_truth_as_often_as_it_says(n):
    covered = [low <= 1.0 <= high for low, high in (stats.interval(x, 0.05) for x in 1.0 + draws(4000, n))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_several_comparisons_do_not_reverse_a_claim_by_chance():
    """Four comparisons without any difference: "some lies below" fires in at most alpha of the studies."""
    studies = draws(6000, 4, 5)
    below = scipy_stats.ttest_1samp(studies, 0, axis=-1, alternative="less").pvalue
    above = scipy_stats.ttest_1samp(studies, 0, axis=-1, alternative="greater").pvalue
    every, some = 2 * above.max(1), 2 * 4 * below.min(1)
    for i in range(40):
        assert stats.directions(list(studies[i])) == pytest.approx((min(1, every[i]), min(1, some[i])))
    assert np.mean(some <= 0.05) <= 0.05 + 0.009
    assert np.mean(every <= 0.05) < 0.005


def test_equivalence_errs_at_its_margin_as_often_as_it_says():
    studies = 0.5 + 0.2 * draws(6000, 6)
    inside = scipy_stats.ttest_1samp(studies, 0.5, axis=-1, alternative="less").pvalue
    for i in range(40):
        assert stats.within([studies[i]], 0.5)[0] == pytest.approx(inside[i]), "the other side is far away"
    assert np.mean(inside <= 0.05) == pytest.approx(0.05, abs=0.01)  # 3.5 standard errors


@pytest.mark.parametrize("margin", [0.01, 0.3, 1.0])
def test_equal_rows_are_beyond_a_margin_in_at_most_five_percent(margin):
    """A margin far below the spread is crossed on both sides by chance; at the margin itself one side suffices."""
    for mean in (0.0, margin):
        studies = mean + draws(20_000, 5, seed=4)
        above = scipy_stats.ttest_1samp(studies, margin, axis=-1, alternative="greater").pvalue
        below = scipy_stats.ttest_1samp(studies, -margin, axis=-1, alternative="less").pvalue
        beyond = 2 * np.minimum(above, below)
        for i in range(20):
            assert stats.within([studies[i]], margin)[1] == pytest.approx(min(1, beyond[i]))
        assert np.mean(beyond <= 0.05) <= 0.05 + 0.005  # 3.2 standard errors
