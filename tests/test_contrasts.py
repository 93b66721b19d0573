"""One contrast, one test: the same comparison has one name, one share of the error rate and one verdict everywhere."""

import numpy as np
import pytest

from harness import study
from harness.claims import contrasts
from harness.claims import verdicts as claims
from harness.claims.reading import read_grown_records
from harness.claims.statistics import ALPHA, LOOKS
from harness.errors import ConfigError
from harness.report import tables
from harness.store import records, results
from harness.study.presets import STUDIES

from support import stores


def plant(root, name, seeds, effect, spread=1.0):
    """A store of a shipped study whose last row lies ``effect`` above the first on every column."""
    loaded = study.load(name, root=root, seeds=seeds)
    top = loaded.rows[-1].number if name == "table2" else 2
    noise = np.where(np.arange(seeds) % 2, 1, -1)
    stores.fill(loaded, root, lambda row, seed, metric: 40 + seed + (effect + spread * noise[seed]) * (row == top))


def plans_of(name, root, **options):
    """The study, and the test of each of its claims in order."""
    loaded = study.load(name, root=root, **options)
    tests = contrasts.plan_tests(loaded, root)
    return loaded, [tests[contrasts.name_contrast(loaded, claim)] for claim in loaded.claims]


def test_the_same_sentence_in_two_tables_is_one_contrast(tmp_path):
    table2, table1, table12 = (study.load(name, root=tmp_path) for name in ("table2", "table1", "table12"))
    headline = next(claim for claim in table2.claims if claim.on == "mAP" and (claim.row, claim.beats) == (8, 1))
    name = contrasts.name_contrast(table2, headline)
    assert (
        name == contrasts.name_contrast(table1, table1.claims[0]) == contrasts.name_contrast(table12, table12.claims[0])
    )
    names = [contrasts.name_contrast(table2, claim) for claim in table2.claims]
    assert len(set(names)) == 7, "rows 4 and 3 are quoted twice"


def test_rows_column_direction_and_settings_make_a_contrast(tmp_path):
    rows = "row: 2, beats: 1, on: mAP"
    texts = [rows, "row: 1, beats: 2, on: mAP", "row: 3, beats: 1, on: mAP", "row: 2, beats: 1, on: H"]
    texts += ["row: 2, highest_on: mAP", "row: 2, lowest_on: mAP", "rows: [1, 2], stable_within: 0.5, on: mAP"]
    texts += ["rows: [1, 2], stable_within: 0.6, on: mAP", "row: 1, on: H, below: 0.5, by_share: 1.0"]
    texts += ["row: 1, on: H, above: 0.5, by_share: 1.0", "row: 1, on: H, below: 0.5, by_share: 0.5"]
    made = [stores.load(tmp_path, stores.claim(text)) for text in texts]
    made += [stores.load(tmp_path, stores.claim(rows), sets=["case.rho=0.3"])]
    names = [contrasts.name_contrast(one, one.claims[0]) for one in made]
    assert len(set(names)) == len(names)
    for same in (f"{rows}, by: 3.0", f"{rows}, note: as said"):
        again = stores.load(tmp_path, stores.claim(same), seeds="7")
        assert contrasts.name_contrast(again, again.claims[0]) == names[0]


def test_a_family_spends_five_percent(tmp_path):
    """Over all contrasts of all studies on the embedded set and the paper's preset, each once; half for Table 2."""
    seen = {}
    for path in sorted(STUDIES.glob("*.yaml")):
        loaded = study.load(path, root=tmp_path)
        tests = contrasts.plan_tests(loaded, tmp_path)
        own = {entry.contrast for entry in contrasts.list_asserted(loaded) if entry.preset == "paper"}
        for name in own & tests.keys():
            assert seen.setdefault(name, tests[name]) == tests[name], "whichever study shows it"
    assert sum(test.level for test in seen.values()) == pytest.approx(ALPHA)
    assert {test.family for test in seen.values()} == {len(seen)}
    _, table2 = plans_of("table2", tmp_path)
    assert sum({id(test): test.level for test in table2}.values()) == pytest.approx(ALPHA / 2)


def test_presets_are_families_of_their_own(tmp_path):
    loaded, tests = plans_of("presets", tmp_path)
    presets = [contrasts.preset_of(loaded, claim.row_numbers(6)) for claim in loaded.claims]
    assert set(presets) == {"paper", "released", "repaired"}
    table2, planned = plans_of("table2", tmp_path, base="released")
    assert tests[presets.index("released")] in planned
    assert contrasts.preset_of(table2, [1, 8]) == "released"


def test_scope_names_the_preset_of_the_rows(tmp_path):
    loaded = study.load("presets", root=tmp_path)
    stores.fill(loaded, tmp_path)
    found = claims.judge(records.read(loaded, tmp_path))
    assert {v.preset for v in found} == {"paper", "released", "repaired"}
    assert all(f"preset {v.preset}," in v.scope for v in found)


def test_the_smallest_margin_of_a_contrast_is_its_own():
    entries = [contrasts.Asserted("a", "paper", "x", margin) for margin in (0.55, 0.4, None)]
    (test,) = contrasts.share_error(entries, LOOKS).values()
    assert (test.margin, test.family, test.level) == (0.4, 1, ALPHA)


def test_one_claim_never_has_two_verdicts(tmp_path):
    """Twenty seeds from Table 2, five from Table 1: both say what the looks at the store's seeds say."""
    plant(tmp_path, "table1", 5, 5.0, spread=4.0)
    undecided = headline(tmp_path, "table1")
    assert (undecided.status, undecided.n) == ("undecided", 5)
    plant(tmp_path, "table2", 20, 5.0, spread=4.0)
    one, other = headline(tmp_path, "table1"), headline(tmp_path, "table2")
    assert one.contrast == other.contrast
    assert (one.status, one.n, one.delta, one.level) == (other.status, other.n, other.delta, other.level)
    assert one.status == "supported"
    assert one.n > 5


def test_a_table_shows_the_seeds_that_its_verdicts_rest_on(tmp_path):
    """Table 12 asks for five seeds of two rows of Table 2, which has twenty."""
    plant(tmp_path, "table12", 5, 5.0, spread=2.0)
    assert {cell.summary.n for cell in shown(tmp_path, "table12")[0]} == {5}
    plant(tmp_path, "table12", 20, 5.0, spread=2.0)
    cells, verdicts = shown(tmp_path, "table12")
    (seeds,) = {cell.summary.n for cell in cells}
    assert 5 < seeds == max(v.n for v in verdicts) < 20
    last = next(v for v in verdicts if v.n == seeds)
    differences = [cell.difference for cell in cells if cell.difference]
    assert [(d.n, d.delta) for d in differences] == [(seeds, pytest.approx(last.delta))] * 3


def test_a_row_of_which_no_claim_rests_on_more_keeps_its_seeds(tmp_path):
    """Twenty seeds of Table 11's own baseline, five of the rest; and two of all where two are asked for."""
    plant(tmp_path, "table11", 5, 5.0, spread=2.0)
    plant(tmp_path, "table2", 20, 5.0, spread=2.0)
    cells, verdicts = shown(tmp_path, "table11")
    (own,) = [v.n for v in verdicts if v.claimed == 7.9]
    assert 5 < own < 20
    seeds = {cell.row: cell.summary.n for cell in cells if cell.column == "mAP"}
    assert seeds == {row: own if row in {7, 8} else 5 for row in range(1, 31)}
    assert {cell.summary.n for cell in shown(tmp_path, "table11", seeds=2)[0] if cell.column == "mAP"} == {2}


def shown(root, name, **options):
    """The cells and verdicts of a report."""
    found = read_grown_records(study.load(name, root=root, **options), root)
    return tables.make_cells(found), claims.judge(found)


def test_results_of_other_sources_are_one_verdict_too(tmp_path, monkeypatch):
    """All of the store is stale: Table 1 is judged on the twenty seeds of Table 2, as Table 2 itself is."""
    plant(tmp_path, "table1", 5, 5.0, spread=4.0)
    plant(tmp_path, "table2", 20, 5.0, spread=4.0)
    fresh = headline(tmp_path, "table1")
    monkeypatch.setattr(results, "digest", lambda baseline: "of other sources")
    loaded = study.load("table1", root=tmp_path)
    assert set(records.read(loaded, tmp_path).states) == {"stale"}
    stale = headline(tmp_path, "table1")
    assert (stale.status, stale.n) == (fresh.status, fresh.n) == ("supported", fresh.n)
    assert stale.n > 5


def test_a_number_of_seeds_is_taken_exactly(tmp_path):
    """``--seeds 6``: one look, at six seeds, whatever else the store has."""
    plant(tmp_path, "table2", 20, 5.0, spread=4.0)
    found = headline(tmp_path, "table2", seeds=6)
    assert found.n == 6
    assert found.level == pytest.approx(ALPHA / 14)
    assert found.correction.endswith("x 1 look")


def headline(root, name, **options):
    """The verdict on the whole method's gain in mAP."""
    loaded = study.load(name, root=root, **options)
    found = claims.judge(records.read(loaded, root))
    return next(v for v in found if v.claimed == 7.9)


def test_a_study_like_another_asks_the_same_elsewhere(tmp_path):
    """``like: table2`` with its own title and data: the rows, columns and contrasts of Table 2 on those data."""
    path = tmp_path / "mine.yaml"
    path.write_text("like: table2\ntitle: mine\ndata: tiny\nseeds: 3\n")
    mine, table2 = study.load(path, root=tmp_path), study.load("table2", root=tmp_path, data="tiny", seeds=3)
    assert (mine.title, mine.data, mine.seeds, mine.until) == ("mine", "synthetic-tiny", 3, None)
    assert (mine.rows, mine.columns, mine.claims) == (table2.rows, table2.columns, table2.claims)
    for claim in mine.claims:
        assert contrasts.name_contrast(mine, claim) == contrasts.name_contrast(table2, claim)
    path.write_text("title: mine\nlike: tabel2\n")
    with pytest.raises(ConfigError, match=r"mine.yaml:2:7: like: .*did you mean 'table2'"):
        study.load(path, root=tmp_path)


def test_studies_on_real_recordings_are_those_of_the_paper():
    for path in sorted((STUDIES / "real").glob("*.yaml")):
        text = path.read_text()
        data, _, name = path.stem.rpartition("-")
        assert f"\nlike: {name}\n" in text
        assert f"\ndata: {data}\n" in text
        assert (STUDIES / "data" / f"{data}.yaml").is_file()
