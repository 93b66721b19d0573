r"""Numbers of ``harness.compute.score`` against plain loops: truth on the grid, \hat P^A in testing, each column."""

from dataclasses import replace

import numpy as np
import pytest

from harness import data
from harness.compute import score
from harness.study.presets import load_preset

V, M, T, K, C = 60, 2, 40, 4, 8


@pytest.fixture(scope="module")
def settings():
    return load_preset("paper", scale="tiny")


@pytest.fixture(scope="module")
def dataset(settings, tmp_path_factory) -> data.Dataset:
    return data.load(settings.source, tmp_path_factory.mktemp("mlruns"))


@pytest.fixture(scope="module")
def truth(dataset) -> score.Truth:
    return score.Truth.of(dataset.test, T)


@pytest.fixture
def scores() -> dict[str, np.ndarray]:
    """Random scores; Q^R of the two streams differs, so that taking one for both would show."""
    rng = np.random.default_rng(0)
    P_C = rng.dirichlet(np.ones(K), (V, M, T)).astype(np.float32)
    Q_R = np.array([[0.9, 0.1, 0.2, 0.6], [0.1, 0.7, 0.8, 0.3]])
    return {
        "cas": rng.normal(0, 2, (V, M, T, C)).astype(np.float32),
        "attention": rng.random((V, M, T)).astype(np.float32),
        "P_C": P_C,
        "clusters": np.einsum("vmtk,mk->vmt", P_C, Q_R).astype(np.float32),
        "Q_R": np.stack([Q_R, 1 - Q_R], -1),
    }


def with_(settings, **changes):
    """Settings with parts of their groups replaced: localization={...}, case={...}."""
    groups = {name: replace(getattr(settings, name), **values) for name, values in changes.items()}
    return replace(settings, **groups)


def test_truth_on_the_grid_is_that_of_the_snippet_shown(dataset) -> None:
    """Segments rounded to snippets, both ends included; position t shows snippet floor(t n / T)."""
    truth, split = score.Truth.of(dataset.test, T), dataset.test
    for v in range(12):
        n, seconds = int(split.lengths[v]), float(split.snippet_seconds[v])
        for t in range(T):
            snippet = int(t * n // T)
            inside = [round(start / seconds) <= snippet <= round(end / seconds) for start, end, _ in split.segments[v]]
            assert truth.foreground[v, t] == any(inside), (v, t)
        assert truth.seconds[v] == pytest.approx(n * seconds)
    assert 0.1 < truth.foreground.mean() < 0.9, "else nothing is tested"
    np.testing.assert_array_equal(truth.labels, split.labels)


@pytest.mark.parametrize("cat", [0.0, 0.25, 1.0])
def test_refined_attention_mixes_what_streams_agree_on(cat: float, scores) -> None:
    mine = score.refined(scores, cat)
    for v, t in ((0, 0), (3, 17), (5, 39)):
        P_A = sum(float(scores["attention"][v, m, t]) for m in range(M)) / M
        hat = sum(float(scores["clusters"][v, m, t]) for m in range(M)) / M
        assert mine[v, t] == pytest.approx((1 - cat) * P_A + cat * hat, rel=1e-12)
    assert mine.dtype == np.float64


def test_refined_attention_needs_no_clusters_without_cat(scores) -> None:
    del scores["clusters"]
    np.testing.assert_allclose(score.refined(scores, 0), scores["attention"].mean(1, dtype=np.float64))


def measured(scores, settings, truth) -> dict[str, float]:
    return score.evaluate(score.reduced(scores, truth), settings, truth, tuple(map(str, range(C))))[0]


@pytest.mark.parametrize("cat", [0.0, 0.25, 1.0])
def test_each_accuracy_is_of_the_attention_that_it_names(cat: float, scores, settings, truth) -> None:
    found = measured(scores, with_(settings, case={"cat": cat}), truth)
    P_A, hat = scores["attention"].mean(1, dtype=float), scores["clusters"].mean(1, dtype=float)
    kinds = {
        "acc": (1 - cat) * P_A + cat * hat,
        "acc/attention": P_A,
        "acc/clusters": hat,
        "acc/fused": (P_A + hat) / 2,
    }
    for name, attention in kinds.items():
        right = [a >= 0.5 for a in attention.ravel()] == truth.foreground.ravel()
        assert found[name] == pytest.approx(100 * np.mean(right)), name
    share = truth.foreground.mean()
    assert found["acc/majority"] == pytest.approx(100 * max(share, 1 - share))
    assert len({round(found[name], 6) for name in kinds}) >= 3, "else an exchange of columns would not show"


def test_each_area_under_the_curve_counts_ordered_pairs(scores, settings, truth) -> None:
    found = measured(scores, settings, truth)
    P_A, hat = scores["attention"].mean(1, dtype=float), scores["clusters"].mean(1, dtype=float)
    kinds = {"attention": P_A, "clusters": hat, "fused": (P_A + hat) / 2}
    kinds |= {"stream/1": scores["attention"][:, 0], "stream/2": scores["attention"][:, 1]}
    for name, attention in kinds.items():
        positive, negative = attention[truth.foreground], attention[~truth.foreground]
        above = np.mean([np.mean(p > negative) + np.mean(p == negative) / 2 for p in positive])
        assert found[f"auc/{name}"] == pytest.approx(100 * above), name


def test_entropies_are_of_each_prediction_and_of_their_mean_per_stream_and_snippets(scores, settings, truth) -> None:
    """H(P^C) over snippets; H of the mean over the snippets of all streams."""
    found = measured(scores, settings, truth)
    each = [-sum(p * np.log(p)) for p in scores["P_C"].astype(float).reshape(-1, K)]
    mean = scores["P_C"].astype(float).mean((0, 2))  # (M, K)
    assert found["entropy/P_C"] == pytest.approx(np.mean(each))
    assert found["entropy/mean_P_C"] == pytest.approx(np.mean([-sum(p * np.log(p)) for p in mean]))


def test_each_stream_has_its_own_mean_attention(scores, settings, truth) -> None:
    found = measured(scores, settings, truth)
    for m in range(M):
        assert found[f"mean/stream/{m + 1}"] == pytest.approx(scores["attention"][:, m].mean(), rel=1e-6)


def test_video_map_is_of_video_scores_not_of_detections(scores, settings, truth) -> None:
    """Planted T-CAS: each video's own classes score highest, so every ranking is perfect."""
    scores["cas"] = (8 * truth.labels[:, None, None, :] + 0 * scores["cas"]).astype(np.float32)
    assert measured(scores, settings, truth)["video_map"] == pytest.approx(100)


def test_planted_detections_have_a_perfect_map(scores, settings, truth, dataset) -> None:
    """Attention and T-CAS that follow the truth: mAP at a low tIoU is high, and 0 where the classes are exchanged."""
    labels = truth.labels[:, None, None, :] * np.ones((V, M, T, 1))
    scores["cas"] = (6 * labels).astype(np.float32)
    for name in ("attention", "clusters"):
        scores[name] = np.broadcast_to(truth.foreground[:, None], (V, M, T)).astype(np.float32)
    good = measured(scores, settings, truth)
    scores["cas"] = np.roll(scores["cas"], 1, -1)
    assert good["map/0.10"] > 40
    assert measured(scores, settings, truth)["map/0.10"] < 15
    given = [good[f"map/{tiou:.2f}"] for tiou in settings.metrics.tiou]
    assert good["map/avg"] == pytest.approx(np.mean(given))
    assert good["map/0.1:0.5"] == pytest.approx(np.mean(given[:5]))
    assert good["map/0.3:0.7"] == pytest.approx(np.mean(given[2:]))


def test_oracle_gives_each_cluster_of_each_stream_its_true_foreground_rate(scores, settings, truth) -> None:
    P_C, F = scores["P_C"].astype(float), truth.foreground
    expected = np.zeros((V, M, T))
    for m in range(M):
        for k in range(K):
            rate = (P_C[:, m, :, k] * F).sum() / P_C[:, m, :, k].sum()
            expected[:, m] += P_C[:, m, :, k] * rate
    asked = with_(settings, localization={"q_r": "oracle"})
    scores = score.reduced(scores, truth)
    np.testing.assert_allclose(score.adapted(scores, asked)["clusters"], expected, rtol=1e-6)  # kept as float32
    np.testing.assert_array_equal(score.adapted(scores, settings)["clusters"], scores["clusters"])


def test_quantile_matching_keeps_the_order_and_takes_the_values(scores, settings, truth) -> None:
    asked = with_(settings, localization={"match": "quantile"})
    matched = score.adapted(scores, asked)["clusters"]
    np.testing.assert_array_equal(np.sort(matched, axis=None), np.sort(scores["attention"], axis=None))
    order = np.argsort(scores["clusters"], axis=None, kind="stable")
    assert (np.diff(matched.ravel()[order]) >= 0).all()


def test_label_entropies_are_means_over_the_last_tenth() -> None:
    step = np.arange(1, 101)
    curves = {"step": step, "entropy/Q_C": step / 10, "entropy/Q_R": np.where(step > 90, 2.0, 7.0)}
    found = score.label_entropies(curves)
    assert found == {"entropy/Q_C": pytest.approx(np.mean(np.arange(91, 101)) / 10), "entropy/Q_R": 2.0}
