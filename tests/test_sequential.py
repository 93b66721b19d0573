"""Sequential studies: looks fixed beforehand, seeds for rows of undecided claims alone, at most 5 % wrong."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness import run, study
from harness.claims import sequential
from harness.claims import statistics as stats
from harness.claims import verdicts as claims
from harness.claims.contrasts import Asserted, share_error
from harness.claims.evidence import Evidence
from harness.claims.looks import look
from harness.claims.statistics import ALPHA, LOOKS
from harness.execute import session
from harness.report import notes
from harness.store import records

from support import stores

STUDY = """
title: Sequential
base: paper
seeds: SEEDS
rows: [{label: a}, {label: b, set: {case.clusters: 8}}, {label: c, set: {case.clusters: 4}}]
columns: {mAP: map/avg}
claims:
  - {quote: q, section: "1", row: 2, beats: 1, on: mAP}
  - {quote: q, section: "1", row: 3, beats: 1, on: mAP}
"""
PLAN = "{at_least: 5, at_most: 12, until: decided}"


def load(folder, plan=PLAN, **options):
    path = folder / "s.yaml"
    path.write_text(STUDY.replace("SEEDS", plan))
    return study.load(path, root=folder, **options)


def plant(folder, spread, seeds=20):
    """A store with 20 seeds of every row: row 3 is far above row 1; row 2 is 1 above it with this spread per seed."""

    def measured(row, seed, name):
        swing = 1 if seed % 2 else -1
        return {1: 40.0, 2: 41.0 + spread(seed) * swing, 3: 50.0 + 0.1 * swing}[row]

    stores.fill(load(folder, str(seeds)), folder, measured)


def walk(loaded, root):
    """Seeds per row at each look, and the study as it ended."""
    looks = [sequential.count_seeds(loaded)]
    while (new := sequential.plan_look(records.read(loaded, root))) is not None:
        loaded = new
        looks.append(sequential.count_seeds(loaded))
    return looks, loaded


def test_only_rows_of_undecided_claims_get_seeds(tmp_path):
    plant(tmp_path, lambda seed: 0.7)
    looks, grown = walk(load(tmp_path), tmp_path)
    assert looks == [{1: 5, 2: 5, 3: 5}, {1: 8, 2: 8, 3: 5}, {1: 12, 2: 12, 3: 5}]
    assert {run.seed for run in grown.runs if run.row == 1} == set(range(12))
    first, second = claims.judge_seeds(records.read(grown, tmp_path))
    assert (first.status, first.n) == ("supported", 12)
    assert (second.status, second.n) == ("supported", 5), "on the seeds of the look that decided"


def test_the_last_look_ends_it(tmp_path):
    plant(tmp_path, lambda seed: 50.0)
    looks, _ = walk(load(tmp_path), tmp_path)
    assert looks[-1] == {1: 12, 2: 12, 3: 5}


@pytest.mark.parametrize("options", [{"seeds": 5}, {"quick": True}])
def test_neither_a_number_of_seeds_nor_quick_grows(tmp_path, options):
    plant(tmp_path, lambda seed: 50.0)
    loaded = load(tmp_path, **options)
    assert sequential.plan_look(records.read(loaded, tmp_path)) is None


def test_quick_is_never_judged_and_never_grows(tmp_path):
    loaded = load(tmp_path, quick=True)
    stores.fill(loaded, tmp_path, lambda row, seed, name: 10.0 * row)
    assert sequential.plan_look(records.read(loaded, tmp_path)) is None
    assert {v.status for v in claims.judge(records.read(loaded, tmp_path))} == {"not judged"}


def test_a_verdict_stands_whatever_comes_after(tmp_path):
    """Clear at 5 seeds, drowned in noise afterwards: the look at 5 seeds has decided."""
    plant(tmp_path, lambda seed: 0.02 if seed < 5 else 90.0)
    first, _ = claims.judge(records.read(load(tmp_path), tmp_path))
    assert (first.status, first.n) == ("supported", 5)


def test_each_look_spends_its_share(tmp_path):
    """Two contrasts, looks at 5, 8 and 12 seeds; each contrast spends 2.5 % in all."""
    plant(tmp_path, lambda seed: 50.0)
    _, grown = walk(load(tmp_path), tmp_path)
    first, second = claims.judge_seeds(records.read(grown, tmp_path))
    spent = stats.spend(0.025, (5, 8, 12))
    assert (second.level, first.level) == (spent[0], spent[2])
    assert first.p_adjusted == pytest.approx(min(1, first.p * 0.05 / spent[2]))
    assert first.correction == "2 contrasts x 3 looks"


def correlated(studies, shifts, seed=0):
    """Values of the eight rows of Table 2 over 20 seeds, with spreads as measured on the embedded set.

    A part that all rows of a seed share, one of each training, and a small one where a row only reads scores otherwise.
    """
    draw = np.random.default_rng(seed)
    shared = 3.0 * draw.normal(size=(studies, 1, 20))
    trainings = np.array([4.5, 3.0, 2.0, 2.0, 2.0, 3.0, 2.0, 2.0])[:, None] * draw.normal(size=(studies, 8, 20))
    trainings[:, 4], trainings[:, 7] = trainings[:, 3], trainings[:, 6]
    reading = np.array([0, 0, 0, 0, 0.6, 0, 0, 0.6])[:, None] * draw.normal(size=(studies, 8, 20))
    return 40 + shared + trainings + reading + np.array(shifts)[:, None]


TABLE2 = ((1, 0), (3, 2), (7, 6), (7, 4), (7, 5), (7, 0))  # rows from 0: contrasts of Table 2 on mAP


def count_wrong(values, family, wrong):
    """Share of studies with any wrong verdict at any look; ``wrong(t test of x against value, one-sided) -> p``."""
    fired = np.zeros(len(values), bool)
    for (above, below), test in zip(TABLE2, family.values()):
        x = values[:, above] - values[:, below]
        for n, level in zip(test.looks, test.levels):
            fired |= wrong(x[:, :n]) <= level
    return fired.mean()


@pytest.fixture
def family():
    entries = [Asserted(str(i), "paper", "table2", 1.0) for i in range(len(TABLE2))]
    return share_error(entries, LOOKS)


def test_no_effect_gives_false_verdicts_in_at_most_five_percent(family):
    """No row differs: any direction, of any contrast at any look, in 20,000 studies."""

    def two_sided(x):
        return scipy_stats.ttest_1samp(x, 0, axis=-1).pvalue

    share = count_wrong(correlated(20_000, [0] * 8), family, two_sided)
    assert 0.005 < share <= ALPHA


def test_an_effect_of_the_margin_is_called_smaller_in_at_most_five_percent(family):
    """Each contrast is just as large as what still counts: "smaller than claimed" would be wrong."""
    values = correlated(20_000, [0] * 8, seed=1)

    def smaller(x):
        return scipy_stats.ttest_1samp(x + 1.0, 1.0, axis=-1, alternative="less").pvalue

    assert count_wrong(values, family, smaller) <= ALPHA


def test_looks_decide_as_the_simulation_counts(family):
    """The same p against the same levels: a look's verdict on 60 of the simulated studies."""
    test = next(iter(family.values()))
    for values in 2.5 * correlated(60, [0, 2.0, 0, 0, 0, 0, 0, 0], seed=2)[:, :2]:
        x = values[1] - values[0]
        p = [scipy_stats.ttest_1samp(x[:n], 0).pvalue for n in test.looks]
        small = [scipy_stats.ttest_1samp(x[:n], 1.0, alternative="less").pvalue for n in test.looks]
        deciding = [n for n, a, b, level in zip(test.looks, p, small, test.levels) if min(a, b) <= level]
        found = look(Evidence((x,)), test)
        assert (found.status == "undecided") == (not deciding)
        assert len(found.evidence.differences[0]) == (deciding[0] if deciding else 20)


def test_looks_find_an_effect_early(family):
    """Two and a half standard deviations: nearly always decided, mostly before the last look."""
    test = next(iter(family.values()))
    draws = 2.5 + np.random.default_rng(3).normal(size=(60, 20))
    found = [look(Evidence((x,)), test) for x in draws]
    assert np.mean([outcome.status == "supported" for outcome in found]) > 0.95
    assert np.mean([len(outcome.evidence.differences[0]) <= 12 for outcome in found]) > 0.8


def test_a_seed_that_failed_for_good_gets_no_further_ones(tmp_path):
    """No later seed replaces it: rows of its claim would be trained up to the last look for nothing."""
    loaded = load(tmp_path)
    stores.fill(loaded, tmp_path, lambda row, seed, name: 40 + 5 * np.sin(9 * row + seed), failed={(2, 3)})
    found = claims.judge_seeds(records.read(loaded, tmp_path))
    assert [verdict.status for verdict in found] == ["undecided", "undecided"]
    grown = sequential.plan_look(records.read(loaded, tmp_path))
    assert sequential.count_seeds(grown) == {1: 8, 2: 5, 3: 8}, "the claim on row 2 rests on seeds 0 to 2"


def test_a_budget_begins_no_look_that_would_end_later(tmp_path, capsys):
    """Three more seeds of two rows are six trainings of 2 s each, as those in the store took."""
    plant(tmp_path, lambda seed: 50.0, seeds=5)
    further = sequential.plan_look(records.read(load(tmp_path), tmp_path))
    command = ["x", "--output", str(tmp_path), "--jobs", "1", "--accept-stale", "--budget"]
    for budget, fits in (("20s", True), ("16s", False)):
        planned = run.make_session(run.parser().parse_args([*command, budget]))
        assert session.fits_budget([further], planned, spent=5) is fits
    assert "6 trainings" in capsys.readouterr().err


def plan_session(folder, *options):
    return run.make_session(run.parser().parse_args(["x", "--output", str(folder), "--jobs", "1", *options]))


def test_a_look_with_nothing_to_train_costs_no_budget(tmp_path, capsys):
    """All eight seeds are stored: the look at them is taken, whatever time is left."""
    plant(tmp_path, lambda seed: 50.0, seeds=8)
    further = sequential.plan_look(records.read(load(tmp_path), tmp_path))
    assert session.fits_budget([further], plan_session(tmp_path, "--budget", "1s"), spent=5)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("tell", [session.tell_plan, session.tell_status])
def test_what_is_to_do_is_that_of_the_next_look(tmp_path, capsys, tell):
    """Five seeds are finished and leave a claim open: three more of its two rows are next, and perhaps more after."""
    plant(tmp_path, lambda seed: 50.0, seeds=5)
    tell([load(tmp_path)], plan_session(tmp_path))
    said = capsys.readouterr().out
    assert "15 finished, 6 to train" in said or "15 of 21 results finished" in said
    assert "s: then up to 12 seeds for rows of claims that are undecided still" in said
    tell([load(tmp_path, seeds=5)], plan_session(tmp_path, "--seeds", "5"))
    said = capsys.readouterr().out
    assert "15 finished, 0 to train" in said or "15 of 15 results finished" in said
    assert "then up to" not in said


def test_nothing_is_to_do_after_the_last_look(tmp_path, capsys):
    plant(tmp_path, lambda seed: 50.0, seeds=12)
    session.tell_plan([load(tmp_path)], plan_session(tmp_path))
    said = capsys.readouterr().out
    assert "29 finished, 0 to train" in said
    assert "then up to" not in said


def test_notes_say_how_claims_are_looked_at(tmp_path):
    """Looks fixed beforehand, one look as asked for, or none at tiny scale; no warm-up beyond the training."""
    sequential_note, one_look = "at looks fixed beforehand", "One look, at 6 seeds, spends the whole error rate"
    for options, said in (({}, sequential_note), ({"seeds": 6}, one_look), ({"quick": True, "seeds": 6}, "Tiny scale")):
        text = " ".join(notes.describe_measurement(load(tmp_path, **options)))
        assert [part in text for part in (sequential_note, one_look)] == [said == sequential_note, said == one_look]
        assert said in text
    short = notes.describe_measurement(load(tmp_path, sets=["training.steps=20"]))
    assert any("for the first 20 steps P^V alone selects snippets" in note for note in short)
