"""Figures and page of a search with made-up trials: nothing is cut, overlapping or unreadable."""

import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from harness.report.figures import style
from harness.search import figures, report
from harness.search.task import read_task
from harness.study.loading import load

from support.searches import make_findings


@pytest.fixture(params=["search_case", "search_protocol"])
def found(request, tmp_path):
    return make_findings(read_task(load(request.param, root=tmp_path)))


@pytest.fixture
def draw(found):
    """Draw a figure by name as it will be saved; gives its axes."""

    def one(name):
        with style.apply_style():
            figure, caption = figures.FIGURES[name][1](found)
            figure.canvas.draw()
        assert caption.endswith(".")
        return [axes for axes in figure.axes if axes.get_visible()]

    yield one
    plt.close("all")


def list_texts(axes):
    """All that is written at the axes."""
    ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    inside = [label for label in ticks if axes.bbox.expanded(1.02, 1.02).overlaps(label.get_window_extent())]
    low, high = axes.get_xlim()
    shown = [label for label in ticks if label in inside or low <= label.get_position()[0] <= high]
    return [text for text in (*shown, *axes.texts, axes.xaxis.label) if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("name", ["history", "importances", "slice", "parallel"])
def test_no_two_texts_lie_on_each_other(draw, name):
    for axes in draw(name):
        boxes = {text: text.get_window_extent().padded(-0.5) for text in list_texts(axes)}
        assert len(boxes) > 1
        hidden = [(a.get_text(), b.get_text()) for a, b in combinations(boxes, 2) if boxes[a].overlaps(boxes[b])]
        assert not hidden, name


def test_each_panel_says_its_scale_and_shows_the_whole_star(draw, found):
    panels = draw("slice")
    assert len(panels) == len(found.task.space)
    for axes in panels:
        low, high = axes.get_xlim()
        ticks = [x for x, label in zip(axes.get_xticks(), axes.get_xticklabels()) if label.get_text()]
        assert sum(low <= x <= high for x in ticks) > 1, axes.get_xlabel()
        star = next(dots for dots in axes.collections if dots.get_zorder() == figures.STAR["zorder"])
        half = np.sqrt(star.get_sizes()[0]) / 2 * axes.figure.dpi / 72
        _, y = star.get_offset_transform().transform(star.get_offsets())[0]
        assert axes.bbox.y0 <= y - half
        assert y + half <= axes.bbox.y1
        assert "_" not in re.sub(r"\$.*?\$", "", axes.get_xlabel())


def test_the_page_leads_back_and_uses_no_style_that_is_not_there(found, tmp_path):
    place, notes = report.write_report(found, tmp_path, tmp_path / "journal.log")
    html = (place / "report.html").read_text()
    head, body = html.split("</style>")
    classes = {name for names in re.findall(r'class="([^"]+)"', body) for name in names.split()}
    assert {name for name in classes if f".{name}" not in head} == set()
    assert 'href="../index.html"' in body
    assert body.count("<figure>") == len(list(place.glob("*.png"))) == 4
    assert "<b>mAP</b>" not in body
    assert "A test bed, not evidence about THUMOS14" in body
    assert not any(re.search(r"seeds (\d+)-\1\b", note) for note in notes)
