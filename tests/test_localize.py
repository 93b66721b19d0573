"""From snippet scores to detections: hand-made cases, the formulas as slow loops, properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d

from harness.compute import localize
from harness.compute.localize import Detections, detect, find_pairs, nms, propose, propose_all
from harness.compute.runs import find_runs
from harness.compute.scoring import contrast
from harness.settings import Localization
from model.inference import Group, Inference

seeds = st.integers(0, 10_000)
PLAIN = Localization(upsampling=1, thresholds={"a": (0.5,)}, oic_gamma=0.0, oic_lambda=0.25)


def inference(seed: int, V: int = 3, T: int = 12, C: int = 4, **more: object) -> Inference:
    rng = np.random.default_rng(seed)
    sequence, video = rng.random((V, T, C)), rng.random((V, C))
    return Inference(video, {"a": Group(sequence, sequence, video, **more)})


def test_class_rule_threshold_is_inclusive_and_falls_back_to_the_best() -> None:
    video = np.array([[0.25, 0.6, 0.15], [0.2, 0.1, 0.24]])
    rule = Inference(video, {})
    video_index, label = find_pairs(rule, PLAIN)
    assert list(zip(video_index, label)) == [(0, 0), (0, 1), (1, 2)]
    video_index, label = find_pairs(rule, replace(PLAIN, class_fallback="none"))
    assert list(zip(video_index, label)) == [(0, 0), (0, 1)]


def test_class_scale_lowers_every_methods_threshold() -> None:
    video = np.array([[0.25, 0.6, 0.05], [0.2, 0.1, 0.24]])
    wanted = find_pairs(Inference(video, {}), replace(PLAIN, class_threshold=0.1))
    scaled = find_pairs(Inference(video, {}), replace(PLAIN, class_threshold=0.25, class_scale=0.4))
    np.testing.assert_array_equal(scaled, wanted)
    assert len(wanted[0]) == 5


def test_released_basnet_skips_a_video_of_class_zero_only() -> None:
    rule = Inference(np.array([[0.9, 0.1], [0.9, 0.5], [0.1, 0.9]]), {}, skip_only_class_zero=True)
    assert list(zip(*find_pairs(rule, PLAIN))) == [(1, 0), (1, 1), (2, 1)]


def slow_contrast(v: np.ndarray, s: int, e: int, share: float) -> float:
    n = e - s + 1
    outer = [*v[max(0, int(s - share * n)) : s], *v[e + 1 : min(len(v) - 1, int(e + share * n)) + 1]]
    return v[s : e + 1].mean() - (np.mean(outer) if outer else 0)


@settings(max_examples=80, deadline=None)
@given(seeds, st.floats(0, 2))
def test_contrast_is_the_slow_formula(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3, 20))
    row, ends = rng.integers(0, 3, 8), np.sort(rng.integers(0, 20, (8, 2)), axis=1)
    found = contrast(values, row, ends[:, 0], ends[:, 1], share)
    wanted = [slow_contrast(values[r], s, e, share) for r, (s, e) in zip(row, ends)]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_contrast_by_hand() -> None:
    """Inside 1, one position on both sides 0.2 and 0.4; a run over everything has no outside."""
    values = np.array([[0.0, 0.2, 1, 1, 1, 1, 0.4, 0.0]])
    at = [np.array([x]) for x in (0, 2, 5)]
    np.testing.assert_allclose(contrast(values, *at, 0.25), [1 - 0.3])
    whole = [np.array([x]) for x in (0, 0, 7)]
    np.testing.assert_allclose(contrast(values, *whole, 0.25), [values.mean()])


@settings(max_examples=30, deadline=None)
@given(seeds, st.floats(-1, 1))
def test_contrast_ignores_an_offset_where_there_is_an_outside(seed: int, offset: float) -> None:
    values = np.random.default_rng(seed).normal(size=(1, 20))
    at = [np.array([x]) for x in (0, 5, 12)]
    np.testing.assert_allclose(contrast(values + offset, *at, 0.25), contrast(values, *at, 0.25), rtol=0, atol=1e-12)


def test_proposals_by_hand() -> None:
    """Threshold inclusive; zeros are never proposed; the video score counts gamma times."""
    sequence = np.array([0, 0, 0.5, 0.7, 0, 0.6, 0.2, 0])[None, :, None]
    group = Group(sequence, sequence, np.array([[0.8]]))
    pairs = (np.array([0]), np.array([0]))
    rule = replace(PLAIN, oic_gamma=0.5, oic_lambda=0.5)
    at_half, at_zero = propose(group, pairs, [0.5, 0.0], rule)
    assert list(zip(at_half.first, at_half.last)) == [(2, 3), (5, 5)]
    np.testing.assert_allclose(at_half.score, [0.6 - 0 + 0.4, 0.6 + 0.4])
    assert list(zip(at_zero.first, at_zero.last)) == [(2, 3), (5, 6)]


def test_what_is_thresholded_need_not_be_what_is_scored() -> None:
    mask, score = np.zeros((1, 8, 1)), np.arange(8.0)[None, :, None]
    mask[0, 2:4] = mask[0, 6] = 1
    pairs = (np.array([0]), np.array([0]))
    (found,) = propose(Group(mask, score, np.zeros((1, 1))), pairs, [0.5], replace(PLAIN, oic_lambda=0))
    np.testing.assert_allclose(found.score, [2.5, 6.0])
    (zeroed,) = propose(
        Group(mask, score, np.zeros((1, 1)), zero_below=True), pairs, [0.5], replace(PLAIN, oic_lambda=1)
    )
    (kept,) = propose(Group(mask, score, np.zeros((1, 1))), pairs, [0.5], replace(PLAIN, oic_lambda=1))
    np.testing.assert_allclose(zeroed.score, [2.5, 6.0])  # what lies around counts as 0, but for the other run
    np.testing.assert_allclose(kept.score, [2.5 - (0 + 1 + 4 + 5) / 4, 6 - (5 + 7) / 2])


def test_short_runs_are_dropped() -> None:
    mask = np.array([0, 1, 0, 1, 1, 0, 1, 1, 1, 0.0])[None, :, None]
    pairs = (np.array([0]), np.array([0]))
    found = [propose(Group(mask, mask, np.zeros((1, 1)), shortest=n), pairs, [0.5], PLAIN)[0] for n in (1, 2, 3, 4)]
    assert [len(p.score) for p in found] == [3, 2, 1, 0]


def test_one_attention_serves_every_class() -> None:
    """(V, T, 1) gives the same as that sequence for each class."""
    once = np.random.default_rng(0).random((2, 9, 1))
    video = np.full((2, 3), 0.5)
    both = [
        detect(Inference(video, {"a": Group(x, x, video)}), PLAIN, np.array([9.0, 18.0]))
        for x in (once, once.repeat(3, axis=2))
    ]
    for name in ("video", "label", "score", "start", "end"):
        np.testing.assert_array_equal(getattr(both[0], name), getattr(both[1], name))


def test_a_group_without_thresholds_is_named() -> None:
    rule = inference(0)
    with pytest.raises(KeyError, match=r"lacks \['a'\]; it has \['b'\]"):
        propose_all(rule, find_pairs(rule, PLAIN), {"b": (0.5,)}, PLAIN)


def slow_nms(rows: list[list[float]], rule: Localization) -> list[list[float]]:
    """The rule in words: score, start, end of the kept ones, then of the weakened ones."""
    order = [row for _, row in sorted(enumerate(rows), key=lambda x: (x[1][0], x[0]), reverse=True)]
    kept, weakened = [], []
    while order:
        best, rest = order[0], []
        kept.append(best)
        for score, start, end in order[1:]:
            inside = max(0, min(best[2], end) - max(best[1], start) + rule.nms_plus)
            union = (best[2] - best[1] + rule.nms_plus) + (end - start + rule.nms_plus) - inside
            overlap = inside / union if union else 0
            if overlap >= rule.nms_threshold:
                weakened.append([score * np.exp(-(overlap**2) / rule.nms_alpha), start, end])
            else:
                rest.append([score, start, end])
        order = rest
    return kept if rule.nms == "hard" else kept + weakened


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from(["hard", "soft"]), st.sampled_from([0.0, 1.0]), st.sampled_from([0.3, 0.5, 0.9]))
def test_nms_is_the_slow_loop(seed: int, kind: str, plus: float, threshold: float) -> None:
    """Scores of few values (ties) and segments on a grid."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 15, 12).astype(float)
    rows = np.column_stack([rng.integers(-2, 5, 12) / 4, start, start + rng.integers(1, 8, 12)])
    rule = replace(PLAIN, nms=kind, nms_plus=plus, nms_threshold=threshold)
    index, score = nms(rows[:, 1], rows[:, 2], rows[:, 0], rule)
    found = np.column_stack([score, rows[index, 1], rows[index, 2]])
    np.testing.assert_allclose(found, slow_nms(rows.tolist(), rule), rtol=0, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_nms_properties(seed: int) -> None:
    """Hard keeps a part in which none overlaps too much; soft keeps all, its first part being the hard result."""
    rng = np.random.default_rng(seed)
    start, score = rng.uniform(0, 20, 15), rng.random(15)
    end = start + rng.uniform(0.1, 8, 15)
    hard, hard_score = nms(start, end, score, PLAIN)
    soft, soft_score = nms(start, end, score, replace(PLAIN, nms="soft"))
    assert sorted(soft) == list(range(15))
    np.testing.assert_array_equal(soft[: len(hard)], hard)
    np.testing.assert_array_equal(hard_score, score[hard])
    assert (np.diff(hard_score) <= 0).all()
    assert (soft_score <= score[soft]).all()
    for i, best in enumerate(hard):
        others = hard[i + 1 :]
        assert (localize.overlaps(start[best], end[best], start[others], end[others], 0) < PLAIN.nms_threshold).all()
    again, _ = nms(start[hard], end[hard], score[hard], PLAIN)
    np.testing.assert_array_equal(again, np.arange(len(hard)))  # doing it again removes nothing


def test_nms_of_nothing() -> None:
    for kind in ("hard", "soft"):
        index, score = nms(np.zeros(0), np.zeros(0), np.zeros(0), replace(PLAIN, nms=kind))
        assert (len(index), len(score)) == (0, 0)


def test_overlap_of_two_points_is_0_and_plus_makes_short_ones_overlap() -> None:
    zero = np.array([2.0])
    assert localize.overlaps(2.0, 2.0, zero, zero, 0).tolist() == [0]
    assert localize.overlaps(2.0, 2.0, zero, zero, 1).tolist() == [1]
    np.testing.assert_allclose(
        localize.overlaps(0.0, 1.0, np.array([1.5]), np.array([2.0]), 1), [0.5 / (2 + 1.5 - 0.5)]
    )


def test_planted_actions_are_found_at_their_seconds() -> None:
    """Two actions in sequences of 10 snippets that span 20 s; end is the end of the last fine position."""
    sequence = np.zeros((1, 10, 2))
    sequence[0, 2:5, 0] = sequence[0, 7:9, 1] = 1
    rule = Inference(np.ones((1, 2)), {"a": Group(sequence, sequence, np.ones((1, 2)))})
    found = detect(rule, PLAIN, np.array([20.0]))
    assert list(zip(found.label, found.start, found.end)) == [(0, 4.0, 10.0), (1, 14.0, 18.0)]
    np.testing.assert_array_equal(found.score, 1)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_detections_are_the_slow_path(seed: int) -> None:
    """Every video and class on its own: interpolate, cut, score, suppress; order included."""
    rule = inference(seed)
    settings_ = Localization(upsampling=3, thresholds={"a": (0.3, 0.6)}, nms="soft", nms_plus=1.0)
    seconds = np.array([10.0, 20.0, 31.0])
    found, wanted = detect(rule, settings_, seconds), []
    for v, scores in enumerate(rule.video):
        for c in [c for c in range(4) if scores[c] >= 0.25] or [int(scores.argmax())]:
            fine = interp1d(np.arange(12), rule.groups["a"].threshold_on[v, :, c], fill_value="extrapolate")(
                np.arange(36) / 3
            )
            rows = []
            for threshold in (0.3, 0.6):
                _, first, last = find_runs(((fine >= threshold) & (fine > 0))[None])
                rows += [
                    [slow_contrast(fine, s, e, 0.25) + 0.15 * scores[c], s * seconds[v] / 36, (e + 1) * seconds[v] / 36]
                    for s, e in zip(first, last)
                ]
            wanted += [[v, c, *row] for row in slow_nms(rows, settings_)]
    columns = [found.video, found.label, found.score, found.start, found.end]
    np.testing.assert_allclose(np.column_stack(columns), np.array(wanted).reshape(-1, 5), rtol=0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_each_video_is_searched_on_its_own(seed: int) -> None:
    """A video's detections are the same bits alone and among others, and every segment lies inside the video."""
    rule, seconds = inference(seed), np.array([10.0, 20.0, 31.0])
    together = detect(rule, PLAIN, seconds)
    assert ((together.start >= 0) & (together.start < together.end)).all()
    assert (together.end <= seconds[together.video] + 1e-9).all()
    for v in range(3):
        one = rule.groups["a"].threshold_on[v : v + 1]
        alone = detect(
            Inference(rule.video[v : v + 1], {"a": Group(one, one, rule.video[v : v + 1])}), PLAIN, seconds[v : v + 1]
        )
        for name in ("label", "score", "start", "end"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(together, name)[together.video == v])


def test_several_groups_are_pooled_before_nms() -> None:
    sequence = np.zeros((1, 10, 1))
    sequence[0, 2:5] = 1
    ones, group = np.ones((1, 1)), Group(sequence, sequence, np.ones((1, 1)))
    rule = replace(PLAIN, thresholds={"a": (0.5,), "b": (0.4, 0.6)})
    both = Inference(ones, {"a": group, "b": group})
    assert len(propose_all(both, find_pairs(both, rule), rule.thresholds, rule)) == 3
    assert len(detect(both, rule, np.array([10.0])).score) == 1
    assert len(detect(both, replace(rule, nms="soft"), np.array([10.0])).score) == 3


def test_nothing_found() -> None:
    zeros = np.zeros((2, 5, 3))
    rule = Inference(np.zeros((2, 3)), {"a": Group(zeros, zeros, np.zeros((2, 3)))})
    for settings_ in (PLAIN, replace(PLAIN, class_fallback="none"), replace(PLAIN, nms="soft")):
        found = detect(rule, settings_, np.ones(2))
        assert len(found.score) == 0
        assert found.predictions(["x", "y"], ["A", "B", "C"])["results"] == {"x": [], "y": []}


def test_predictions_are_in_the_activitynet_format() -> None:
    one = np.array([1])
    found = Detections(one, one, np.array([0.5]), np.array([1.0]), np.array([2.0])).predictions(["x", "y"], ["A", "B"])
    assert found["results"] == {"x": [], "y": [{"label": "B", "score": 0.5, "segment": [1.0, 2.0]}]}
    assert set(found) == {"version", "external_data", "results"}
