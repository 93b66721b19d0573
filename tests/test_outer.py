"""The outer loop of a baseline: segments of all training videos from its own detections (ASM-Loc), and their clocks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness import data
from harness.compute import score, train
from harness.compute.batches import make_batch, make_blended, on_device
from harness.compute.clocks import even_out, find_nearest
from harness.compute.outer import prepare_test, refresh
from harness.data.sampling import between, uniform
from harness.settings import Settings
from model.options import AsmlocOptions
from model.segments import Found, find_boxes, keep_surest, sampled, start_clock, weigh

from support.baseline_settings import of_baseline

STEPS, T = 16, 40


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, data.Dataset]:
    s = of_baseline("asmloc")
    case = replace(s.case, options=AsmlocOptions(segments=6, dropout=0.0), clusters=3, sinkhorn_steps=5)
    source, training = replace(s.source, scale="tiny"), replace(s.training, steps=STEPS, snippets=T, batch=8, lr=3e-3)
    settings = replace(s, case=case, source=source, training=training)
    return settings, data.load(source, tmp_path_factory.mktemp("data"))


def started(tiny: tuple[Settings, data.Dataset], **options: object) -> tuple[train.State, train.Streams, Settings]:
    settings, dataset = tiny
    case = replace(settings.case, options=replace(settings.case.options, **options))
    settings, streams = replace(settings, case=case), train.Streams.of(3, torch.device("cpu"))
    return train.start(settings, dataset, streams, torch.device("cpu")), streams, settings


def weights(state: train.State) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in state.case.state_dict().items()}


def test_segments_are_made_when_the_schedule_says(tiny) -> None:
    """Released: after 100, 200 and 300 of 800 epochs, carried over to 16 steps: before steps 3, 5 and 7."""
    state, streams, settings = started(tiny)
    made = [set()]
    for _, step in train.steps(state, tiny[1].train, settings.training, streams):
        made.append({name for name in step.carried.memory if "." not in name})
    assert made[:3] == [set()] * 3
    assert all(names == {"boxes", "counts", "labels", "clock"} for names in made[3:])
    assert [n for n in range(1, 17) if state.case.baseline.refreshes(n, STEPS)] == [3, 5, 7]
    memory, split = state.carried.memory, tiny[1].train
    assert memory["boxes"].shape == (len(split.ids), 6, 2)
    assert memory["counts"].sum() > 0
    assert memory["boxes"].max() < T
    present = torch.from_numpy(np.pad(split.labels, ((0, 0), (0, 1)), constant_values=1))
    assert not (memory["labels"].amax(1) * (present == 0)).any(), "a class that the video does not have"
    torch.testing.assert_close(memory["labels"].sum(-1), torch.ones(len(split.ids), T))
    for clock, n in zip(memory["clock"], split.lengths):
        own = clock[~clock.isnan()]
        assert len(own) == n + 1
        assert (own.diff() > 0).all()
        assert float(own[-1]) == pytest.approx(round(float(own[-1])), abs=1e-9)


@pytest.mark.parametrize("restart", [True, False])
def test_new_weights_follow_where_asked(tiny, restart: bool) -> None:
    state, streams, settings = started(tiny, restart=restart)
    first = weights(state)
    steps = train.steps(state, tiny[1].train, settings.training, streams)
    for _ in range(2):
        next(steps)
    features, before = on_device(tiny[1].train, torch.device("cpu")), weights(state)
    train.refresh_state(state, features, tiny[1].train, settings.training, 3)
    expected = first if restart else before
    assert all(torch.equal(value, expected[name]) for name, value in weights(state).items())
    assert bool(state.optimizer.state) != restart
    assert not torch.equal(first["baseline.encoder.copies.0.weight"], before["baseline.encoder.copies.0.weight"])


def test_refreshing_changes_nothing_else(tiny) -> None:
    """State in, state out: the same again from the same state, to the bit, and no weight moves."""
    state, streams, settings = started(tiny, restart=False)
    steps = train.steps(state, tiny[1].train, settings.training, streams)
    for _ in range(6):
        next(steps)
    features, before, carried = on_device(tiny[1].train, torch.device("cpu")), weights(state), state.carried
    kept = {name: value.clone() for name, value in carried.memory.items()}
    once, again = (refresh(state.case, carried, features, tiny[1].train, settings.training) for _ in range(2))
    assert all(torch.equal(a.nan_to_num(-1), again.memory[name].nan_to_num(-1)) for name, a in once.memory.items())
    assert all(torch.equal(a.nan_to_num(-1), carried.memory[name].nan_to_num(-1)) for name, a in kept.items())
    assert all(torch.equal(value, before[name]) for name, value in weights(state).items())
    assert state.case.training


def test_every_weight_learns_once_there_are_segments(tiny) -> None:
    """With three segments planted in each video: a single one is all that it may attend to."""
    state, streams, settings = started(tiny)
    steps = train.steps(state, tiny[1].train, settings.training, streams)
    for _ in range(12):
        next(steps)
    memory = state.carried.memory
    boxes = memory["boxes"].clone()
    boxes[:, :3] = torch.tensor([[25, 38], [9, 20], [2, 12]])
    planted = {**memory, "boxes": boxes, "counts": torch.full_like(memory["counts"], 3)}
    state.carried = replace(state.carried, memory=planted)
    _, step = next(steps)
    assert float(step.parts["pseudo"].detach()) != 0
    for name, weight in state.case.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name
        assert float(weight.grad.abs().sum()) > 0, name


def test_test_labels_are_not_read(tiny) -> None:
    """Segments of test videos are made of whatever is detected: other labels, the same scores."""
    state, streams, settings = started(tiny)
    for _ in train.steps(state, tiny[1].train, settings.training, streams):
        pass
    split = tiny[1].test
    own = train.test_scores(state, split, settings.training)
    other = train.test_scores(state, replace(split, labels=1 - split.labels), settings.training)
    for name, values in own.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)
    assert own["clock"].shape == (len(split.ids), split.lengths.max() + 1)
    even = even_out(own, T)
    assert even["attention"].shape == (len(split.ids), 1, T)
    assert even["P_C"].shape == (len(split.ids), 1, T, 3)


def test_each_test_video_stands_alone(tiny) -> None:
    """A video's segments do not depend on the others of its batch."""
    state, streams, settings = started(tiny)
    for _ in train.steps(state, tiny[1].train, settings.training, streams):
        pass
    split, features = tiny[1].test, on_device(tiny[1].test, torch.device("cpu"))
    state.case.eval()
    arguments = state.case, state.carried, features, split
    all_, carried = prepare_test(*arguments, np.arange(5), settings.training)
    alone, own = prepare_test(*arguments, np.array([3]), settings.training)
    for name in ("boxes", "counts", "labels", "clock"):
        torch.testing.assert_close(carried.memory[name][3], own.memory[name][0], equal_nan=True)
    torch.testing.assert_close(all_.x[0][all_.rows[3]], alone.x[0][alone.rows[0]])


def test_features_between_snippets_by_a_slow_formula(tiny) -> None:
    split, rng = tiny[1].train, np.random.default_rng(0)
    videos, features = np.array([2, 0, 5]), on_device(tiny[1].train, torch.device("cpu"))
    n = split.lengths[videos]
    places = np.sort(rng.uniform(-0.9, n[:, None] - 1, (3, T)), 1)
    places[:, 5] = places[:, 4]
    batch = make_blended(features, split, videos, places, "fp32")
    for b, video in enumerate(videos):
        own = split.features[split.offsets[video] : split.offsets[video + 1]]
        for t, place in enumerate(places[b]):
            i = min(max(int(np.floor(place)), 0), n[b] - 2)
            expected = own[i] + (place - i) * (own[i + 1] - own[i])
            for m, x in enumerate(batch.x):
                np.testing.assert_allclose(x[batch.rows[b, t]].numpy(), expected[m], atol=1e-5)
    assert len(batch.x[0]) == 3 * (T - 1) + 1


def test_whole_places_are_the_snippets_themselves(tiny) -> None:
    split, videos = tiny[1].train, np.array([1, 4])
    features = on_device(split, torch.device("cpu"))
    indices = uniform(split.lengths[videos], T)
    plain = make_batch(features, split, videos, indices, "fp32")
    between_ = make_blended(features, split, videos, indices.astype(float), "fp32")
    for a, b in zip(plain.x, between_.x):
        assert torch.equal(a[plain.rows], b[between_.rows])
    left, share, _ = between(split, videos, indices.astype(float))
    assert np.isin(share, (0, 1)).all()
    assert left.max() < split.offsets[5]


def test_weights_of_a_planted_detection() -> None:
    """4 snippets, widened by half on both sides to 8 (inclusive 9), sampled as 12: 9 times 12 / 9."""
    o = AsmlocOptions(segments=5, surest=1.0)
    found = Found(np.array([0]), np.array([1.0]), np.array([10.0]), np.array([14.0]))
    w = weigh(found, 30, o)
    np.testing.assert_allclose(w[8:17], 12 / 9)
    assert (np.delete(w, range(8, 17)) == 1).all()
    clock = start_clock(w)
    assert clock[-1] == pytest.approx(33)
    assert len(sampled(clock)) == 33
    assert (np.diff(sampled(clock)) > 0).all()
    np.testing.assert_array_equal(find_boxes(found, None, 30, 30, o), [[8, 16]])
    np.testing.assert_array_equal(find_boxes(found, clock, 30, 33, o), [[8, 19]])
    assert (weigh(found.at(np.zeros(0, int)), 30, o) == 1).all()


def test_the_surest_of_each_class_count() -> None:
    found = Found(np.array([0, 1, 0, 0]), np.array([0.5, 0.2, 0.3, 0.2]), np.arange(4.0), np.arange(4.0) + 1)
    assert keep_surest(found, 0.8).score.tolist() == [0.5, 0.3]
    assert keep_surest(found, 1.0).score.tolist() == [0.5, 0.3, 0.2, 0.2]
    assert keep_surest(found, 0.4).score.tolist() == []


def test_an_even_clock_changes_no_position() -> None:
    for n in (7, T, 3 * T + 1):
        shown = uniform(np.array([n]), T)[0]
        np.testing.assert_array_equal(shown[find_nearest(np.arange(n + 1.0), T, T)], shown)
        np.testing.assert_array_equal(find_nearest(np.arange(n + 1.0), n, T), shown)


@pytest.mark.parametrize("testing", ["keep", "whole"])
def test_videos_of_their_own_length_are_as_alone(tiny, testing: str) -> None:
    """Scores, class scores and detections of a video do not depend on the lengths of the others."""
    settings, dataset = tiny
    T_ = int(np.median(dataset.test.lengths))
    training = replace(settings.training, testing=testing, snippets=T_, longest=3 * T_)
    s = replace(settings, case=replace(settings.case, options=AsmlocOptions()), training=training)
    state, split = train.start(s, dataset, train.Streams.of(0, torch.device("cpu")), torch.device("cpu")), dataset.test
    scores = train.test_scores(state, split, training)
    expected = np.minimum(split.lengths, 3 * T_ if testing == "whole" else T_)
    np.testing.assert_array_equal(scores["positions"], expected)
    seconds = split.lengths * split.snippet_seconds
    video, found = score.infer(scores, s, seconds)
    assert (np.diff(found.video) >= 0).all()
    for v in (0, 7, 31):
        alone = train.test_scores(state, split.subset(np.array([v])), training)
        n = expected[v]
        assert "positions" not in alone
        np.testing.assert_allclose(scores["P_C"][v, :, :n], alone["P_C"][0], atol=1e-5)
        assert (scores["cas"][v, :, n:] == scores["cas"][v, :, n - 1 : n]).all()
        own, d = score.infer(alone, s, seconds[[v]])
        np.testing.assert_allclose(video[v], own[0], atol=1e-6)
        np.testing.assert_allclose(found.end[found.video == v], d.end, atol=1e-4)
        even = even_out(scores, T_)["attention"][v]
        np.testing.assert_allclose(even, alone["attention"][0][:, uniform(np.array([n]), T_)[0]], atol=1e-6)
    truth = score.Truth.of(split, T_)
    metrics, _ = score.evaluate(score.reduced(scores, truth), s, truth, dataset.classes)
    assert all(np.isfinite(value) for value in metrics.values())
