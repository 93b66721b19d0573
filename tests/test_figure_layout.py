"""What is drawn lies where it can be read: marks beside each other, panels that fit a page."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from harness.report.figures import timelines, tsne


def test_marks_that_hide_each_other_move_apart_and_others_stay():
    places = np.array([[0.0, 0.0], [0.0, 0.0], [0.3, 0.1], [0.1, 0.2], [50.0, 50.0], [-40.0, 7.0]])
    moved = tsne.move_apart(places, 2.0)
    away = np.linalg.norm(moved[:, None] - moved, axis=-1)[np.triu_indices(6, 1)]
    assert away.min() > 1.8
    np.testing.assert_array_equal(moved[4:], places[4:])
    assert np.linalg.norm(moved - places, axis=1).max() < 4
    assert tsne.move_apart(np.zeros((0, 2)), 2.0).shape == (0, 2)


@pytest.mark.parametrize(
    ("rows", "streams", "expected"), [(2, 1, (1, 2)), (3, 1, (2, 2)), (2, 2, (2, 2)), (1, 3, (1, 3))]
)
def test_panels_of_one_stream_stand_side_by_side(monkeypatch, rows, streams, expected):
    """As many as there are, none empty, and no higher than a page is."""
    runs = [SimpleNamespace(scores={"embedding": np.zeros((2, streams, 3, 4))}) for _ in range(rows)]
    records = SimpleNamespace(
        study=SimpleNamespace(rows=[SimpleNamespace(number=n, label=f"row {n}") for n in range(rows)]),
        of=lambda number: [runs[number]],
        dataset=lambda record: SimpleNamespace(streams=[f"stream {m}" for m in range(streams)]),
    )
    monkeypatch.setattr(tsne, "mark_foreground", lambda dataset, record: None)
    monkeypatch.setattr(tsne, "describe_sides", lambda record: "none")
    monkeypatch.setattr(tsne, "scatter_stream", lambda axes, *_: axes.plot([0], [0], label="snippet") and 6)
    figure = tsne.draw_tsne(records).figure
    assert len(figure.axes) == rows * streams
    assert all(axes.get_title() for axes in figure.axes)
    grid = figure.axes[0].get_gridspec()
    assert (grid.nrows, grid.ncols) == expected
    assert figure.get_size_inches()[1] <= 7.3
    plt.close(figure)


def test_the_legend_of_time_lines_ends_with_what_is_boxed():
    figure, panels = timelines.make_panels(1)
    for label in ("annotated", "worse", "$P^A$", "better", r"$\hat P^A$"):
        panels[0].plot([0], [0], label=label)
    timelines.finish(figure, panels)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["annotated", "$P^A$", r"$\hat P^A$", "better", "worse"]
    plt.close(figure)
