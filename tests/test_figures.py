"""Figures: what is drawn is what was measured. One small study is trained once; then axes are read back."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.image import imread

from harness import data, study
from harness.claims import statistics as stats
from harness.compute import train
from harness.data.sampling import uniform
from harness.errors import ConfigError
from harness.report import figures
from harness.report.figures import FIGURES, Context, clusters, detections, function, style, summary, training
from harness.store import files, plan, results

STUDY = """
title: A small sweep
base: paper
seeds: 2
set: {training.steps: 20, training.evaluate_every: 10, training.keep_embeddings: true}
sweep: {case.clusters: [2, 4, 8], paper: {mAP: [30, null, 45]}}
columns: {mAP: map/avg, "0.5": map/0.50}
"""


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    folder = tmp_path_factory.mktemp("figures")
    path = folder / "small.yaml"
    path.write_text(STUDY)
    root = folder / "mlruns"
    loaded = study.load(path, quick=True, seeds=2, root=root)
    for job in plan.make_plan([loaded], root).todo:
        train.fit(job, lambda progress: None)
    return Context(loaded, root)


@pytest.fixture
def drawn(context):
    """Draw a figure by name and hand over its axes."""

    def draw(name, videos=()):
        with style.applied():
            made = function(FIGURES[name][0], name)(Context(context.study, context.root, tuple(videos)))
        return made[0].axes

    yield draw
    plt.close("all")


def lines(axes) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_every_figure_is_drawn_as_png_and_pdf(context, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "POINTS", 200)  # a small t-SNE
    paths = figures.draw(context.study, context.root, tmp_path, list(FIGURES))
    assert {path.stem for path in paths} == set(FIGURES)
    for path in paths:
        ink = (imread(path)[..., :3].min(-1) < 0.9).mean()
        assert 0.005 < ink < 0.9, path.stem  # neither empty nor full
        assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")
        assert files.read_json(path.with_suffix(".json"))["caption"].endswith("preset paper.")


def test_figures_are_redrawn_only_when_what_they_show_changes(context, tmp_path):
    (path,) = figures.draw(context.study, context.root, tmp_path, ["sweep"])
    content = path.read_bytes()
    path.write_bytes(b"mine")
    figures.draw(context.study, context.root, tmp_path, ["sweep"])
    assert path.read_bytes() == b"mine"
    figures.draw(context.study, context.root, tmp_path, ["sweep"], videos=["test_0001"])
    assert path.read_bytes() == content  # equal figures have equal bytes, too


def test_sweep_shows_means_deviations_and_printed_numbers(context, drawn):
    first = drawn("sweep")[0]
    table = results.frame(context.study, context.root).query("column == 'mAP'").groupby("row").value
    bars = first.containers[0]
    np.testing.assert_allclose(bars.lines[0].get_ydata(orig=False), table.mean().to_numpy())
    spans = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    np.testing.assert_allclose(np.diff(spans)[:, 0] / 2, table.std(ddof=1).to_numpy())
    np.testing.assert_array_equal(lines(first)["paper"].astype(float), [30, np.nan, 45])
    assert [label.get_text() for label in first.get_xticklabels()] == ["2", "4", "8"]


def test_effects_are_the_paired_differences(context, drawn):
    (axes,) = drawn("effects")
    values = results.frame(context.study, context.root).query("column == 'mAP'").pivot_table("value", "seed", "row")
    points = [line.get_xdata()[0] for line in axes.get_lines() if line.get_marker() == "o"]
    expected = [stats.difference((values[row] - values[1]).to_numpy()) for row in (2, 3)]
    np.testing.assert_allclose(points, [d.delta for d in expected])
    spans = [line.get_xdata() for line in axes.get_lines() if len(line.get_xdata()) == 2][: len(expected)]
    np.testing.assert_allclose(spans, [(d.low, d.high) for d in expected])


def test_reliability_is_the_mean_over_seeds_at_each_tiou(context, drawn):
    (axes,) = drawn("reliability")
    for number, bars in enumerate(axes.containers, 1):
        runs = context.runs(number)
        found = [results.read_result(context.root, r.training_key, r.scoring_key)["metrics"] for r in runs]
        expected = [np.mean([m[f"map/{t:.2f}"] for m in found]) for t in runs[0].settings.metrics.tiou]
        np.testing.assert_allclose(bars.lines[0].get_ydata(), expected)


def test_class_bars_average_to_the_stored_map(context, drawn):
    (axes,) = drawn("per_class")
    table = results.frame(context.study, context.root).query("column == 'mAP'").groupby("row").value.mean()
    heights = [np.mean([bar.get_height() for bar in bars]) for bars in axes.containers if hasattr(bars, "patches")]
    np.testing.assert_allclose(heights, table, atol=1e-9)


def test_entropy_is_the_smoothed_mean_of_the_stored_curves(context, drawn):
    (axes,) = drawn("entropy")
    curves = [results.read_curves(context.root, run.training_key)["entropy/Q_C"] for run in context.runs(3)]
    shown = next(y for label, y in lines(axes).items() if "Q^C" in label and "8" in label)
    np.testing.assert_allclose(shown, np.mean(curves, 0), rtol=1e-5)  # 2 % of 20 steps: no smoothing


@pytest.mark.parametrize("n", [10, 500])
def test_smoothing_keeps_a_constant_and_averages_a_step(n):
    assert training.smooth(np.full(n, 0.3)) == pytest.approx(0.3)
    width = max(1, round(training.SMOOTH * n))
    shown = training.smooth(np.repeat([0.0, 1.0], n // 2))
    assert ((shown > 0) & (shown < 1)).sum() == width - 1


def test_timelines_show_attention_and_ground_truth(context, drawn):
    run = context.runs(3)[0]
    dataset, scores = data.load(run.settings.source, context.root), results.read_scores(context.root, run.training_key)
    (axes,) = drawn("timelines", videos=[dataset.test.ids[2]])
    P_A, hat = scores["attention"][2].mean(0), scores["clusters"][2].mean(0)
    shown = lines(axes)
    np.testing.assert_allclose(shown["$P^A$"], P_A)
    np.testing.assert_allclose(shown[r"$\hat P^A$"], hat)
    np.testing.assert_allclose(shown[r"$\ddot P^A$ (fused)"], (P_A + hat) / 2)
    seconds = (uniform(dataset.test.lengths[2:3], len(P_A))[0] + 0.5) * dataset.test.snippet_seconds[2]
    np.testing.assert_allclose(axes.get_lines()[0].get_xdata(), seconds)
    spans = sorted((p.get_x(), p.get_x() + p.get_width()) for p in axes.patches)
    np.testing.assert_allclose(spans, sorted(map(tuple, dataset.test.segments[2][:, :2])))


def test_worst_videos_are_those_of_lowest_precision(context, drawn):
    run = context.runs(3)[0]
    dataset = data.load(run.settings.source, context.root)
    quality = detections.video_precision(context, run, dataset)
    titles = [axes.get_title(loc="left").split(":")[0] for axes in drawn("worst")]
    shown = [dataset.test.ids.index(name) for name in titles]
    assert quality[shown].max() <= np.delete(quality, shown)[np.isfinite(np.delete(quality, shown))].max()
    assert list(quality[shown]) == sorted(quality[shown])


def test_cluster_bars_are_shares_of_foreground(context, drawn):
    (axes,) = drawn("clusters")
    run = context.runs(3)[0]
    scores, dataset = results.read_scores(context.root, run.training_key), data.load(run.settings.source, context.root)
    P_C = scores["P_C"].mean(1)
    truth = clusters.Grid.of(dataset, P_C.shape[1]).foreground
    held = [[] for _ in range(P_C.shape[-1])]
    for video, row in enumerate(P_C):
        for t, p in enumerate(row):
            held[int(p.argmax())].append(truth[video, t])
    expected = sorted((np.mean(h) if h else 0.0 for h in held), reverse=True)
    np.testing.assert_allclose([bar.get_width() for bar in axes.containers[0]], expected)
    judged = (scores["Q_R"].mean(0)[:, 0] >= 0.5).sum()
    assert [to_hex(bar.get_facecolor()) for bar in axes.containers[0]].count(style.FOREGROUND.lower()) == judged


def test_a_sweep_is_found_by_its_one_setting(context):
    assert summary.swept(context) == ("case.clusters", [2, 4, 8])


def test_unknown_figures_and_videos_are_refused(context, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown figure 'swep'.*sweep"):
        figures.draw(context.study, context.root, tmp_path, ["swep"])
    with pytest.raises(ConfigError, match="no test video 'test_9999'"):
        figures.draw(context.study, context.root, tmp_path, ["timelines"], videos=["test_9999"])
