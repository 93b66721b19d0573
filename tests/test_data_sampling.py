"""Snippet sampling against slow formulas, gathering, and the validation split."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import data
from harness.compute.batches import make_batch, on_device
from harness.data.sampling import distinct, paired, replaced, stratified, uniform, windows
from harness.data.validation import draw_held_out
from harness.settings import Source
from model.mil import label_highest
from model.streams import Batch

LENGTHS = st.lists(st.integers(1, 2000), min_size=1, max_size=5)


@given(LENGTHS, st.integers(1, 200))
@settings(deadline=None)
def test_uniform_is_the_floor_of_even_spacing(lengths, T):
    slow = [[math.floor(t * n / T) for t in range(T)] for n in lengths]
    assert uniform(np.array(lengths), T).tolist() == slow


@given(LENGTHS, st.integers(1, 100), st.integers(0, 5))
@settings(deadline=None)
def test_stratified_stays_in_its_bins(lengths, T, seed):
    drawn = stratified(np.array(lengths), T, np.random.default_rng(seed))
    assert drawn.dtype == np.int64
    for n, row in zip(lengths, drawn.tolist()):
        for t, index in enumerate(row):
            assert t * n // T <= index <= min((t + 1) * n // T, n - 1)
        assert row == sorted(row)
        if n == T:
            assert row == list(range(T))


def test_stratified_reaches_both_ends_of_every_bin_equally_often():
    drawn = stratified(np.full(6000, 23), 5, np.random.default_rng(0))
    for t in range(5):
        first, last = t * 23 // 5, min((t + 1) * 23 // 5, 22)
        values, counts = np.unique(drawn[:, t], return_counts=True)
        assert values.tolist() == list(range(first, last + 1))
        assert counts.min() / counts.max() > 0.8


def test_sampling_is_reproducible():
    a, b = (stratified(np.array([40, 900]), 50, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(a, b)


@pytest.mark.parametrize("T", [30, 200])
def test_a_batch_holds_each_snippet_once_and_shows_it_where_it_was_sampled(tmp_path, T):
    split = data.load(Source(scale="tiny"), tmp_path).train
    videos = np.array([5, 0, 79])
    indices = stratified(split.lengths[videos], T, np.random.default_rng(0))
    batch = make_batch(on_device(split, torch.device("cpu")), split, videos, indices, "fp32")
    assert len(batch.x) == 2
    shown = {(video, index) for video, row in zip(videos, indices) for index in row}
    for m, x in enumerate(batch.x):
        assert x.shape == (len(shown) + 1, 32)
        assert not x[-1].any()
        for b, video in enumerate(videos):
            own = np.asarray(split.features)[split.offsets[video] : split.offsets[video + 1], m]
            assert np.array_equal(x[batch.rows[b]], own[indices[b]])
    assert batch.labels.numpy().tolist() == split.labels[videos].tolist()


@given(LENGTHS, st.integers(1, 60), st.integers(0, 5))
@settings(deadline=None)
def test_distinct_snippets_and_rows_give_back_the_indices(lengths, T, seed):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    split = data.Split(("",) * len(lengths), np.empty(0), offsets, np.empty(0), (), np.empty(0))
    videos = np.arange(len(lengths))[::-1]
    indices = stratified(split.lengths[videos], T, np.random.default_rng(seed))
    snippets, rows = distinct(split, videos, indices)
    assert np.array_equal(snippets[rows], offsets[videos][:, None] + indices)
    assert len(snippets) == sum(len(set(row)) for row in indices.tolist())


@given(st.integers(0, 50))
@settings(deadline=None)
def test_pairs_share_a_class_and_no_video_comes_twice(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((30, 6)) < 0.2).astype(np.float32)
    labels[:, 5] = 0  # a class without videos
    labels[:2, 0] = 1
    batches = paired(labels, 10, 3, rng)
    for videos in (next(batches) for _ in range(5)):
        pairs = videos[:6].reshape(3, 2)
        assert (labels[pairs[:, 0]] * labels[pairs[:, 1]]).any(1).all()
        assert (pairs[:, 0] != pairs[:, 1]).all()
        assert len(videos) == 10
        assert not set(videos[6:]) & set(videos[:6])
        assert len(set(videos[6:])) == 4


def test_subset_keeps_each_video_whole(tmp_path):
    split = data.load(Source(scale="tiny"), tmp_path).test
    part = split.subset(np.array([7, 2]))
    assert part.ids == (split.ids[7], split.ids[2])
    assert part.lengths.tolist() == split.lengths[[7, 2]].tolist()
    assert np.array_equal(part.features[part.offsets[1] :], split.features[split.offsets[2] : split.offsets[3]])
    assert np.array_equal(part.segments[0], split.segments[7])
    assert split.subset(np.array([], np.int64)).features.shape == (0, 2, 32)


def test_held_out_takes_the_share_of_every_class():
    labels = np.eye(10)[np.arange(200) % 10]
    mask = draw_held_out(labels, 0.25, 0)
    assert mask.sum() == pytest.approx(50, abs=1)
    assert set(labels[mask].sum(0)) <= {4, 5, 6}
    assert np.array_equal(mask, draw_held_out(labels, 0.25, 0))
    assert not np.array_equal(mask, draw_held_out(labels, 0.25, 1))


def test_held_out_never_takes_a_class_whole():
    labels = np.eye(12)[[*range(12), *[0] * 30]]
    for seed in range(20):
        assert (labels[~draw_held_out(labels, 0.6, seed)].sum(0) > 0).all()


def test_validation_divides_the_training_videos(tmp_path):
    whole = data.load(Source(scale="tiny"), tmp_path)
    part = data.load(Source(scale="tiny", split="validation"), tmp_path)
    assert sorted(part.train.ids + part.test.ids) == sorted(whole.train.ids)
    assert len(part.test.ids) == pytest.approx(20, abs=1)
    video = whole.train.ids.index(part.test.ids[3])
    own = whole.train.features[whole.train.offsets[video] : whole.train.offsets[video + 1]]
    assert np.array_equal(part.test.features[part.test.offsets[3] : part.test.offsets[4]], own)


def test_draws_with_replacement_only_where_a_video_is_short() -> None:
    """n < T: T sorted draws of all n; n > T: a snippet of each bin, the last from the one before it on; n = T: all."""
    rng = np.random.default_rng(0)
    found = np.stack([replaced(np.array([5, 12, 40]), 12, rng) for _ in range(4000)])  # (draws, 3, T)
    short, whole, long = found.swapaxes(0, 1)
    assert (np.diff(short) >= 0).all()
    shares = np.bincount(short.ravel(), minlength=5) / short.size
    np.testing.assert_allclose(shares, 1 / 5, atol=0.01)
    assert (np.apply_along_axis(lambda row: len(set(row)), 1, short) < 5).any(), "with replacement some are missing"
    assert (whole == np.arange(12)).all()
    for t in range(11):
        assert set(long[:, t]) == set(range(t * 40 // 12, min((t + 1) * 40 // 12, 39) + 1))
    assert (long[:, -1] >= long[:, -2]).all()
    assert set(long[:, -1]) == set(range(long[:, -2].min(), 40))


@pytest.mark.parametrize("longest", [0, 9])
def test_windows_are_runs_and_the_rest_is_padding(longest: int) -> None:
    rng, lengths, starts = np.random.default_rng(0), np.array([3, 9, 14]), set()
    for _ in range(300):
        found = windows(lengths, longest, rng)
        kept = np.minimum(lengths, longest) if longest else lengths
        assert found.shape == (3, kept.max())
        for row, n, L in zip(found, lengths, kept):
            assert (np.diff(row[:L]) == 1).all()
            assert (row[L:] == -1).all()
            assert row[0] >= 0
            assert row[L - 1] < n
        starts.add(int(found[2, 0]))
    assert starts == (set(range(6)) if longest else {0})
    assert (windows(lengths, longest, None)[:, 0] == 0).all()


def test_padding_is_a_row_of_zeros_that_counts_nowhere(tmp_path: Path) -> None:
    split = data.load(Source(scale="tiny"), tmp_path).train
    videos, features = np.array([1, 2, 4]), on_device(split, torch.device("cpu"))
    batch = make_batch(features, split, videos, windows(split.lengths[videos], 0, None), "fp32")
    assert batch.lengths is not None
    np.testing.assert_array_equal(batch.lengths.numpy(), split.lengths[videos])
    for b, video in enumerate(videos):
        n = split.lengths[video]
        own = np.asarray(split.features[split.offsets[video] : split.offsets[video + 1]])
        for m, x in enumerate(batch.x):
            np.testing.assert_array_equal(x[batch.rows[b, :n]].numpy(), own[:, m])
            assert not x[batch.rows[b, n:]].any()
    assert len(batch.counted) == split.lengths[videos].sum()


@pytest.mark.parametrize("up", [True, False])
def test_foreground_of_videos_of_their_own_length(up: bool) -> None:
    """Q^A is, video by video, what the video alone would be given, and 0 on padding."""
    rng, lengths = torch.Generator().manual_seed(0), torch.tensor([30, 17, 9])
    scores, labels = torch.randn(2, 3, 30, 4, generator=rng), torch.tensor([[1, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0.0]])
    batch = Batch.of(torch.zeros(2, 3, 30, 1), labels, lengths=lengths)
    found = label_highest(scores, 8, batch, up)
    for b, L in enumerate(lengths.tolist()):
        k = max(1, -(-L // 8) if up else L // 8)
        for m in range(2):
            expected = torch.zeros(30)
            for c in labels[b].nonzero()[:, 0]:
                expected[sorted(range(L), key=lambda t: -scores[m, b, t, c])[:k]] = 1
            assert torch.equal(found[m, b], expected)
