"""The embedded data set: its statistics, its randomness, its limit cases and its cache."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from harness import data
from harness.data import synthetic, timeline
from harness.data.dataset import Split
from harness.data.knobs import DEFAULT, SCALES, Knobs, replace_knobs
from harness.settings import Source

TINY = SCALES["tiny"]
CLEAN = replace(TINY, noise=(0, 0), offset=(0, 0), deformation=0, visibility_least=1)


def features(draft: synthetic.PendingSplit) -> list[np.ndarray]:
    return list(draft.features)


@pytest.fixture(scope="module")
def default() -> tuple[list[Split], list[np.ndarray]]:
    drafts = synthetic.pend_splits(DEFAULT, 0)
    return [draft.split for draft in drafts], [np.concatenate(features(draft)) for draft in drafts]


def test_annotation_statistics_are_those_of_thumos14(default):
    splits, _ = default
    segments = [found for split in splits for found in split.segments]
    lengths = np.concatenate([split.lengths * split.snippet_seconds for split in splits])
    counts = np.array([len(found) for found in segments])
    durations = np.concatenate([found[:, 1] - found[:, 0] for found in segments])
    shares = np.array([(found[:, 1] - found[:, 0]).sum() for found in segments]) / lengths
    assert 7 <= counts.mean() <= 8
    assert 4.5 <= np.median(counts) <= 6
    assert counts.max() <= 40
    assert durations.mean() == pytest.approx(4.2, abs=0.4)
    assert np.median(durations) == pytest.approx(3.2, abs=0.4)
    assert durations.min() >= 0.5
    assert shares.mean() == pytest.approx(0.32, abs=0.02)
    assert shares.std() == pytest.approx(0.19, abs=0.02)
    assert 130 <= lengths.mean() <= 185
    assert np.mean(np.concatenate([split.labels.sum(1) for split in splits]) == 2) == pytest.approx(0.15, abs=0.04)


def test_feature_statistics_at_the_specified_amplitudes():
    """Before calibration (action 1.0 / 1.25, lead-in 1.5 s), the constants as specified gave the specified features."""
    as_specified = replace_knobs("default", {"action": [1.2, 1.5], "lead_in": 1.1})
    for draft in synthetic.pend_splits(as_specified, 0):
        array = np.concatenate(features(draft))
        assert array.dtype == np.float32
        assert array.min() == 0
        assert (array > 0).mean() == pytest.approx(0.40, abs=0.04)  # BENCHMARK's prototype had 0.44
        assert array[:, 0].mean() == pytest.approx(0.28, abs=0.04)
        assert array[:, 1].mean() == pytest.approx(0.14, abs=0.02)


def test_instances_do_not_overlap_and_lie_inside_the_video(default):
    for split in default[0]:
        for found, length in zip(split.segments, split.lengths * split.snippet_seconds):
            assert (found[1:, 0] > found[:-1, 1]).all()
            assert found[0, 0] > 0
            assert found[-1, 1] < length


def test_same_seed_same_bits_other_seed_other_bits():
    first, again, other = (features(synthetic.pend_splits(TINY, seed)[0]) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert not any(a.shape == b.shape and np.array_equal(a, b) for a, b in zip(first, other))


def test_a_video_does_not_depend_on_how_many_there_are():
    few = synthetic.pend_splits(replace(TINY, train_videos=4, test_videos=3), 0)
    many = synthetic.pend_splits(TINY, 0)
    for a, b in zip(few, many):
        n = len(a.split.ids)
        assert a.split.ids == b.split.ids[:n]
        assert np.array_equal(a.split.labels, b.split.labels[:n])
        assert all(np.array_equal(x, y) for x, y in zip(a.split.segments, b.split.segments))
        assert all(np.array_equal(x, y) for x, y in zip(features(a), features(b)))


def test_amplitudes_and_dimensions_do_not_change_the_time_line():
    base = synthetic.pend_splits(TINY, 0)[0].split
    for values in (
        {"noise": 1.0},
        {"action_share": 0.9},
        {"dimension": 8, "code_dimension": 6},
        {"key_share": [0.1, 0.2]},
    ):
        other = synthetic.pend_splits(replace_knobs("tiny", values), 0)[0].split
        assert all(np.array_equal(a, b) for a, b in zip(base.segments, other.segments))


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.8, 0.99])
def test_autoregressive_equals_the_recursion(rho):
    x = synthetic.draw_autoregressive(np.random.default_rng(1), (137, 3), rho)
    innovations = np.random.default_rng(1).standard_normal((137, 3))
    innovations[1:] *= np.sqrt(1 - rho**2)
    np.testing.assert_allclose(x, lfilter([1], [1, -rho], innovations, axis=0), atol=1e-12)


def test_autoregressive_has_unit_variance_throughout():
    x = synthetic.draw_autoregressive(np.random.default_rng(0), (50, 40_000), 0.8)
    np.testing.assert_allclose(x.var(1), 1, atol=0.03)


def test_order_statistics_known_values():
    expect = timeline.expect_order_statistics
    np.testing.assert_allclose(expect(2), np.array([-1, 1]) / np.sqrt(np.pi), atol=1e-9)
    np.testing.assert_allclose(expect(3), np.array([-1.5, 0, 1.5]) / np.sqrt(np.pi), atol=1e-9)
    drawn = np.sort(np.random.default_rng(0).standard_normal((40_000, 20)), axis=1).mean(0)
    np.testing.assert_allclose(expect(20), drawn, atol=0.01)


def test_coverage_against_fine_counting():
    bounds = np.array([[0.1, 0.5], [0.7, 3.3], [3.3, 3.3], [5.9, 7.0]])
    fine = (np.arange(60_000) + 0.5) * 1e-4
    slow = [
        [np.mean((a <= fine[s : s + 6400]) & (fine[s : s + 6400] < b)) for a, b in bounds]
        for s in range(0, 57_600, 6400)
    ]
    np.testing.assert_allclose(timeline.measure_coverage(bounds, 9, 0.64), slow, atol=1e-3)


def test_phases_tile_the_instance_and_their_side_parts_stay_in_the_gaps():
    rng = np.random.default_rng(0)
    script = timeline.draw_script(DEFAULT, rng)
    shares = []
    for number in range(40):
        classes = timeline.draw_classes(DEFAULT, script, number, rng)
        segments, gaps = timeline.draw_segments(DEFAULT, script, classes, rng)
        bounds, codes, _ = timeline.draw_phases(DEFAULT, script, segments, gaps, rng)
        pre, key, post, lead, follow = bounds.reshape(5, -1, 2)
        label = segments[:, 2].astype(int)
        assert np.array_equal(pre[:, 0], segments[:, 0])
        assert np.array_equal(pre[:, 1], key[:, 0])
        assert np.array_equal(key[:, 1], post[:, 0])
        assert np.array_equal(lead[:, 1], segments[:, 0])
        assert np.array_equal(codes.reshape(5, -1)[1], DEFAULT.sub_actions + label)
        assert np.array_equal(codes.reshape(5, -1)[[0, 2]], [script.pre[label], script.post[label]])
        assert (lead[1:, 0] >= follow[:-1, 1] - 1e-9).all()
        shares.append((key[:, 1] - key[:, 0]) / (segments[:, 1] - segments[:, 0]))
    share = np.concatenate(shares)
    assert share.min() >= 0.3
    assert share.max() <= 0.75
    assert share.mean() == pytest.approx(0.525, abs=0.03)


def test_siblings_share_a_venue_and_two_class_videos_are_pairs(default):
    script = timeline.draw_script(DEFAULT, np.random.default_rng(5))
    assert np.array_equal(*script.venue[script.pairs].T)
    labels = np.concatenate([split.labels for split in default[0]])
    assert len(np.unique(labels[labels.sum(1) == 2], axis=0)) == 2


def test_background_runs_have_the_stated_shares():
    backdrop, distractor = timeline.draw_background(DEFAULT, np.array([3]), 60_000, np.random.default_rng(0))
    assert np.mean(backdrop == 3) == pytest.approx(0.45, abs=0.02)
    assert np.mean(distractor >= 0) == pytest.approx(0.22, abs=0.02)
    change = np.flatnonzero(np.diff(backdrop) != 0)
    assert len(change) < 60_000 / (1 + 5)
    assert set(np.unique(backdrop)) <= {3, *range(20, 36)}


def test_without_disturbance_a_background_snippet_is_its_backdrop():
    """Limit case: no noise, no offset, no deformation, full visibility."""
    world = synthetic.draw_world(CLEAN, np.random.SeedSequence(0))
    video = timeline.draw_timeline(CLEAN, world.script, 0, np.random.default_rng(0))
    plain = (video.action == 0).all(1) & (video.distractor < 0)
    assert plain.any()
    for m, words in enumerate(world.streams):
        got = synthetic.make_stream(world, m, video, np.ones(len(plain)), np.random.default_rng(0))
        codes = np.concatenate([CLEAN.scene[m] * words.scene, CLEAN.situation[m] * words.situation])
        want = CLEAN.gain * np.maximum(codes[video.backdrop[plain]] @ words.weights - CLEAN.threshold, 0)
        np.testing.assert_allclose(got[plain], want, rtol=1e-5, atol=1e-6)


def test_a_fully_covered_snippet_shows_scene_and_action_slowly_computed():
    world = synthetic.draw_world(CLEAN, np.random.SeedSequence(0))
    video = timeline.draw_timeline(CLEAN, world.script, 2, np.random.default_rng(0))
    t = int(video.action[:, CLEAN.sub_actions :].sum(1).argmax())
    for m, words in enumerate(world.streams):
        got = synthetic.make_stream(world, m, video, np.full(len(video.action), 0.7), np.random.default_rng(0))[t]
        z = CLEAN.scene[m] * words.scene[video.backdrop[t]]
        for code, amount in zip(words.action, video.action[t]):
            z = z + CLEAN.action[m] * 0.7 * amount * code
        np.testing.assert_allclose(
            got, CLEAN.gain * np.maximum(z @ words.weights - CLEAN.threshold, 0), rtol=1e-5, atol=1e-6
        )


def test_vocabulary_norms_and_shares():
    knobs = replace(DEFAULT, code_dimension=4000)
    words = synthetic.draw_world(knobs, np.random.SeedSequence(0)).streams[1]
    cosine = words.action @ words.action.T / 4000
    np.testing.assert_allclose(np.diag(cosine), 1, atol=0.1)
    assert cosine[:8, :8][~np.eye(8, dtype=bool)].mean() == pytest.approx(0.5, abs=0.05)  # the common action code
    across = words.distractor @ words.action.T / 4000
    assert across[~np.eye(8, 28, dtype=bool)].mean() == pytest.approx(-0.5 * 0.5, abs=0.1)  # minus half of it


def test_visibility_lies_in_its_range_and_correlates_between_streams():
    v = synthetic.draw_visibility(DEFAULT, 50_000, np.random.default_rng(0))
    assert v.min() >= 0.4
    assert v.max() <= 1
    assert np.corrcoef(v.T)[0, 1] == pytest.approx(0.3, abs=0.04)


def test_unknown_and_impossible_knobs_are_all_named():
    values = {"key_shar": 1, "lead_in": -1, "classes": 2.5, "noise": [1, 2, 3], "distractors": True}
    with pytest.raises(data.DataError) as caught:
        replace_knobs("default", values)
    text = str(caught.value)
    assert len(caught.value.errors) == 5
    assert "source.knobs.key_shar: unknown knob 'key_shar'; did you mean 'key_share'?" in text
    assert "source.knobs.lead_in: found -1; allowed: a number from 0 on" in text
    for values in ({"key_share": [0.9, 0.1]}, {"sibling_pairs": 11}, {"sibling_pairs": 0}):
        with pytest.raises(data.DataError):
            replace_knobs("default", values)


def test_knobs_take_whole_numbers_and_one_number_for_a_pair():
    knobs = replace_knobs("default", {"lead_in": 2, "noise": 1, "key_share": [0, 1]})
    assert (knobs.lead_in, knobs.noise, knobs.key_share) == (2.0, (1.0, 1.0), (0.0, 1.0))
    assert isinstance(knobs, Knobs)


@pytest.mark.parametrize(
    "values", [{"lead_in": 0}, {"distractors": 0}, {"key_share": 1}, {"context_share": 1}, {"venues": 1}]
)
def test_extreme_knobs_work(values):
    draft = synthetic.pend_splits(replace_knobs("tiny", {**values, "train_videos": 6}), 0)[0]
    assert all(np.isfinite(video).all() for video in draft.features)


def test_loaded_equals_generated(tmp_path):
    source = Source(scale="tiny")
    dataset = data.load(source, tmp_path)
    for split, draft in zip((dataset.train, dataset.test), synthetic.pend_splits(TINY, 0)):
        assert np.array_equal(split.features, np.concatenate(features(draft)))
        assert not split.features.flags.writeable
        assert split.ids == draft.split.ids
        assert np.array_equal(split.lengths, draft.split.lengths)
        assert all(np.array_equal(a, b) for a, b in zip(split.segments, draft.split.segments, strict=True))
    assert dataset.fingerprint == data.fingerprint(source, tmp_path)
    assert (dataset.name, dataset.streams, len(dataset.classes)) == ("synthetic-tiny", ("rgb", "flow"), 8)
    assert data.info(source, tmp_path)["videos"] == {"train": 80, "test": 60}


def test_streams_can_be_picked_and_ordered(tmp_path):
    both = data.load(Source(scale="tiny"), tmp_path).train.features
    turned = data.load(Source(scale="tiny", streams=("flow", "rgb")), tmp_path).train.features
    assert np.array_equal(turned, both[:, ::-1])
    with pytest.raises(data.DataError, match="did you mean 'flow'"):
        data.load(Source(scale="tiny", streams=("flo",)), tmp_path)


def test_fingerprints_differ_exactly_where_the_videos_do(tmp_path):
    base = Source(scale="tiny")
    others = [
        replace(base, seed=1),
        replace(base, knobs={"noise": 0.5}),
        replace(base, split="validation"),
        replace(base, split="validation", validation_share=0.5),
        replace(base, streams=("flow",)),
        Source(),
    ]
    prints = [data.fingerprint(source, tmp_path) for source in [base, *others]]
    assert len(set(prints)) == len(prints)
    assert prints[0] == data.fingerprint(replace(base, knobs={"noise": 0.45}, path="x"), tmp_path / "elsewhere")
