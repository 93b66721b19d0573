"""What a reader is told first: claims by name, each contrast once, totals by data set."""

import io
import re
from dataclasses import replace

from rich.console import Console

from harness import study
from harness.claims import verdicts as claims
from harness.claims.steps import name_claim
from harness.report import card, terminal, writing
from harness.report.matrix import Matrix
from harness.store import records
from harness.track.__main__ import main

from support import stores
from support.stores import BASE, BEATS, NOISE


def judge_one(folder):
    """The verdict on a claim that appears."""
    made = stores.load(folder, stores.claim(BEATS))
    return claims.judge(stores.records(made, {(1, "mAP"): BASE, (2, "mAP"): BASE + 2 + NOISE}))[0]


def test_a_claim_is_named_by_what_tells_its_rows_apart():
    """Table 2: the added part; without toggles, the labels; Table 11: the longer label alone."""

    def name_all(name):
        loaded = study.load(name)
        return [name_claim(loaded, claim) for claim in loaded.claims]

    table2 = name_all("table2")
    assert [name.partition(" (")[0] for name in table2] == [
        "SCC on mAP",
        "CCC on mAP",
        "CAT on mAP",
        "CCC on mAP",
        "DDCL on mAP",
        "TSCL on mAP",
        "all parts on mAP",
        "all parts on ACC",
    ]
    assert table2[0] == "SCC on mAP (row 2 over 1)"
    assert "sigma = 0.05 over sigma = 0.05, without CAT on mAP (row 5 over 6)" in name_all("repairs")
    assert "BaS-Net + CASE on mAP (row 2 over 1)" in name_all("table11")
    assert name_all("fig3")[0].startswith("row ")


def test_sentences_of_one_contrast_are_one_line_and_counted_once(tmp_path):
    """In the terminal and on the page."""
    loaded = stores.load(tmp_path, stores.claim(f'{BEATS}}}, {{quote: "again", section: "F", {BEATS}'))
    assert len(loaded.claims) == 2
    root = tmp_path / "mlruns"
    stores.fill(loaded, root, lambda row, seed, name: BASE[seed] + 2 * (row == 2) + row * NOISE[seed])
    report = writing.write_report(records.read(loaded, root))
    console = Console(width=100, record=True, file=io.StringIO())
    terminal.show_report(report, console)
    text = console.export_text()
    assert text.count("(row 2 over 1)") == 1
    assert "2 claims, 1 contrast: 1 appears on the test bed" in text
    html = (report.folder / "report.html").read_text()
    text = re.sub("<[^>]+>", "", html)
    assert "1 appears on the test bed 2 claims, 1 contrast" in re.sub(r"\s+", " ", text)


def test_totals_of_a_card_are_told_by_data_set(tmp_path):
    """A verdict on real data is none on the test bed."""
    loaded = stores.load(tmp_path, stores.claim(BEATS))
    stores.fill(loaded, tmp_path / "mlruns", lambda row, seed, name: BASE[seed] + 2 * (row == 2) + row * NOISE[seed])
    bed = card.make_card(records.read(loaded, tmp_path / "mlruns"))
    (verdict,) = bed.verdicts
    real = replace(verdict, data="recorded", words="supported", contrast="another")
    console = Console(width=80, record=True, file=io.StringIO())
    terminal.show_cards([bed, replace(bed, verdicts=[real])], console)
    lines = [line.strip() for line in console.export_text().splitlines()]
    assert "synthetic: 1 contrast, each judged once: 1 appears on the test bed" in lines
    assert "recorded: 1 contrast, each judged once: 1 supported" in lines
    assert max(map(len, lines)) <= 80
    assert not any("\u2026" in line for line in lines)


def test_a_contrast_is_judged_once_on_the_card_and_linked_from_each_study(tmp_path):
    one = stores.load(tmp_path, stores.claim(BEATS))
    stores.fill(one, tmp_path / "mlruns", lambda row, seed, name: BASE[seed] + 2 * (row == 2) + row * NOISE[seed])
    first = card.make_card(records.read(one, tmp_path / "mlruns"))
    second = replace(first, study=replace(one, name="other", title="Another"), link="other/report.html")
    empty = replace(first, verdicts=(), done=0, link="")
    (contrast,) = card.list_contrasts([first, second, empty])
    assert [title for title, _ in contrast.places] == [one.title, "Another"]
    assert [link for _, link in contrast.places] == ["made/report.html#claims", "other/report.html#claims"]
    assert (first.unmeasured, empty.unmeasured) == (0, 1)
    text = card.format_card([first, second, empty], "", [], Matrix((), ()))
    assert text.count("<q>") == 1
    assert "1 contrast, each judged once" in text
    assert "1 claim without data" in text
    console = Console(width=80, record=True, file=io.StringIO())
    terminal.show_cards([first, second, empty], console)
    assert "1 contrast, each judged once: 1 appears on the test bed\n1 claim without data" in console.export_text()


def test_intervals_stand_beneath_each_other_and_no_claim_is_cut_at_80_columns(tmp_path):
    first = judge_one(tmp_path)
    wide = replace(first, brief="all parts on mAP (row 8 over 1)", status="not judged", words="not judged")
    wide = replace(wide, delta=-0.42, low=-11.85, high=11.02)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal.make_claims([first, wide], 80))
    text = console.export_text()
    lines = [line for line in text.splitlines() if "over" in line]
    assert [line.count("(row") for line in lines] == [line.count("over") for line in lines] == [1, 1]
    assert "…" not in text
    assert len({line.index("]") for line in lines}) == 1
    assert len({line.index(".", line.index(")")) for line in lines}) == 1, "decimal points of the differences"
    assert "needed" not in text


def test_a_claim_of_many_words_is_wrapped_and_a_note_of_many_cut_at_a_sentence(tmp_path):
    first = judge_one(tmp_path)
    words = "row 1: mean Q^R is above 0.4 and below 0.6 in a share of 95 % of its seeds"
    long = replace(first, brief=words, claimed=None)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal.make_claims([long], 80))
    text = console.export_text()
    assert "…" not in text
    assert all(word in text for word in long.brief.split())
    assert "claimed" not in text, "no column is empty"
    note = "One sentence that says a little. " * 30
    assert terminal.shorten_note(note) == "One sentence that says a little. " * 9 + "(The page says more.)"
    assert terminal.shorten_note("Short. Enough.") == "Short. Enough."


def test_mlflow_is_given_the_seeds_that_the_report_shows(tmp_path, monkeypatch):
    """``harness.track sync`` of a sequential study, which the terminal and the page show with all its looks."""
    root, options = tmp_path / "mlruns", {"claims": stores.claim(BEATS), "seeds": "{at_least: 3, at_most: 10}"}
    loaded = stores.load(tmp_path, **options)
    stores.fill(study.with_seeds(loaded, {1: 5, 2: 5}), root, lambda row, seed, name: 40.0 + seed % 2 * row)
    mirrored = []
    monkeypatch.setattr("harness.track.mirror.mirror_runs", lambda found, commit: mirrored.append(found))
    assert main(["sync", str(loaded.path), "--output", str(root)]) == 0
    (found,) = mirrored
    assert max(run.seed for run in found.study.runs) == 4
