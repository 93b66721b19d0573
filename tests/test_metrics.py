"""mAP, accuracy, AUC and entropies against hand-made cases, slow loops, scikit-learn and scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import average_precision_score, roc_auc_score

from harness.compute import metrics
from harness.compute.localize import Detections

TIOU = (0.3, 0.5, 0.7)


def detections(rows: list[tuple]) -> Detections:
    """Rows (video, class, score, start, end)."""
    video, label, score, start, end = np.array(rows, np.float64).reshape(-1, 5).T
    return Detections(video.astype(int), label.astype(int), score, start, end)


def random_case(
    seed: int, ties: bool = False, videos: int = 4, classes: int = 3
) -> tuple[list[np.ndarray], list[tuple]]:
    """Segments on a grid of whole seconds (so tIoUs are often equal) and 40 detections near or far from them."""
    rng = np.random.default_rng(seed)
    segments = []
    for _ in range(videos):
        start = rng.integers(0, 20, n := int(rng.integers(1, 5)))
        segments.append(
            np.column_stack([start, start + rng.integers(1, 8, n), rng.integers(0, classes, n)]).astype(float)
        )
    start = rng.integers(0, 20, 40)
    score = rng.integers(0, 5, 40) / 4 if ties else rng.permutation(40) / 40
    rows = np.column_stack(
        [rng.integers(0, videos, 40), rng.integers(0, classes, 40), score, start, start + rng.integers(1, 8, 40)]
    )
    return segments, [tuple(row) for row in rows]


def slow(segments: list[np.ndarray], rows: list[tuple], threshold: float, c: int) -> float:
    """The rule in words, one detection after another: later of tied scores first; AP from recall steps."""
    ordered = sorted(((r[2], i, r) for i, r in enumerate(rows) if r[1] == c), key=lambda x: x[:2], reverse=True)
    truth = [(v, g) for v, s in enumerate(segments) for g in range(len(s)) if s[g, 2] == c]
    taken, hits = set(), []
    for _, _, (video, _, _, start, end) in ordered:
        overlaps = []
        for v, g in truth:
            low, high = segments[v][g, :2]
            inside = max(0.0, min(end, high) - max(start, low))
            overlaps.append((inside / ((end - start) + (high - low) - inside) if v == video else 0.0, g, v))
        fits = [
            (v, g) for overlap, g, v in sorted(overlaps, reverse=True) if overlap >= threshold and (v, g) not in taken
        ]
        taken |= set(fits[:1])
        hits.append(bool(fits))
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    return sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / len(truth)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_average_precision_is_the_slow_loop(seed: int, ties: bool) -> None:
    segments, rows = random_case(seed, ties)
    ap = metrics.average_precision(segments, detections(rows), TIOU, 3)
    for t, threshold in enumerate(TIOU):
        for c in range(3):
            if np.isnan(ap[t, c]):
                assert not any((s[:, 2] == c).any() for s in segments)
            else:
                np.testing.assert_allclose(ap[t, c], slow(segments, rows, threshold, c), rtol=0, atol=1e-12)


def test_hand_made_average_precision() -> None:
    """Hit, miss, hit of three: precision 1, 1/2, 2/3, so AP = (1 + 2/3) / 3."""
    segments = [np.array([[0, 10, 0], [20, 30, 0], [40, 50, 0]], float)]
    rows = [(0, 0, 0.9, 0, 10), (0, 0, 0.8, 60, 70), (0, 0, 0.7, 20, 30)]
    np.testing.assert_allclose(metrics.average_precision(segments, detections(rows), [0.5], 1), [[5 / 9]])


def test_a_segment_is_found_once() -> None:
    """The second detection of one segment is a false positive, or takes the next segment that overlaps enough."""
    rows = [(0, 0, 0.9, 0, 10), (0, 0, 0.8, 0, 10)]
    alone, both = np.array([[0, 10, 0], [50, 60, 0]], float), np.array([[0, 10, 0], [0, 8, 0]], float)
    ap = [metrics.average_precision([s], detections(rows), [0.5], 1)[0, 0] for s in (alone, both)]
    np.testing.assert_allclose(ap, [0.5, 1])


def test_threshold_is_inclusive() -> None:
    rows = detections([(0, 0, 1, 0, 5)])
    ap = metrics.average_precision([np.array([[0, 10, 0]], float)], rows, [0.5, np.nextafter(0.5, 1)], 1)
    assert ap[:, 0].tolist() == [1, 0]


def test_classes_without_truth_or_detections() -> None:
    """NaN without ground truth (not averaged), 0 without detections (averaged)."""
    segments = [np.array([[0, 1, 0], [0, 1, 1]], float), np.zeros((0, 3))]
    ap = metrics.average_precision(segments, detections([(0, 0, 1, 0, 1), (1, 2, 1, 0, 1)]), [0.5], 3)
    np.testing.assert_array_equal(ap, [[1, 0, np.nan]])
    assert metrics.averages(ap, [0.5])["avg"] == 0.5
    none = metrics.average_precision(segments, detections([]), [0.5], 3)
    np.testing.assert_array_equal(none, [[0, 0, np.nan]])


seeds = st.integers(0, 10_000)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_average_precision_lies_in_0_1_and_falls_with_the_threshold(seed: int) -> None:
    """It falls while every detection meets at most one segment; else a stricter threshold may free a segment."""
    segments, rows = random_case(seed)
    single = [s[np.unique(s[:, 2], return_index=True)[1]] for s in segments]  # one segment per video and class
    ap = metrics.average_precision(single, detections(rows), np.linspace(0.1, 0.9, 9).tolist(), 3)
    ap = ap[:, ~np.isnan(ap[0])]
    assert ((ap >= 0) & (ap <= 1)).all()
    assert (np.diff(ap, axis=0) <= 1e-12).all()


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(0.1, 10), st.floats(-5, 5))
def test_average_precision_ignores_units_and_monotone_scores(seed: int, scale: float, shift: float) -> None:
    """Seconds or frames, scores or their exponentials; videos in another order."""
    segments, rows = random_case(seed)
    base = metrics.average_precision(segments, detections(rows), [0.31, 0.53], 3)
    order = np.random.default_rng(seed).permutation(len(segments))
    moved = [segments[v] * [scale, scale, 1] for v in order]
    where = np.argsort(order)
    other = [(where[int(v)], c, np.exp(s + shift), a * scale, b * scale) for v, c, s, a, b in rows]
    again = metrics.average_precision(moved, detections(other), [0.31, 0.53], 3)
    np.testing.assert_allclose(again, base, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_perfect_detections_score_1_and_worse_ones_behind_change_nothing(seed: int) -> None:
    segments, rows = random_case(seed)
    right = [(v, c, 10 + i, a, b) for v, s in enumerate(segments) for i, (a, b, c) in enumerate(np.unique(s, axis=0))]
    unique = [np.unique(s, axis=0) for s in segments]
    for found in (right, right + rows):
        ap = metrics.average_precision(unique, detections(found), TIOU, 3)
        np.testing.assert_array_equal(ap[~np.isnan(ap)], 1)


def test_averages_cover_only_their_ranges() -> None:
    ap = np.arange(1, 8)[:, None] / 10
    found = metrics.averages(ap, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    wanted = {f"{t / 10:.2f}": t / 10 for t in range(1, 8)} | {
        "avg": 0.4,
        "0.1:0.5": 0.3,
        "0.3:0.7": 0.5,
        "0.1:0.7": 0.4,
    }
    assert found == pytest.approx(wanted)
    assert set(metrics.averages(ap[:2], [0.1, 0.5])) == {"0.10", "0.50", "avg"}


def test_snippet_labels_include_both_rounded_ends() -> None:
    """Snippets of 0.64 s: 1 s -> 1.56 -> 2, 3 s -> 4.69 -> 5; beyond the video nothing; half rounds to even."""
    assert np.nonzero(metrics.snippet_labels(np.array([[1.0, 3.0, 0]]), 10, 0.64))[0].tolist() == [2, 3, 4, 5]
    assert np.nonzero(metrics.snippet_labels(np.array([[8.0, 99.0, 0]]), 10, 1.0))[0].tolist() == [8, 9]
    assert not metrics.snippet_labels(np.array([[50.0, 60.0, 0]]), 10, 1.0).any()
    assert not metrics.snippet_labels(np.zeros((0, 3)), 10, 1.0).any()
    assert np.nonzero(metrics.snippet_labels(np.array([[0.5, 1.5, 0]]), 10, 1.0))[0].tolist() == [0, 1, 2]


@settings(max_examples=50, deadline=None)
@given(seeds)
def test_snippet_labels_are_the_slow_loop(seed: int) -> None:
    """Overlapping segments of several classes: a snippet of any of them is foreground."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 30, 5)
    segments, wanted = np.column_stack([start, start + rng.uniform(0.1, 9, 5), np.arange(5)]), np.zeros(40, bool)
    for a, b, _ in segments:
        for t in range(round(a / 0.64), round(b / 0.64) + 1):
            if t < 40:
                wanted[t] = True
    np.testing.assert_array_equal(metrics.snippet_labels(segments, 40, 0.64), wanted)


def test_accuracy_and_majority() -> None:
    """The threshold itself is foreground."""
    attention, truth = np.array([[0.5, 0.4, 0.9, 0.1]]), np.array([[True, False, False, False]])
    assert metrics.accuracy(attention, truth, 0.5) == 0.75
    assert metrics.majority(truth) == metrics.majority(~truth) == 0.75


@settings(max_examples=50, deadline=None)
@given(seeds, st.booleans())
def test_auc_is_scikit_learns(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random((3, 20)) < 0.4
    truth[0, :2] = [True, False]
    values = rng.integers(0, 4, truth.shape) / 4 if ties else rng.random(truth.shape)
    assert metrics.auc(values, truth) == pytest.approx(roc_auc_score(truth.ravel(), values.ravel()), abs=1e-12)
    assert metrics.auc(-values, truth) == pytest.approx(1 - metrics.auc(values, truth), abs=1e-12)


def test_auc_of_one_side_is_nan() -> None:
    assert np.isnan(metrics.auc(np.array([0.1, 0.2]), np.array([True, True])))
    assert np.isnan(metrics.auc(np.array([0.1, 0.2]), np.array([False, False])))


def test_entropy_is_scipys_and_has_its_limits() -> None:
    P = np.random.default_rng(0).dirichlet(np.ones(6), (4, 5))
    assert metrics.entropy(P) == pytest.approx(scipy_entropy(P, axis=-1).mean(), abs=1e-12)
    assert metrics.entropy(np.full((3, 8), 1 / 8)) == pytest.approx(np.log(8), abs=1e-12)
    assert metrics.entropy(np.eye(4)) == 0


def test_video_map_is_scikit_learns() -> None:
    """Untied scores; a class that never occurs is left out."""
    rng = np.random.default_rng(0)
    labels, scores = rng.random((30, 5)) < 0.3, rng.random((30, 5))
    labels[:, 4] = False
    wanted = np.mean([average_precision_score(labels[:, c], scores[:, c]) for c in range(4)])
    assert metrics.video_map(labels, scores) == pytest.approx(wanted, abs=1e-12)
