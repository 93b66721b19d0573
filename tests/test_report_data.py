"""What a page says of data, settings and printed standard deviations: numbers against a slow count, and the paper."""

import re

import pytest

from harness import data, study
from harness.errors import ConfigError
from harness.report import datasets, layout, page, tables, writing
from harness.store import records

from support import stores


def count_foreground(split):
    """Share of snippets in an action, snippet by snippet: those from the rounded start to the rounded end."""
    inside = 0
    for segments, length, seconds in zip(split.segments, split.lengths, split.snippet_seconds):
        for snippet in range(length):
            inside += any(round(start / seconds) <= snippet <= round(end / seconds) for start, end, _ in segments)
    return inside / split.lengths.sum()


def test_page_says_what_the_data_hold(tmp_path):
    loaded = study.load("table2", quick=True, root=tmp_path)
    found = data.load(loaded.rows[0].settings.source, tmp_path)
    train, test = datasets.list_holdings(records.read(loaded, tmp_path))
    assert (train.split, train.videos, train.snippets) == ("training", len(found.train.ids), found.train.lengths.sum())
    assert (test.videos, test.classes, test.instances) == (60, 8, sum(len(s) for s in found.test.segments))
    assert test.foreground == pytest.approx(count_foreground(found.test))
    assert test.streams == "rgb 32, flow 32"


def test_data_that_are_not_there_are_not_described(tmp_path):
    assert list(datasets.list_holdings(records.read(study.load("table2", root=tmp_path), tmp_path))) == []


def test_printed_standard_deviations_stand_in_their_cells(tmp_path):
    """Table 12 as the paper prints it."""
    loaded = study.load("table12", root=tmp_path)
    shown = layout.lay_out(loaded, tables.make_cells(records.read(loaded, tmp_path)))
    published = [position for position, head in enumerate(shown.heads) if head.kind == "paper"]
    cells = [[line.cells[position] for position in published] for line in shown.lines]
    assert cells == [["47.8 ± 0.22", "28.8 ± 0.19", "38.3 ± 0.20"], ["57.1 ± 0.24", "36.8 ± 0.17", "46.2 ± 0.18"]]


def test_standard_deviation_of_no_column_is_refused(tmp_path):
    text = "rows: [{{label: a, paper: {{mAP: 1}}, paper_std: {{mAp: 0.1}}}}]\ncolumns: {{mAP: map/avg}}\n"
    with pytest.raises(ConfigError, match="unknown column 'mAp'; did you mean 'mAP'"):
        stores.load(tmp_path, text=text)


def test_rows_of_many_settings_are_lists_not_a_table_of_a_hundred_columns(tmp_path):
    """Table 1: each method has settings of its own; a row lists those that are not the preset's."""
    loaded = study.load("table1", root=tmp_path, seeds=1)
    stores.fill(loaded, tmp_path)
    report = writing.write_report(records.read(loaded, tmp_path))
    html = (report.folder / "report.html").read_text()
    widest = max(row.count("<th") for row in html.split("<tr>"))
    assert widest <= 17
    parsed = re.sub(r"<[^>]+>", "", html.partition("What the rows vary")[2])
    (mine,) = re.findall(r"^8 BaS-Net \+ CASE(.*)$", parsed, re.MULTILINE)
    assert "case.baseline basnet" in mine
    assert "case.sigma" not in mine, "as in the preset"
    assert "<summary>All 330 differences</summary>" in html


def test_an_empty_cell_keeps_no_room_on_a_narrow_screen_and_settings_are_symbols():
    empty = f"{layout.DASH}{layout.FIGURE_SPACE * 6}"
    assert str(page.mark_spread(empty)) == f'{layout.DASH}<span class="pad">{layout.FIGURE_SPACE * 6}</span>'
    assert str(page.mark_spread("40.0 ± 1.4")) == '40.0<span class="spread"> ± 1.4</span>'
    assert str(page.mark_spread("40.0")) == "40.0"
    symbols = page.make_environment().filters["symbols"]
    assert str(symbols("case.sigma = 0.1 over case.sigma = inf")) == "σ = 0.1 over σ = inf"
