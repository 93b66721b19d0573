"""Gains over methods: the random-effects model, claims on pairs of rows, and the line that reports show."""

import numpy as np
import pytest
from scipy import stats

from harness.claims import gains, verdicts
from harness.report.figures import gains as drawn

from support import stores
from support.stores import BASE, NOISE

TEXT = """
title: Four methods
base: paper
seeds: {seeds}
rows:
  - {{label: one, set: {{case.cat: 0}}}}
  - {{label: one + CASE}}
  - {{label: two, set: {{case.cat: 0.1, case.baseline: asl}}}}
  - {{label: two + CASE, set: {{case.cat: 0.2, case.baseline: asl}}}}
  - {{label: three, set: {{case.cat: 0.3}}}}
  - {{label: three + CASE, set: {{case.cat: 0.4}}}}
columns: {{mAP: map/avg}}
"""
EACH = "rows: [2, 4, 6], beat: [1, 3, 5], on: mAP"


def made(folder, effects, claim=EACH, text=TEXT):
    """Records of three methods whose rows differ by these effects, with noise over seeds."""
    loaded = stores.load(folder, stores.claim(claim), text=text)
    values = {}
    for number, effect in enumerate(effects):
        values[2 * number + 1, "mAP"] = BASE
        values[2 * number + 2, "mAP"] = BASE + effect + np.roll(NOISE, number)
    return stores.records(loaded, values)


def draw(rng, tau, n, sigma=1.0, mu=1.0):
    return [mu + tau * rng.normal() + sigma * rng.normal(size=k) for k in n]


def restricted(groups, between, within):
    """Twice the negative restricted log-likelihood of all observations at once, by dense matrices."""
    y = np.concatenate(groups)
    member = np.concatenate([np.full(len(x), i) for i, x in enumerate(groups)])
    V = within * np.eye(len(y)) + between * (member[:, None] == member)
    X = np.ones((len(y), 1))
    inverse = np.linalg.inv(V)
    information = X.T @ inverse @ X
    mean = np.linalg.solve(information, X.T @ inverse @ y)
    rest = y - X @ mean
    return np.linalg.slogdet(V)[1] + np.linalg.slogdet(information)[1] + rest @ inverse @ rest, float(mean[0])


def test_as_many_seeds_for_each_is_a_t_test_over_methods():
    groups = draw(np.random.default_rng(0), 2.0, [5] * 15)
    found = gains.fit_mixed(groups)
    means = [x.mean() for x in groups]
    interval = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(means))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    within = np.mean([x.var(ddof=1) for x in groups])
    assert found.within == pytest.approx(np.sqrt(within))
    assert found.between == pytest.approx(np.sqrt(np.var(means, ddof=1) - within / 5))


@pytest.mark.parametrize(("seed", "tau"), [(1, 0.5), (2, 1.5), (3, 0.0)])
def test_unequal_numbers_of_seeds_against_the_likelihood_of_all_observations(seed, tau):
    groups = draw(np.random.default_rng(seed), tau, [3, 5, 5, 8, 12, 4, 20])
    found = gains.fit_mixed(groups)
    grid = np.linspace(0, 6, 601) ** 2
    losses = [restricted(groups, between, found.within**2)[0] for between in grid]
    best = grid[int(np.argmin(losses))]
    assert found.between == pytest.approx(np.sqrt(best), abs=0.011)
    assert found.mean == pytest.approx(restricted(groups, found.between**2, found.within**2)[1])


def test_published_meta_analysis():
    """BCG vaccine trials (Colditz et al., 1994): tau^2 0.313 and mean -0.715 by restricted maximum likelihood."""
    y = np.array([-0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694, -1.3713, -0.3394,
                  0.4459, -0.0173])  # fmt: skip
    v = np.array([0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325,
                  0.0714])  # fmt: skip
    between = gains.estimate_between(y, v)
    w = 1 / (v + between)
    assert between == pytest.approx(0.3132, abs=5e-4)
    assert (w * y).sum() / w.sum() == pytest.approx(-0.7145, abs=5e-4)


def test_intervals_hold_the_planted_mean_and_the_next_method():
    rng = np.random.default_rng(4)
    inside = further = 0
    for _ in range(400):
        found = gains.fit_mixed(draw(rng, 2.0, [5, 5, 8, 5, 12, 5, 8, 5, 5, 5], mu=1.0))
        inside += found.low < 1.0 < found.high
        further += found.further[0] < 1.0 + 2.0 * rng.normal() < found.further[1]
    assert inside >= 370  # 380 are expected, standard deviation 4.4
    assert further >= 365


def test_without_spread_between_methods_the_seeds_noise_remains():
    groups = [np.array([0.9, 1.1, 1.0]), np.array([1.1, 0.9, 1.0]), np.array([1.0, 1.1, 0.9])]
    found = gains.fit_mixed(groups)
    assert (found.mean, found.between) == pytest.approx((1.0, 0.0))
    half = stats.t.ppf(0.975, 2) * 0.1 / 3
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half))


def test_few_methods_and_few_seeds():
    assert np.isnan(gains.fit_mixed([NOISE, NOISE]).low)
    single = gains.fit_mixed([np.array([x]) for x in (1.0, 2.0, 4.0)])
    interval = stats.ttest_1samp([1.0, 2.0, 4.0], 0).confidence_interval(0.95)
    assert (single.low, single.high) == pytest.approx((interval.low, interval.high))
    equal = gains.fit_mixed([np.array([1.0])] * 3)
    assert (equal.low, equal.mean, equal.high) == (1.0, 1.0, 1.0)


def test_every_row_must_beat_its_partner(tmp_path):
    (all_gain,) = verdicts.judge(made(tmp_path, [2.0, 3.0, 1.5]))
    assert (all_gain.status, all_gain.asserted) == ("supported", "each of 3 rows beats its partner on mAP")
    assert all_gain.delta == pytest.approx(1.5)  # the weakest
    assert verdicts.judge(made(tmp_path, [2.0, -3.0, 1.5]))[0].status == "contradicted"
    assert verdicts.judge(made(tmp_path, [2.0, 0.0, 1.5]))[0].status == "undecided"


def test_the_mean_of_gains_is_one_comparison(tmp_path):
    (verdict,) = verdicts.judge(made(tmp_path, [2.0, -0.5, 1.5], f"{EACH}, on_average: true"))
    noise = np.mean([np.roll(NOISE, number) for number in range(3)], 0)
    assert verdict.status == "supported"
    assert verdict.delta == pytest.approx(1.0 + noise.mean())
    assert verdict.asserted == "3 rows beat their partners on mAP, on average"


def test_pairs_in_another_order_are_the_same_contrast(tmp_path):
    texts = [EACH, "rows: [6, 2, 4], beat: [5, 1, 3], on: mAP", "rows: [2, 4, 6], beat: [3, 1, 5], on: mAP"]
    texts += [f"{EACH}, on_average: true"]
    names = [verdicts.judge(made(tmp_path, [1.0, 1.0, 1.0], text))[0].contrast for text in texts]
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_one_line_says_how_many_gain_and_how_much(tmp_path):
    records = made(tmp_path, [2.0, -0.5, 1.5])
    overall = gains.summarise_gains(records)
    assert [gain.label for gain in overall.gains] == ["one", "two", "three"]
    text = gains.describe_gains(overall)
    assert text.startswith("mAP is higher in 2 of 3 methods; on average +1.0 [-2.3, 4.3] (95 %, random effects)")
    assert gains.describe_gains(gains.summarise_gains(stores.records(stores.load(tmp_path), {}))) == ""


def test_pairs_of_one_method_are_not_called_methods(tmp_path):
    records = made(tmp_path, [2.0, -0.5, 1.5], text=TEXT.replace(", case.baseline: asl", ""))
    text = gains.describe_gains(gains.summarise_gains(records))
    assert text.startswith("mAP is higher in 2 of 3 pairs; on average +1.0")
    assert "between pairs" in text
    assert "a further pair" in text
    (axes,) = drawn.draw_gains(records).figure.axes
    assert axes.get_yticklabels()[-1].get_text() == "all pairs"


def test_a_figure_has_a_line_for_each_method_and_the_mean(tmp_path):
    drawing = drawn.draw_gains(made(tmp_path, [2.0, -0.5, 1.5]))
    (axes,) = drawing.figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["one", "three", "two", "all methods"]
    assert [text.get_text() for text in axes.texts] == ["+2.0", "+1.5", "-0.5", "+1.0"]
    assert "mAP is higher in 2 of 3 methods" in drawing.alt
    assert drawn.draw_gains(stores.records(stores.load(tmp_path), {})) is None
