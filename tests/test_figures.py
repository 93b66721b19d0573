"""Figures: what is drawn is what was measured. One small study is trained once; then axes are read back."""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

from harness import study
from harness.claims import statistics as stats
from harness.compute import train
from harness.data.sampling import uniform
from harness.errors import ConfigError
from harness.report import figures
from harness.report.figures import clusters, detections, spans, style, summary, timelines, training, tsne
from harness.store import files, plan
from harness.store import records as store
from harness.store.records import Records
from harness.study.figures import FIGURES

STUDY = """
title: A small sweep
base: paper
seeds: 2
set: {training.steps: 20, training.evaluate_every: 10, training.keep_embeddings: true}
sweep: {case.clusters: [2, 4, 8], paper: {mAP: [30, null, 45]}}
columns: {mAP: map/avg, "0.5": map/0.50}
claims:
  - {quote: "eight are best", section: "4", row: 3, beats: 1, on: mAP, by: 2.0}
  - {quote: "more are better", section: "4", rows: [2, 3], beat: [1, 2], on: mAP}
"""
OWN = """
import matplotlib.pyplot as plt

def draw(records):
    '''Runs of each row.'''
    figure, axes = plt.subplots()
    axes.plot([row.number for row in records.study.rows])
    return figure

def break_down(records):
    raise KeyError("planted")
"""


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Records:
    folder = tmp_path_factory.mktemp("figures")
    path = folder / "small.yaml"
    path.write_text(STUDY)
    (folder / "own_figures.py").write_text(OWN)
    root = folder / "mlruns"
    loaded = study.load(path, quick=True, seeds=2, root=root)
    for job in plan.make_plan([loaded], root).todo:
        train.fit(job, lambda progress: None)
    return store.read(loaded, root)


@pytest.fixture
def drawn(records):
    """Draw a figure by name and hand over its axes."""

    def draw(name, **options):
        with style.apply_style():
            made = partial(figures.find_function(name)[0], **options)(records)
        return made.figure.axes

    yield draw
    plt.close("all")


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_every_figure_is_drawn_as_png_and_pdf(records, tmp_path, monkeypatch):
    monkeypatch.setattr(tsne, "POINTS", 200)  # a small t-SNE
    made, troubles = figures.draw_figures(records, tmp_path, list(FIGURES))
    assert not troubles
    assert [entry.name for entry in made] == list(FIGURES)
    for entry in made:
        ink = (imread(entry.path)[..., :3].min(-1) < 0.9).mean()
        assert 0.005 < ink < 0.9, entry.name  # neither empty nor full
        assert entry.path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert files.read_json(entry.path.with_suffix(".json"))["caption"] == entry.caption
        assert entry.caption.endswith("preset paper.")
        assert len(entry.alt) > 20, entry.name


def test_snippets_that_are_not_laid_out_lie_among_their_like(monkeypatch):
    """Planted groups: 30 landmarks a group, the other snippets and the centres are found in their own group."""
    monkeypatch.setattr(tsne, "LANDMARKS", 90)
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 300)
    means = np.eye(3, 8)
    points = tsne.normalise(means[group] + 0.1 * rng.normal(size=(300, 8)))
    places, centres = tsne.lay_out(points, means)
    middles = np.stack([places[:90][group[:90] == k].mean(0) for k in range(3)])
    nearest = np.linalg.norm(places[:, None] - middles, axis=-1).argmin(1)
    np.testing.assert_array_equal(nearest, group)
    np.testing.assert_array_equal(np.linalg.norm(centres[:, None] - middles, axis=-1).argmin(1), np.arange(3))


def test_figures_are_redrawn_only_when_what_they_show_changes(records, tmp_path):
    ((entry,), _) = figures.draw_figures(records, tmp_path, ["sweep"])
    content = entry.path.read_bytes()
    entry.path.write_bytes(b"mine")
    assert figures.draw_figures(records, tmp_path, ["sweep"]) == ([entry], [])
    assert entry.path.read_bytes() == b"mine"
    figures.draw_figures(records, tmp_path, ["sweep"], videos=["test_0001"])
    assert entry.path.read_bytes() == content  # equal figures have equal bytes, too


def test_a_figure_that_fails_costs_itself_alone(records, tmp_path):
    (tmp_path / "own_figures-break_down.png").write_bytes(b"of before")
    wanted = ["sweep", "own_figures:break_down", "own_figures:draw", "effects"]
    made, troubles = figures.draw_figures(records, tmp_path, wanted)
    assert [entry.name for entry in made] == ["sweep", "own_figures-draw", "effects"]
    assert troubles == ["Figure 'own_figures-break_down' could not be drawn (KeyError: 'planted')."]
    assert not (tmp_path / "own_figures-break_down.png").exists(), "an old picture is not shown as if it were new"
    assert made[1].title == "Runs of each row"


def test_a_function_of_a_notebook_is_a_figure(records, tmp_path):
    def two_dots(records):
        figure, axes = plt.subplots()
        axes.plot([0, 1], [0, records.values[3, "mAP"][0]], "o")
        return figure

    ((entry,), troubles) = figures.draw_figures(records, tmp_path, [two_dots])
    assert (entry.name, entry.title, troubles) == ("two_dots", "two_dots", [])
    assert entry.path.exists()


def test_sweep_shows_means_deviations_and_printed_numbers(records, drawn):
    first = drawn("sweep")[0]
    table = records.frame().query("column == 'mAP'").groupby("row").value
    bars = first.containers[0]
    np.testing.assert_allclose(bars.lines[0].get_ydata(orig=False), table.mean().to_numpy())
    extents = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(np.diff(extents)[:, 0] / 2, table.std(ddof=1).to_numpy())
    np.testing.assert_array_equal(lines(first)["paper"].astype(float), [30, np.nan, 45])
    assert [label.get_text() for label in first.get_xticklabels()] == ["2", "4", "8"]
    assert first.get_xlabel() == "$K^{C}$"


def test_effects_are_the_paired_differences(records, drawn):
    (axes,) = drawn("effects")
    values = records.frame().query("column == 'mAP'").pivot_table("value", "seed", "row")
    points = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"]
    expected = [stats.difference((values[row] - values[1]).to_numpy()) for row in (2, 3)]
    np.testing.assert_allclose(points, [d.delta for d in expected])
    extents = [line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) == 2][: len(expected)]
    np.testing.assert_allclose(extents, [(d.low, d.high) for d in expected])


def test_forest_shows_a_dot_per_seed_the_mean_and_the_claimed_size(records, drawn):
    (axes,) = drawn("forest")
    values = records.frame().query("column == 'mAP'").pivot_table("value", "seed", "row")
    seeds = (values[3] - values[1]).to_numpy()
    np.testing.assert_allclose(np.asarray(axes.collections[0].get_offsets())[:, 0], seeds)
    first = list(axes.get_lines())[::-1]  # the first claim's marks stay
    marks = {line.get_marker(): line.get_xdata() for line in first if len(line.get_xdata()) == 1}
    np.testing.assert_allclose(marks["o"], seeds.mean())
    np.testing.assert_allclose(marks["D"], 2.0)


def test_a_study_that_names_no_figure_shows_its_claims_and_its_sweep(records):
    assert figures.choose_figures(records, ()) == ["forest", "sweep"]
    assert figures.choose_figures(records, ["test_0001"]) == ["forest", "sweep", "timelines"]


def test_reliability_is_the_mean_over_seeds_at_each_tiou(records, drawn):
    (axes,) = drawn("reliability")
    for number, bars in enumerate(axes.containers, 1):
        mine = records.of(number)
        tiou = mine[0].run.settings.metrics.tiou
        expected = [np.mean([record.result["metrics"][f"map/{t:.2f}"] for record in mine]) for t in tiou]
        np.testing.assert_allclose(bars.lines[0].get_ydata(), expected)


def test_class_bars_average_to_the_stored_map(records, drawn):
    (axes,) = drawn("per_class")
    table = records.frame().query("column == 'mAP'").groupby("row").value.mean()
    heights = [np.mean([bar.get_height() for bar in bars]) for bars in axes.containers if hasattr(bars, "patches")]
    np.testing.assert_allclose(heights, table, atol=1e-9)


def test_entropy_is_the_smoothed_mean_of_the_stored_curves(records, drawn):
    (axes,) = drawn("entropy")
    curves = [record.curves["entropy/Q_C"] for record in records.of(3)]
    shown = next(y for label, y in lines(axes).items() if "Q^C" in label and "8" in label)
    np.testing.assert_allclose(shown, np.mean(curves, 0), rtol=1e-5)  # 2 % of 20 steps: no smoothing


def test_a_row_without_clusters_is_no_entry_of_the_legend(drawn, monkeypatch):
    table = training.table_curves
    monkeypatch.setattr(training, "table_curves", lambda runs, name: table(runs if runs[0].run.row > 1 else [], name))
    (axes,) = drawn("entropy")
    shown = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    assert len(shown) == 3, "two rows, and the clusters of the last"
    assert all(len(line.get_xdata()) for line in shown)


@pytest.mark.parametrize("n", [10, 500])
def test_smoothing_keeps_a_constant_and_averages_a_step(n):
    assert training.smooth(np.full(n, 0.3)) == pytest.approx(0.3)
    width = max(1, round(training.SMOOTH * n))
    shown = training.smooth(np.repeat([0.0, 1.0], n // 2))
    assert ((shown > 0) & (shown < 1)).sum() == width - 1


def test_timelines_show_attention_and_ground_truth(records, drawn):
    record = records.of(3)[0]
    dataset, scores = records.dataset(record), record.scores
    (axes,) = drawn("timelines", videos=[dataset.test.ids[2]])
    P_A, hat = scores["attention"][2].mean(0), scores["clusters"][2].mean(0)
    index = uniform(dataset.test.lengths[2:3], len(P_A))[0]
    kept = np.unique(index)
    shown = {line.get_label(): line for line in axes.get_lines()}
    for name, values in (("$P^A$", P_A), (r"$\hat P^A$", hat), (r"$\ddot P^A$ (in testing)", (P_A + hat) / 2)):
        expected = [values[index == snippet].mean() for snippet in kept]
        np.testing.assert_allclose(shown[name].get_ydata(), expected)
    seconds = (kept + 0.5) * dataset.test.snippet_seconds[2]
    np.testing.assert_allclose(shown["$P^A$"].get_xdata(), seconds)
    grey = [p for p in axes.patches if to_hex(p.get_facecolor()) == style.TRUTH and p.get_alpha() == 0.2]
    extents = sorted((p.get_x(), p.get_x() + p.get_width()) for p in grey)
    np.testing.assert_allclose(extents, sorted(map(tuple, dataset.test.segments[2][:, :2])))


def test_runs_of_snippets_become_one_span_each():
    mask = np.array([1, 1, 0, 0, 1, 0, 1, 1], bool)
    found = spans.merge_spans(mask, np.arange(9) * 2.0)
    assert found == [(0.0, 4.0), (8.0, 10.0), (12.0, 16.0)]
    assert spans.keep_longest(found, 2, 1.0) == [(0.0, 4.0), (12.0, 16.0)]
    assert spans.keep_longest(found, 5, 3.0) == [(0.0, 4.0), (12.0, 16.0)]
    assert spans.merge_spans(np.zeros(3, bool), np.arange(4.0)) == []


def test_a_short_video_has_one_value_for_each_of_its_snippets():
    index = np.array([0, 0, 1, 1, 1, 2])
    np.testing.assert_allclose(spans.merge_repeats(index, np.array([1.0, 3, 1, 2, 6, 7])), [2, 3, 7])


def test_a_track_covers_the_whole_video(records):
    record = records.of(3)[0]
    dataset = records.dataset(record)
    for video, length in enumerate(dataset.test.lengths):
        track = spans.track_video(record, dataset, video)
        assert len(track.edges) == len(track.centres) + 1 == len(track.attention) + 1
        assert track.edges[0] == 0
        assert track.edges[-1] == pytest.approx(length * dataset.test.snippet_seconds[video])
        assert (track.edges[:-1] < track.centres).all()
        assert (track.centres < track.edges[1:]).all()


def test_worst_videos_are_those_of_lowest_precision(records, drawn):
    record = records.of(3)[0]
    dataset = records.dataset(record)
    quality = detections.score_videos(records, record)
    titles = [axes.get_title(loc="left").split(":")[0] for axes in drawn("worst")]
    shown = [dataset.test.ids.index(name) for name in titles]
    others = set(timelines.list_readable(dataset, np.arange(len(quality)))) - set(shown)
    assert quality[shown].max() <= quality[list(others)].min()
    assert list(quality[shown]) == sorted(quality[shown])


def test_cluster_bars_are_shares_of_foreground(records, drawn):
    (axes,) = drawn("clusters")
    record = records.of(3)[0]
    scores, dataset = record.scores, records.dataset(record)
    owner, P_C = scores["owner"], scores["P_C"].mean(1)
    top = np.sort(P_C, axis=-1)
    clear = top[..., -1] - top[..., -2] > 1e-2  # P_C is kept with fewer digits than owners are found with
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(owner[clear], P_C.argmax(-1)[clear])
    truth = clusters.make_grid(dataset, owner.shape[1]).foreground
    held = [[] for _ in range(P_C.shape[-1])]
    for video, row in enumerate(owner):
        for t, k in enumerate(row):
            held[int(k)].append(truth[video, t])
    expected = sorted((np.mean(h) if h else 0.0 for h in held), reverse=True)
    np.testing.assert_allclose([bar.get_width() for bar in axes.containers[0]], expected)
    judged = (scores["Q_R"].mean(0)[:, 0] >= 0.5).sum()
    assert [to_hex(bar.get_facecolor()) for bar in axes.containers[0]].count(style.FOREGROUND.lower()) == judged


def test_a_sweep_is_found_by_its_one_setting(records):
    assert summary.find_sweep(records.study) == ("case.clusters", [2, 4, 8])


def test_videos_that_are_not_there_are_refused(records, tmp_path):
    with pytest.raises(ConfigError, match="no test video 'test_9999'"):
        figures.draw_figures(records, tmp_path, ["timelines"], videos=["test_9999"])
