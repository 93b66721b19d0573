"""Reports: files and pages from a run store alone, what they must say, and the report card."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from harness import run, sources, study
from harness.claims import verdicts as claims
from harness.claims.reading import read_grown_records
from harness.report import card, command, terminal, writing
from harness.report.figures import Drawn, forest
from harness.report.notes import describe_gaps, list_notes
from harness.store import records

from support import stores
from support.stores import BASE, BEATS, NOISE


@pytest.fixture
def stored(tmp_path):
    """A study with a claim and a filled store: (study, root)."""
    loaded = stores.load(tmp_path, stores.claim(BEATS))
    stores.fill(loaded, tmp_path / "mlruns", lambda row, seed, name: BASE[seed] + 2 * (row == 2) + row * NOISE[seed])
    return loaded, tmp_path / "mlruns"


def write(loaded, root):
    """The folder of a study's report, written."""
    return writing.write_report(records.read(loaded, root)).folder


def test_write_gives_every_file_and_the_same_bytes_again(stored):
    loaded, root = stored
    place = write(loaded, root)
    first = {path.name: path.read_bytes() for path in place.iterdir()}
    tables = {"table.csv", "table.md", "table.tex", "claims.json", "claims.md", "report.html"}
    assert set(first) == tables | {"forest.png", "forest.pdf", "forest.json"}
    write(loaded, root)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == first


def test_no_time_path_or_id_in_a_table(stored):
    loaded, root = stored
    place = write(loaded, root)
    for name in ("table.csv", "table.md", "table.tex", "claims.json", "claims.md"):
        text = (place / name).read_text()
        assert str(root) not in text
        assert loaded.runs[0].training_key not in text
        assert not re.search(r"20\d\d-\d\d-\d\d|\d\d:\d\d:\d\d", text), name


class Page(HTMLParser):
    """Addresses that a page loads by itself, and its text."""

    def __init__(self):
        super().__init__()
        self.loaded, self.links, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.loaded += [values["src"]] if "src" in values else []
        self.loaded += [values["href"]] if tag == "link" else []
        self.links += [values["href"]] if tag == "a" else []

    def handle_data(self, data):
        self.words.append(data)


def page(path):
    """A parsed page and its text."""
    parsed = Page()
    parsed.feed(path.read_text())
    return parsed, re.sub(r"\s+", " ", "".join(parsed.words))


def test_the_page_is_self_contained_and_says_what_it_must(stored):
    loaded, root = stored
    place = write(loaded, root)
    parsed, text = page(place / "report.html")
    assert all(address.startswith("data:") for address in parsed.loaded)
    assert "A test bed, not evidence about THUMOS14" in text
    assert "appears on the test bed" in text
    assert "on synthetic, preset paper, 5 seeds" in text
    assert "selects snippets (warm-up)" in text
    digests = (loaded.rows[0].fingerprint, sources.digest("proposed"))
    for part in ("training.steps", "case.lambda_c", *digests, "10 of 10 finished"):
        assert part in text


OWN = """
title: My own sweep
base: paper
seeds: {seeds}
sweep: {{case.rho: [5, 10]}}
columns: {{mAP: map/avg}}
"""


def test_a_page_speaks_of_the_paper_only_where_it_printed_something(tmp_path, stored):
    mine = stores.load(tmp_path, text=OWN, seeds="2")
    stores.fill(mine, tmp_path / "mine")
    texts = [page(write(*of) / "report.html")[1] for of in ((mine, tmp_path / "mine"), stored)]
    for words in ("measured − paper", "Measured minus published", "the published column"):
        assert [words in text for text in texts] == [False, True], words
    assert "()" not in texts[1]


def test_a_page_escapes_what_a_study_says(tmp_path):
    loaded = stores.load(tmp_path, text=stores.HEAD.replace("A study with", "<script>alert(1)</script>"), seeds="1")
    place = write(loaded, tmp_path / "mlruns")
    assert "<script" not in (place / "report.html").read_text()


def test_failed_runs_are_marked_and_the_claim_is_open(tmp_path):
    loaded, root = stores.load(tmp_path, stores.claim(BEATS)), tmp_path / "mlruns"
    stores.fill(loaded, root, failed={(2, 1)})
    text = (write(loaded, root) / "table.md").read_text()
    assert "| 4/5 |" in text
    assert "1 of 15 runs have no result (n/N tells where)" in text
    assert "undecided on the test bed" in (root / "reports/made/claims.md").read_text()


def test_the_note_says_why_runs_have_no_result(tmp_path):
    """The most frequent reasons, each with its number, in one line each."""
    root = tmp_path / "mlruns"
    stores.fill(stores.load(tmp_path, seeds="2"), root, failed={(1, 0), (1, 1)})
    loaded = stores.load(tmp_path, seeds="3")
    (gaps,) = describe_gaps(records.read(loaded, root))
    assert gaps == "5 of 9 runs have no result (n/N tells where): 3 not run; 2 failed: made to."


def test_figures_are_inlined_with_their_captions(stored, monkeypatch):
    loaded, root = stored
    picture = writing.locate_report(loaded, root) / "drawn.svg"
    picture.parent.mkdir(parents=True)
    picture.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    found = Drawn("drawn", picture, "Drawn", "of P^A", "a line that rises")
    monkeypatch.setattr(writing, "draw_figures", lambda *_, **__: ([found], []))
    parsed, text = page(write(loaded, root) / "report.html")
    assert [address[:26] for address in parsed.loaded] == ["data:image/svg+xml;base64,"]
    assert "Drawn. of PA" in text


def test_reports_of_other_data_presets_and_settings_lie_apart(tmp_path):
    root = tmp_path / "mlruns"
    kinds = [{}, {"quick": True}, {"base": "released"}, {"sets": ["case.clusters=4"]}]
    places = [writing.locate_report(stores.load(tmp_path, **kind), root) for kind in kinds]
    names = [place.relative_to(root / "reports").as_posix() for place in places]
    assert names == ["made", "made/synthetic-tiny", "made/synthetic-released", "made/case.clusters=4"]


def test_show_prints_table_and_verdicts(stored):
    loaded, root = stored
    console = Console(width=80, record=True, file=io.StringIO())
    terminal.show_report(writing.write_report(records.read(loaded, root)), console)
    text = re.sub(r"\s+", " ", console.export_text())
    assert re.search(r"appears .* on mAP \(row 2 over 1\) \+2", text)
    assert "not evidence about THUMOS14" in text


def test_a_sequential_study_is_shown_with_the_seeds_it_has(tmp_path):
    root, options = tmp_path / "mlruns", {"claims": stores.claim(BEATS), "seeds": "{at_least: 3, at_most: 10}"}
    loaded = stores.load(tmp_path, **options)
    stores.fill(loaded, root, lambda row, seed, name: 40.0 + np.random.default_rng([row, seed]).normal())
    short = read_grown_records(loaded, root).study
    assert max(run.seed for run in short.runs) == 2, "not grown: the next look has not been taken"
    stores.fill(study.with_seeds(loaded, {1: 5, 2: 5}), root, lambda row, seed, name: 40.0 + seed % 2 * row)
    found = read_grown_records(loaded, root)
    grown = found.study
    assert {row: max(r.seed for r in grown.runs if r.row == row) for row in (1, 2, 3)} == {1: 4, 2: 4, 3: 2}
    assert any("Sequential" in note for note in list_notes(found))


def test_the_report_card_lists_every_study(stored):
    root = stored[1]
    path, _ = card.write_card({"root": root})
    parsed, text = page(path)
    assert path == root / "reports/index.html"
    for name in card.STUDIES.glob("table*.yaml"):
        title = re.sub(r"[\^_]", "", study.load(name, root=root).title)
        assert title in text.replace("\u0302", ""), name
    assert "not run" in text
    assert "data absent" in text
    assert all((path.parent / link.partition("#")[0]).exists() for link in parsed.links)


def test_the_command_needs_neither_torch_nor_mlflow(stored):
    loaded, root = stored
    code = "import sys; from harness.report.command import main; code = main(sys.argv[1:])\n"
    code += "assert not {'torch', 'mlflow'} & set(sys.modules); sys.exit(code)"
    command = [sys.executable, "-c", code, str(loaded.path), "--output", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout


def test_bad_input_is_refused(tmp_path, capsys):
    assert command.main(["nosuchstudy", "--output", str(tmp_path)]) == 2
    assert "nosuchstudy" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    for name, told in (("nowhere", "holds no results; harness.run writes them"), ("file", "a file, not a folder")):
        assert command.main(["table2", "--all", "--output", str(tmp_path / name)]) == 2
        assert told in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is written"
    with pytest.raises(SystemExit) as refused:
        command.main(["table2", "--seeds", "0", "--output", str(tmp_path)])
    assert refused.value.code == 2
    assert "'0' is not a whole number above 0" in capsys.readouterr().err


def test_ctrl_c_ends_a_report_like_any_command(tmp_path, monkeypatch, capsys):
    def interrupt(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "render_studies", interrupt)
    assert command.main(["table2", "--output", str(tmp_path)]) == 130


def test_a_figure_that_fails_is_told_in_the_terminal_and_on_the_page(tmp_path):
    (tmp_path / "broken_figure.py").write_text("def draw(records):\n    raise KeyError('planted')\n")
    loaded = replace(stores.load(tmp_path, seeds="1"), figures=("broken_figure:draw", "effects"))
    stores.fill(loaded, tmp_path / "mlruns")
    report = writing.write_report(records.read(loaded, tmp_path / "mlruns"))
    console = Console(width=100, record=True, file=io.StringIO())
    terminal.show_report(report, console)
    told = "Figure 'broken_figure-draw' could not be drawn (KeyError: 'planted')."
    assert told in re.sub(r"\s+", " ", console.export_text())
    parsed, text = page(report.folder / "report.html")
    assert told in text
    assert len(parsed.loaded) == 1, "the other figure is drawn"


@pytest.mark.parametrize("width", [80, 100])
def test_claims_are_one_aligned_line_each(stored, width):
    loaded, root = stored
    report = writing.write_report(records.read(loaded, root))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(terminal.make_claims([*report.verdicts] * 3, width))
    lines = [line for line in console.export_text().splitlines() if "over" in line]
    assert len(lines) == 3
    assert all(re.search(r" mAP \(row 2 over 1\) +\+2\.\d+ \[.+\] +\+2 +5", line) for line in lines)


def test_forest_shows_the_verdicts_of_the_report(stored, monkeypatch):
    """They are judged once, and drawn anew where they change though no result of the study has."""
    loaded, root = stored
    found, calls, judge = records.read(loaded, root), [], claims.judge
    monkeypatch.setattr(claims, "judge", lambda read: calls.append(read) or judge(read))
    monkeypatch.setattr(forest, "judge", lambda read: pytest.fail("judged again"))
    writing.write_report(found)
    assert len(calls) == 1
    picture = writing.locate_report(loaded, root) / "forest.png"
    before = picture.read_bytes()
    changed = [replace(verdict, status="undecided", words="undecided") for verdict in judge(found)]
    monkeypatch.setattr(claims, "judge", lambda read: changed)
    writing.write_report(found)
    assert picture.read_bytes() != before


def test_runs_that_were_not_started_are_counted_and_not_named(tmp_path, capsys):
    """After --fail-fast: what failed is named with its log, the rest is one line."""
    root = tmp_path / "mlruns"
    stores.fill(stores.load(tmp_path, seeds="1"), root, failed={(1, 0)})
    assert not run.tell_lacking(records.read(stores.load(tmp_path, seeds="5"), root))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("no result: made ")
    assert "made to; log: " in first
    assert re.fullmatch(r"not started: \d+ trainings of made; the same command does them", second)
