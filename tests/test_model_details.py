r"""Which of two things an equation means, where both would run: streams, rounds, marginals, monitors, inference."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.compute import train
from harness.compute.batches import on_device
from harness.data.sampling import uniform
from harness.study.presets import load_preset
from model.baselines.proposed import inference, training_selection
from model.case import Case, attention_monitors, cluster_monitors
from model.labeling import label_classes, label_clusters
from model.options import ProposedOptions
from model.settings import CaseSettings, CoLabel
from model.streams import Batch, Carried, Shape, Snippets

M, B, T, C, K, H = 2, 3, 16, 4, 4, 8
APART = CoLabel(select=False, classes=False, clusters=False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def q_r(seed: int = 0) -> Tensor:
    """A Q^R (M, K, 2) in which no two streams or clusters agree."""
    share = torch.rand(M, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.stack([share, 1 - share], -1)


def column_error(Q: Tensor, beta: Tensor) -> float:
    return float((Q.sum(-2) - beta).abs().max())


@pytest.mark.parametrize(("clusters", "classes"), [(1, 400), (400, 1)])
def test_each_labelling_has_its_own_rounds(clusters: int, classes: int) -> None:
    settings = CaseSettings(clusters=K, co_label=APART, sinkhorn_steps=clusters, sinkhorn_steps_r=classes, epsilon=1)
    Q_C = label_clusters(2 * noise(M, 24, K), torch.rand(M, 24, dtype=torch.float64), q_r(), settings).Q
    Q_A = (noise(M, 24, seed=1) > 0.7).double()
    Q_R = label_classes(2 * noise(M, K, 2, seed=2), Q_A, settings).Q
    share = Q_A.mean(-1)
    exact_c = column_error(Q_C, torch.full((K,), 24 / K)) < 1e-6
    exact_r = column_error(Q_R, K * torch.stack([share, 1 - share], -1)) < 1e-6
    assert (exact_c, exact_r) == (clusters == 400, classes == 400)


def test_eq_22_fuses_beta_too() -> None:
    """With fused classes the columns of Q^R sum to K times the mean share of both streams."""
    settings = CaseSettings(clusters=K, co_label=CoLabel(classes=True), sinkhorn_steps_r=2000, epsilon=2)
    Q_A = torch.stack([torch.ones(24).double() * (torch.arange(24) < 3), (torch.arange(24) < 15).double()])
    Q_R = label_classes(noise(M, K, 2), Q_A, settings).Q
    assert Q_R.shape == (1, K, 2)
    mean = (3 / 24 + 15 / 24) / 2
    np.testing.assert_allclose(Q_R.sum(-2)[0], [K * mean, K * (1 - mean)], rtol=1e-6)


def test_eq_17_reads_each_stream_with_its_own_q_r() -> None:
    case = Case(CaseSettings(width=H, clusters=K), Shape((5,) * M, C, H), 0).double().eval()
    batch = Batch.of(noise(M, B, T, 5), torch.zeros(B, 1).double())
    carried = Carried(q_r())
    scores = case.scores(batch, carried)
    for v, m, t in ((0, 0, 3), (1, 1, 7), (2, 0, 15)):
        expected = sum(scores["P_C"][v, m, t, k] * carried.Q_R[m, k, 0] for k in range(K))
        assert float(scores["clusters"][v, m, t]) == pytest.approx(float(expected))


def test_monitors_are_what_they_are_called() -> None:
    logits, Q_C = noise(M, 24, K), noise(M, 24, K, seed=1).softmax(-1)
    found = cluster_monitors(logits, Q_C, q_r())
    P_C = logits.softmax(-1).numpy()
    mean = P_C.mean(1)  # (M, K): over snippets, each stream by itself
    assert float(found["entropy/mean_P_C"]) == pytest.approx(float(np.mean(-(mean * np.log(mean)).sum(-1))))
    assert float(found["entropy/P_C"]) == pytest.approx(float(np.mean(-(P_C * np.log(P_C)).sum(-1))))
    P_A, Q_A = torch.rand(M, B, T), (torch.rand(M, B, T) > 0.8).float()
    found = attention_monitors(P_A, Q_A)
    assert float(found["P_A/selected"]) == pytest.approx(float(P_A[Q_A > 0].mean()))
    assert float(found["P_A/unselected"]) == pytest.approx(float(P_A[Q_A == 0].mean()))
    assert float(found["Q_A/share"]) == pytest.approx(float(Q_A.mean()))
    sides = P_A.numpy() >= 0.5
    assert float(found["P_A/agreement"]) == pytest.approx((sides[0] == sides[1]).mean())


def test_the_warm_up_selects_by_class_scores_alone() -> None:
    snippets = Snippets(noise(M, B, T, C), torch.rand(M, B, T, dtype=torch.float64), noise(M, B * T, H))
    labels = torch.ones(B, C).double()
    warm = training_selection(snippets, Batch.of(noise(M, B, T, 5), labels, warm=1.0), False, 0.25, 4)
    late = training_selection(snippets, Batch.of(noise(M, B, T, 5), labels), False, 0.25, 4)
    P_V = snippets.cas.softmax(-1)
    torch.testing.assert_close(warm, P_V.topk(4, dim=-2).indices)
    mixed = 0.25 * P_V + 0.75 * snippets.attention.unsqueeze(-1)
    torch.testing.assert_close(late, mixed.topk(4, dim=-2).indices)
    assert not torch.equal(warm, late)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(settings, data set) at tiny scale, released head."""
    settings = load_preset("released", scale="tiny")
    return settings, train.data.load(settings.source, tmp_path_factory.mktemp("mlruns"))


def started(settings, dataset):
    streams = train.Streams.of(0, torch.device("cpu"))
    return train.start(settings, dataset, streams, torch.device("cpu")), streams


def test_the_warm_up_lasts_as_many_steps_as_it_says(tiny, monkeypatch) -> None:
    settings, dataset = tiny
    state, streams = started(settings, dataset)
    warm: list[float] = []
    monkeypatch.setattr(train, "update", lambda state, batch: warm.append(batch.warm))
    training = replace(settings.training, steps=6, warm_up=2)
    list(train.steps(state, dataset.train, training, streams))
    assert warm == [1, 1, 0, 0, 0, 0]


def test_the_released_head_is_projected_before_each_step(tiny) -> None:
    """Rows scaled by 3 before a step give the same logits: they have unit norm when it begins."""
    settings, dataset = tiny
    logits = []
    for scale in (1.0, 3.0):
        state, streams = started(settings, dataset)
        with torch.no_grad():
            state.case.head.weight.mul_(scale)
        _, step = next(train.steps(state, dataset.train, settings.training, streams))
        logits.append(step.logits["clusters"].detach())
    torch.testing.assert_close(logits[0], logits[1], rtol=1e-5, atol=1e-5)


def test_test_videos_are_sampled_evenly(tiny) -> None:
    """Scores of a video are those of its snippets floor(t n / T), in this order."""
    settings, dataset = tiny
    state, _ = started(settings, dataset)
    split, T_ = dataset.test, settings.training.snippets
    found = train.test_scores(state, split, settings.training)
    state.case.eval()
    features = on_device(split, torch.device("cpu"))
    for v in (0, 37):
        index = split.offsets[v] + uniform(split.lengths[v : v + 1], T_)[0]
        grid = torch.stack([stream[torch.from_numpy(index)] for stream in features])
        with torch.no_grad():
            own = state.case.scores(Batch.of(grid[:, None], torch.zeros(1, 1)), state.carried)
        np.testing.assert_allclose(found["attention"][v], own["attention"][0].numpy(), atol=1e-5)


def test_testing_averages_probabilities_and_selects_by_the_calibrated_t_cas() -> None:
    """Appendix E.3: Softmax of each stream, then their mean; video scores pool the snippets of the calibrated T-CAS."""
    cas, refined = 3 * noise(B, M, T, C).numpy(), torch.rand(B, T, dtype=torch.float64).numpy()
    options = ProposedOptions(omega_test=0.3, topk=4)
    found = inference({"cas": cas}, refined, options)
    P_V = np.exp(cas) / np.exp(cas).sum(-1, keepdims=True)
    calibrated = 0.3 * P_V.mean(1) + 0.7 * refined[..., None]
    np.testing.assert_allclose(found.groups["calibrated"].threshold_on, calibrated, rtol=1e-10)
    for v in range(B):
        pooled = np.zeros((M, C))
        for c in range(C):
            best = np.argsort(calibrated[v, :, c])[-T // 4 :]
            pooled[:, c] = cas[v][:, best, c].mean(-1)
        each = np.exp(pooled) / np.exp(pooled).sum(-1, keepdims=True)
        np.testing.assert_allclose(found.video[v], each.mean(0), rtol=1e-10)


def test_a_step_carries_the_labels_of_its_own_logits() -> None:
    """Q^R is Eq. 11's of the step's P^R and Q^A, Q^C is Eq. 15's of its P^C, P^A and the Q^R it was given."""
    settings = CaseSettings(width=H, clusters=K, co_label=APART, epsilon=0.5)  # soft labels, in which a slip shows
    case = Case(settings, Shape((5,) * M, C, H), 0).double()
    batch = Batch.of(noise(M, B, T, 5), torch.eye(C)[:B].double())
    step = case.step(Carried(q_r()), batch)
    expected = label_classes(step.logits["classes"].detach(), step.pseudo.Q_A.flatten(1), settings).Q
    torch.testing.assert_close(step.carried.Q_R, expected)
    attention = case.baseline(batch).attention.detach().flatten(1)
    clusters = label_clusters(step.logits["clusters"].detach(), attention, q_r(), settings).Q
    torch.testing.assert_close(step.pseudo.Q_C, clusters)
