r"""Scores as they are stored: errors within what is stated, the same bits in memory and in the file, small."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.compute import score, train
from harness.settings import Localization, Settings, Source, Training
from harness.store import results, scores
from harness.store.jobs import Job
from model.settings import CaseSettings

V, M, T, C, K = 12, 2, 30, 5, 4
SMALL = Source(scale="tiny", knobs={"train_videos": 24, "test_videos": 12})
SHORT = Training(snippets=T, batch=8, steps=6, lr=3e-3, warm_up=2, evaluate_every=3)
SCORED = Settings(
    CaseSettings(width=16, clusters=6), SHORT, Localization(thresholds={"calibrated": (0.3, 0.5)}), source=SMALL
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("spread", [0.1, 4.0, 1e3])
def test_logits_err_by_a_hundredth_of_their_distance_to_the_highest(spread: float, rng) -> None:
    cas = rng.normal(0, spread, (V, M, T, C)).astype(np.float32)
    kept = scores.round_scores({"cas": cas})["cas"]
    top = cas.max(-1, keepdims=True)
    shift = kept.max(-1, keepdims=True) - top  # the same for all classes: a softmax does not see it
    assert np.abs(shift).max() <= 1 / 64 + 1e-6 * spread
    assert (np.abs(kept - shift - cas) <= 0.0101 * (1 + top - cas) + 1e-6 * spread).all()
    assert kept.dtype == np.float32


@pytest.mark.parametrize("name", ["attention", "clusters", "oracle", "tcam"])
def test_probabilities_err_by_less_than_a_snippet_of_them_shows(name: str, rng) -> None:
    values = rng.beta(0.3, 0.3, (V, M, T)).astype(np.float32)
    kept = scores.round_scores({name: values})[name]
    assert np.abs(kept - values).max() <= 1 / 4096 + 1e-7
    both = np.minimum(values, 1 - values.astype(float))
    assert (np.abs(kept.astype(float) - values) <= both / 512 + 1e-7).all(), "small ones, and those near 1, err less"
    order = np.argsort(values, axis=None)
    assert (np.diff(kept.ravel()[order]) >= 0).all()


def test_streams_that_contradict_each_other_stay_tied_at_one_half() -> None:
    values = np.array([[[0.0, 1.0, 1.0]], [[1.0, 0.0, 1.0]]], np.float32)
    kept = scores.round_scores({"attention": values})["attention"]
    assert (kept.mean(0, dtype=np.float64) >= 0.5).all()
    np.testing.assert_array_equal(kept[values == 1], 1)


def test_the_file_holds_the_bits_that_were_scored(tmp_path: Path, rng) -> None:
    given = {
        "cas": rng.normal(0, 4, (V, M, T, C)).astype(np.float32),
        "attention": rng.random((V, M, T)).astype(np.float32),
        "background": rng.normal(0, 4, (V, T)).astype(np.float32),
        "owner": rng.integers(0, K, (V, T), dtype=np.uint8),
        "Q_R": rng.random((M, K, 2)).astype(np.float32),
        "mean_P_C": rng.random((M, K)),
    }
    packed = scores.pack_scores(given)
    results.write_training(tmp_path, "t", {"status": "ok"}, {"scores": packed}, {}, Settings())
    read, scored = results.read_scores(tmp_path, "t"), scores.unpack_scores(packed)
    assert read.keys() == scored.keys() == given.keys()
    for name, values in given.items():
        assert read[name].dtype == scored[name].dtype == values.dtype
        np.testing.assert_array_equal(read[name], scored[name])
    for name in ("Q_R", "mean_P_C", "owner"):
        np.testing.assert_array_equal(read[name], given[name])
    np.testing.assert_allclose(read["background"], given["background"], rtol=2**-11)


def test_a_fused_streams_logits_and_clocks_lose_less(rng) -> None:
    cas = rng.normal(0, 4, (V, 1, T, C)).astype(np.float32)
    clock = np.cumsum(rng.random((V, 900)), 1, dtype=np.float32)
    kept = scores.round_scores({"cas": cas, "clock": clock})
    np.testing.assert_allclose(kept["cas"], cas, rtol=2**-11)
    np.testing.assert_array_equal(kept["clock"], clock)


def test_what_has_no_code_is_kept_as_it_is() -> None:
    values = np.array([[[[0.0, np.inf]]]], np.float32)
    large = np.array([1e5, -3.0], np.float32)
    kept = scores.round_scores({"cas": values, "extra": large})
    np.testing.assert_array_equal(kept["cas"], values)
    np.testing.assert_array_equal(kept["extra"], large)


def test_a_file_of_before_is_read_and_one_of_later_refused(rng) -> None:
    before = {"cas": rng.normal(size=(V, M, T, C)).astype(np.float32), "Q_R": np.ones((M, K, 2), np.float32)}
    for name, values in scores.unpack_scores(before).items():
        np.testing.assert_array_equal(values, before[name])
    with pytest.raises(ValueError, match="form 3; this version reads forms up to 2"):
        scores.unpack_scores({"form": np.array(3)})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Job:
    """A finished training with its first scoring."""
    root = tmp_path_factory.mktemp("mlruns")
    job = Job("t", SCORED, 0, {"s": SCORED}, root, "t")
    train.fit(job, lambda progress: None)
    return job


def test_scoring_again_gives_the_bits_of_the_training(trained: Job) -> None:
    root = trained.root
    first = results.read_result(root, "t", "s")
    score.rescore(replace(trained, scorings={"again": SCORED}, rescore=True))
    again = results.read_result(root, "t", "again")
    learned = {name: value for name, value in first["metrics"].items() if not name.startswith("entropy/Q")}
    assert {name: again["metrics"][name] for name in learned} == learned
    assert results.read_predictions(root, "t", "again") == results.read_predictions(root, "t", "s")
    assert sum(map(len, results.read_predictions(root, "t", "s").values())), "else nothing was compared"


def test_scores_take_a_fraction_of_their_floats(trained: Job) -> None:
    kept = results.read_scores(trained.root, "t")
    assert "P_C" not in kept
    floats = sum(kept[name].nbytes for name in ("cas", "attention", "clusters"))
    floats += kept["clusters"].nbytes * SCORED.case.clusters  # P_C
    stored = (results.training_folder(trained.root, "t") / "scores.npz").stat().st_size
    assert stored < floats / 3


def test_what_figures_read_of_the_clusters_is_theirs(trained: Job, rng) -> None:
    P_C = rng.dirichlet(np.ones(K), (V, M, T)).astype(np.float32)
    truth = score.Truth(rng.random((V, T)) < 0.4, np.ones(V), np.zeros((V, C)), ())
    kept = score.reduced({"P_C": P_C, "Q_R": np.ones((M, K, 2))}, truth)
    for v, t in ((0, 0), (3, 17), (11, 29)):
        joint = [sum(float(P_C[v, m, t, k]) for m in range(M)) / M for k in range(K)]
        assert kept["owner"][v, t] == int(np.argmax(joint))
        assert kept["owner_P_C"][v, t] == pytest.approx(max(joint))
    assert set(kept) == {"Q_R", "oracle", "mean_P_C", "entropy", "owner", "owner_P_C"}
    assert "P_C" in score.reduced({"P_C": P_C, "embedding": P_C}, truth), "Fig. 6 weighs embeddings by it"
