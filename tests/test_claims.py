"""Verdicts: what supports a claim, what contradicts it, and that everything else is left undecided."""

import json
from dataclasses import replace

import numpy as np
import pytest

from harness.claims import statistics as stats
from harness.claims import verdicts as claims
from harness.claims import wording
from harness.store import records

from support import stores
from support.stores import BASE, BEATS, NOISE

BASES = "rows: [{{label: a}}, {{label: b, base: released}}, {{label: c, base: repaired}}]\n"


def judged(folder, text, values, **options):
    """Verdicts on claims given as YAML, from values per row and column."""
    loaded = stores.load(folder, text, **options)
    return claims.judge(stores.records(loaded, values))


def one(folder, text, rows, column="mAP", **options):
    """The verdict on one claim about a column, from values per row."""
    (verdict,) = judged(folder, stores.claim(text), {(i, column): x for i, x in enumerate(rows, 1)}, **options)
    return verdict


@pytest.mark.parametrize(
    ("gain", "status", "size"),
    [
        (2.0, "supported", "inside the interval"),
        (0.9, "supported", "outside the interval"),
        (0.0, "smaller", "outside the interval"),
        (-1.0, "contradicted", "outside the interval"),
    ],
)
def test_direction_and_size_are_told_apart(tmp_path, gain, status, size):
    verdict = one(tmp_path, BEATS, [BASE, BASE + gain + NOISE])
    assert (verdict.status, verdict.size, verdict.n) == (status, size, 5)
    expected = stats.difference(gain + NOISE)
    assert (verdict.delta, verdict.low, verdict.high) == pytest.approx((expected.delta, expected.low, expected.high))
    assert verdict.p == pytest.approx(stats.smaller(NOISE, 1.0) if gain == 0 else expected.p)
    assert verdict.asserted == "row 2 beats row 1 on mAP by 2"


def test_words_are_those_of_a_test_bed(tmp_path):
    effects = [2 + NOISE, -2 + NOISE, NOISE, 20 * NOISE, np.full(5, np.nan)]
    assert [one(tmp_path, BEATS, [BASE, BASE + x]).words for x in effects] == [
        "appears on the test bed",
        "reversed on the test bed",
        "smaller than claimed on the test bed",
        "undecided on the test bed",
        "no data",
    ]


def test_rows_on_their_own_preset_are_judged_under_it(tmp_path):
    claim = stores.claim("row: 3, beats: 2, on: mAP")
    loaded = stores.load(tmp_path, claim, text="title: x\nseeds: {seeds}\n" + BASES)
    values = {(row, "mAP"): BASE + row + NOISE * row for row in (1, 2, 3)}
    (verdict,) = claims.judge(stores.records(loaded, values))
    assert verdict.scope == "on synthetic, preset released and repaired, 5 seeds"
    assert claims.scope(loaded, [1]) == "on synthetic, preset paper, 5 seeds"
    assert [row.base for row in loaded.rows] == ["paper", "released", "repaired"]


def test_words_on_real_data_are_plain(tmp_path):
    loaded = stores.load(tmp_path, stores.claim(BEATS))
    source = replace(loaded.rows[0].settings.source, name="folder", path="x")
    real = replace(
        loaded, data="real", rows=tuple(replace(r, settings=replace(r.settings, source=source)) for r in loaded.rows)
    )
    values = {(1, "mAP"): BASE, (2, "mAP"): BASE + 2 + NOISE}
    (verdict,) = claims.judge(stores.records(real, values))
    assert verdict.words == "supported"
    assert verdict.scope == "on real, preset paper, 5 seeds"


@pytest.mark.parametrize("options", [{"quick": True}, {"data": "tiny"}])
def test_tiny_scale_is_not_judged(tmp_path, options):
    verdict = one(tmp_path, BEATS, [BASE, BASE + 2 + NOISE], **options)
    assert (verdict.status, verdict.words, verdict.reason) == ("not judged", "not judged", "tiny scale")


def test_a_claim_without_runs_has_no_data_at_tiny_scale_either(tmp_path):
    loaded = stores.load(tmp_path, stores.claim(BEATS), quick=True)
    (verdict,) = claims.judge(stores.records(loaded, {}))
    assert verdict.status == "no data"
    (verdict,) = claims.judge(stores.records(replace(loaded, missing="it is not here"), {}))
    assert (verdict.status, verdict.reason) == ("no data", "it is not here")


def test_quick_is_not_judged_on_data_of_any_scale(tmp_path):
    """A folder of features has no tiny scale of its own; the few steps of --quick show nothing there either."""
    loaded = replace(stores.load(tmp_path, stores.claim(BEATS)), quick=True)
    assert {row.settings.source.scale for row in loaded.rows} == {"default"}
    (verdict,) = claims.judge(stores.records(loaded, {(1, "mAP"): BASE, (2, "mAP"): BASE + 2 + NOISE}))
    assert verdict.status == "not judged"


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_pairs_decide_nothing(tmp_path, n):
    loaded_with = {"seeds": str(max(n, 1))}
    verdict = one(tmp_path, BEATS, [BASE[:n], BASE[:n] + 50 + NOISE[:n]], **loaded_with)
    assert verdict.status == ("no data" if n == 0 else "undecided")
    few = f"n = {n}: too few pairs to tell; the first look is at 3"
    assert verdict.reason == ("row 2: 0/1 seeds have a result" if n == 0 else few)
    assert np.isnan(verdict.p)


def test_a_failed_seed_leaves_the_claim_undecided(tmp_path):
    broken = (BASE + 2 + NOISE).copy()
    broken[3] = np.nan
    verdict = one(tmp_path, BEATS, [BASE, broken])
    assert (verdict.status, verdict.reason) == ("undecided", "row 2: 4/5 seeds have a result")
    assert verdict.delta == pytest.approx(2 + np.delete(NOISE, 3).mean()), "what there is is still shown"


def test_several_contrasts_share_the_error_rate(tmp_path):
    """p = 0.03 alone would do; beside a second contrast it must pass 0.025, also where the other has no result."""
    x = 1.0 + NOISE * 5
    assert 0.025 < stats.difference(x).p < 0.05
    failed = np.array([*(BASE[:4] + 90), np.nan])
    text = stores.claim("row: 2, beats: 1, on: mAP")[:-1] + ", " + stores.claim("row: 3, beats: 1, on: mAP")[1:]
    verdicts = judged(tmp_path, text, {(1, "mAP"): BASE, (2, "mAP"): BASE + x, (3, "mAP"): failed})
    assert [v.status for v in verdicts] == ["undecided", "undecided"]
    assert verdicts[0].level == pytest.approx(0.025)
    assert one(tmp_path, "row: 2, beats: 1, on: mAP", [BASE, BASE + x]).status == "supported"


def test_verdict_interval_and_adjusted_p_agree(tmp_path):
    many = [f"row: {a}, beats: {b}, on: mAP" for a, b in ((2, 1), (3, 1), (3, 2))]
    text = "[" + ", ".join(stores.claim(t)[1:-1] for t in many) + "]"
    values = {(1, "mAP"): BASE, (2, "mAP"): BASE + 0.1 + NOISE, (3, "mAP"): BASE + 0.9 - NOISE}
    for v in judged(tmp_path, text, values):
        assert (v.status == "supported") == (v.low > 0) == (v.p_adjusted <= 0.05 and v.delta > 0)
        assert v.p_adjusted == pytest.approx(min(1, 3 * v.p))
        assert v.correction == "3 contrasts x 1 look"


@pytest.mark.parametrize(
    ("fields", "margin"), [("by: 2.0", 1.0), ("by: 0.4", 0.3), ("by: 2.0, margin: 0.7", 0.7), ("margin: 0.2", 0.2)]
)
def test_smaller_than_claimed_is_below_the_margin(tmp_path, fields, margin):
    """Half of what is claimed, 0.3 at least, or what the study states: an interval just below it, and one just not."""
    half = (stats.interval(NOISE, 0.1)[1] - stats.interval(NOISE, 0.1)[0]) / 2  # of a one-sided test at 5 %
    shape = NOISE - NOISE.mean()
    text = f"row: 2, beats: 1, on: mAP, {fields}"
    for edge, status in ((-0.001, "smaller"), (0.001, "undecided")):
        scale = margin / half / 1.5  # an interval of two thirds of the margin on each side
        effect = margin + edge - scale * half
        assert abs(effect) < scale * half, "it holds 0"
        verdict = one(tmp_path, text, [BASE, BASE + effect + scale * shape])
        assert (verdict.status, verdict.margin) == (status, margin)
        assert (verdict.high < margin) == (status == "smaller")


def test_without_a_size_nothing_is_smaller_than_claimed(tmp_path):
    verdict = one(tmp_path, "row: 2, beats: 1, on: mAP", [BASE, BASE + NOISE])
    assert (verdict.status, verdict.margin) == ("undecided", None)


def test_an_effect_that_is_there_is_supported_however_small(tmp_path):
    verdict = one(tmp_path, BEATS, [BASE, BASE + 0.4 + NOISE])
    assert verdict.high < verdict.margin
    assert (verdict.status, verdict.size) == ("supported", "outside the interval")


def test_an_undecided_claim_says_how_many_seeds_would_decide(tmp_path):
    verdict = one(tmp_path, "row: 2, beats: 1, on: mAP", [BASE, BASE + 1 + 20 * NOISE])
    assert verdict.seeds_needed == stats.seeds_needed(1 + 20 * NOISE, 0.05, 0.0)
    assert 5 < verdict.seeds_needed < 100
    assert f"about {verdict.seeds_needed} seeds would decide" in wording.evidence_text(verdict)


def test_what_could_not_turn_out_otherwise_is_not_judged(tmp_path):
    verdict = one(tmp_path, BEATS + ", unjudged: Eq. 12 fixes it", [BASE, BASE + 2 + NOISE])
    assert (verdict.status, verdict.reason) == ("not judged", "Eq. 12 fixes it")
    assert verdict.delta == pytest.approx(2 + NOISE.mean())


def test_the_weakest_comparison_is_the_one_shown(tmp_path):
    found = one(tmp_path, "row: 3, highest_on: mAP", [BASE, BASE + 3 + NOISE, BASE + 5 - NOISE])
    assert found.delta == pytest.approx((2 - 2 * NOISE).mean())
    stable = one(tmp_path, "rows: [1, 2, 3], stable_within: 9, on: mAP", [BASE, BASE + 1 + NOISE, BASE + 4])
    assert abs(stable.delta) == pytest.approx(4)


def test_stability_compares_each_two_rows(tmp_path):
    """Neighbours are 0.5 apart, the ends 1.0: within 0.8 of their neighbours, yet not of each other."""
    rows = [BASE, BASE + 0.5 + NOISE / 100, BASE + 1.0 - NOISE / 100]
    verdict = one(tmp_path, "rows: [1, 2, 3], stable_within: 0.8, on: mAP", rows)
    assert verdict.status == "contradicted"


def test_equivalence_is_tested_at_the_level_of_its_interval(tmp_path):
    """Two one-sided tests at 5 % are the 90 % interval: one that just fits the margin, and one that just does not."""
    x = NOISE - NOISE.mean()
    half = stats.interval(x, 0.10)[1]
    for margin, status in ((1.001 * half, "supported"), (0.999 * half, "undecided")):
        verdict = one(tmp_path, f"rows: [1, 2], stable_within: {margin}, on: mAP", [BASE, BASE + x])
        assert verdict.status == status
        assert verdict.high == pytest.approx(half)


@pytest.mark.parametrize(
    ("apart", "spread", "status"), [(0.0, 0.1, "supported"), (0.0, 9.0, "undecided"), (5.0, 0.1, "contradicted")]
)
def test_stability_needs_equivalence(tmp_path, apart, spread, status):
    rows = [BASE, BASE + spread * NOISE, BASE + apart - spread * NOISE]
    verdict = one(tmp_path, "rows: [1, 2, 3], stable_within: 0.6, on: mAP", rows)
    assert verdict.status == status
    assert verdict.asserted == "rows 1, 2, 3 agree within 0.6 on mAP"
    if status == "supported":
        assert -0.6 < verdict.low <= verdict.high < 0.6


def test_an_insignificant_difference_supports_nothing(tmp_path):
    rows = [BASE, BASE + 8 * NOISE]
    assert stats.difference(rows[1] - rows[0]).p > 0.5
    assert one(tmp_path, "rows: [1, 2], stable_within: 0.6, on: mAP", rows).status == "undecided"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("row: 3, highest_on: mAP", "supported"),
        ("row: 2, highest_on: mAP", "contradicted"),
        ("row: 1, lowest_on: mAP", "supported"),
        ("row: 3, lowest_on: mAP", "contradicted"),
    ],
)
def test_extreme_among_all_rows(tmp_path, text, status):
    assert one(tmp_path, text, [BASE, BASE + 2 + NOISE, BASE + 4 - NOISE]).status == status


def test_extreme_needs_every_row(tmp_path):
    verdict = one(tmp_path, "row: 3, highest_on: mAP", [BASE, BASE * np.nan, BASE + 4 - NOISE])
    assert (verdict.status, verdict.reason) == ("undecided", "row 2: 0/5 seeds have a result")


def test_highest_of_several_columns_in_one_row(tmp_path):
    text = stores.claim("row: 2, highest_on: [mAP, H]")
    assert judged(tmp_path, text, {(2, "mAP"): BASE, (2, "H"): BASE - 2 + NOISE})[0].status == "supported"
    assert judged(tmp_path, text, {(2, "mAP"): BASE, (2, "H"): BASE + 2 + NOISE})[0].status == "contradicted"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("below: 0.5, by_share: 0.8", "supported"),
        ("below: 0.5, by_share: 0.3", "contradicted"),
        ("above: 0.5, by_share: 0.3", "supported"),
    ],
)
def test_a_curve_at_a_share_of_training(tmp_path, text, status):
    """A curve that falls from 1 to 0 in equal steps is below 0.5 after half of the training."""
    loaded = stores.load(tmp_path, stores.claim(f"row: 1, on: H, {text}"))
    root = tmp_path / "mlruns"
    stores.fill(loaded, root, curve=lambda row, seed: np.linspace(1, 0, 101)[1:] + 0.01 * NOISE[seed])
    (verdict,) = claims.judge(records.read(loaded, root))
    assert verdict.status == status
    share = float(text.rpartition(" ")[2])
    assert abs(verdict.delta) == pytest.approx(abs(1 - share + records.WINDOW / 2 - 0.005 - 0.5), abs=1e-6)


def test_a_curve_with_a_failed_seed_is_undecided(tmp_path):
    loaded = stores.load(tmp_path, stores.claim("row: 1, on: H, below: 2.0, by_share: 1.0"))
    stores.fill(loaded, tmp_path / "mlruns", curve=lambda row, seed: np.full(100, NOISE[seed]), failed={(1, 2)})
    (verdict,) = claims.judge(records.read(loaded, tmp_path / "mlruns"))
    assert (verdict.status, verdict.reason) == ("undecided", "row 1: 4/5 seeds have a result")


def test_scope_and_words_are_in_every_output(tmp_path):
    verdict = one(tmp_path, BEATS, [BASE, BASE + 2 + NOISE])
    (content,) = json.loads(json.dumps(wording.as_json([verdict]), allow_nan=False))
    text = wording.markdown([verdict])
    for part in ("appears on the test bed", "on synthetic, preset paper, 5 seeds"):
        assert part in text
        assert part in content.values()
    assert "claimed 2 inside the interval" in wording.evidence_text(verdict)
    assert "as the paper says" in text
    assert "4.3" in text


def test_nothing_measured_is_null_in_json(tmp_path):
    (content,) = json.loads(json.dumps(wording.as_json([one(tmp_path, BEATS, [])]), allow_nan=False))
    assert content["delta"] is content["p"] is None
