"""The method's equations against slow formulas written from the paper, properties that must hold, and POT."""

import math
from dataclasses import replace

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.compute import score
from model.case import Case
from model.clustering import ClusterHead, assisted, class_logits, label_loss, prototypes
from model.labeling import (
    argsort_rank,
    class_marginal,
    entropy,
    equipartition,
    label_classes,
    label_clusters,
    log_prior,
    marginal_error,
    true_rank,
)
from model.mil import calibrate, foreground_labels, generalised_bce, pool, select, video_loss
from model.settings import CaseSettings, CoLabel
from model.streams import Batch, Shape, fuse
from model.transport import Labels, log_sinkhorn

M, B, T, C, N, K, H = 2, 3, 10, 4, 30, 5, 6
seeds = pytest.mark.parametrize("seed", range(5))
ENOUGH = 3000  # rounds of Sinkhorn-Knopp


def rand(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def randn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(values) -> list[float]:
    exps = [math.exp(v - max(values)) for v in values]
    return [e / sum(exps) for e in exps]


def close(found, expected, tolerance=1e-10) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=tolerance, atol=tolerance)


# Section 3.1, Appendix E.1


@seeds
def test_eq_1_18_19_video_loss_of_the_k_best_snippets(seed):
    cas, k = randn(seed, B, T, C), 3
    labels = (rand(seed + 9, B, C) < 0.5).double()
    total = 0.0
    for b in range(B):
        means = []
        for c in range(C):
            best = sorted(range(T), key=lambda t: -float(cas[b, t, c]))[:k]
            assert sorted(select(cas, k)[b, :, c].tolist()) == sorted(best)
            means.append(sum(float(cas[b, t, c]) for t in best) / k)
        total -= sum(float(labels[b, c]) * math.log(softmax(means)[c]) for c in range(C)) / B
    close(video_loss(pool(cas, select(cas, k))[None], labels, 0, 0), total)


def test_eq_19_with_a_second_softmax_is_another_loss():
    """As printed, scores could not leave [1 / (1 + (C-1) e), e / (e + C - 1)]: the repair of row 12 is not cosmetic."""
    cas = 8 * randn(0, B, T, C)
    once = pool(cas, select(cas, 3)).softmax(-1)
    twice = pool(cas.softmax(-1), select(cas, 3)).softmax(-1)
    assert float(twice.max()) <= math.e / (math.e + C - 1) < float(once.max())


def test_appendix_e1_calibration_mixes_class_scores_and_attention():
    P_V, P_A = rand(0, T, C), rand(1, T)
    expected = [[0.25 * float(P_V[t, c]) + 0.75 * float(P_A[t]) for c in range(C)] for t in range(T)]
    close(calibrate(P_V, P_A, 0.25), expected)


def test_foreground_is_the_union_over_present_classes():
    selected = torch.tensor([[[0, 1], [2, 3]], [[4, 5], [5, 6]]])  # (B, k, C)
    labels = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    found = foreground_labels(selected, labels, 8)
    assert [row.nonzero().flatten().tolist() for row in found] == [[0, 2], [4, 5, 6]]


@seeds
@pytest.mark.parametrize("gamma", [0.3, 0.7, 1.0])
def test_eq_2_generalised_cross_entropy(seed, gamma):
    P, Q = rand(seed, B, T), (rand(seed + 9, B, T) < 0.3).double()
    positive = [(1 - float(p) ** gamma) / gamma for p, q in zip(P.flatten(), Q.flatten()) if q]
    negative = [(1 - (1 - float(p)) ** gamma) / gamma for p, q in zip(P.flatten(), Q.flatten()) if not q]
    expected = sum(positive) / len(positive) + sum(negative) / len(negative)
    close(generalised_bce(P[None], Q[None], gamma, False, 0), expected)


def test_eq_2_counts_per_video_only_where_asked():
    P, Q = rand(0, 1, B, T), (rand(9, 1, B, T) < 0.3).double()
    each = torch.stack([generalised_bce(P[:, b : b + 1], Q[:, b : b + 1], 0.7, False, 0) for b in range(B)]).mean()
    close(generalised_bce(P, Q, 0.7, True, 0), each)
    assert abs(float(generalised_bce(P, Q, 0.7, False, 0) - each)) > 1e-3


def test_eq_2_tends_to_binary_cross_entropy():
    P, Q = rand(0, 1, B, T), (rand(9, 1, B, T) < 0.3).double()
    bce = -P[Q == 1].log().mean() - (1 - P[Q == 0]).log().mean()
    close(generalised_bce(P, Q, 0, False, 0), bce)
    close(generalised_bce(P, Q, 1e-9, False, 0), bce, 1e-7)


# Section 3.2: clusters


def test_eq_3_and_11_are_mean_cross_entropies():
    Q, logits = rand(0, M, N, K), randn(1, M, N, K)
    expected = 0.0
    for m in range(M):
        for n in range(N):
            P = softmax([float(x) for x in logits[m, n]])
            expected -= sum(float(Q[m, n, k]) * math.log(P[k]) for k in range(K)) / (M * N)
    close(label_loss(Q, logits), expected)


@pytest.mark.parametrize("head", ["in_graph", "projected"])
def test_cluster_head_is_a_cosine(head):
    module = ClusterHead(M, H, K, 10, head, seed=0).double()
    module.project_()
    Z = randn(0, M, N, H)
    for m in range(M):
        for k in range(K):
            w = module.weight[m, k].detach()
            close(module(Z)[m, :, k].detach(), [10 * float(z @ w / z.norm() / w.norm()) for z in Z[m]])


@seeds
def test_eq_8_9_10_classify_clusters_by_their_prototypes(seed):
    Q_C, Q_A, Z = rand(seed, 1, N, K), (rand(seed + 1, M, N) < 0.4).double(), randn(seed + 2, M, N, H)
    for m in range(M):
        centre = [sum(Q_C[0, n, k] * Z[m, n] for n in range(N)) / Q_C[0, :, k].sum() for k in range(K)]
        sides = [Z[m][Q_A[m] == 1].mean(0), Z[m][Q_A[m] == 0].mean(0)]
        expected = [[10 * float(c @ s / c.norm() / s.norm()) for s in sides] for c in centre]
        close(class_logits(Q_C, Q_A, Z, 10)[m], expected)
        close(prototypes(Q_C, Z)[m].norm(dim=-1), np.ones(K))


def test_eq_5_and_12_marginals():
    Q_A = (rand(1, M, N) < 0.4).double()
    close(equipartition(torch.zeros(1, N, K)), np.full((1, K), N / K))
    shares = [[K * float(q.mean()), K * float(1 - q.mean())] for q in Q_A]
    close(class_marginal(Q_A, K, "foreground"), shares)
    close(class_marginal(Q_A, K, 0.5), np.full((M, 2), K / 2))


@seeds
def test_eq_13_prior_pulls_ranked_snippets_to_clusters_of_their_rank(seed):
    a, Q_R, sigma = rand(seed, 1, N), rand(seed + 1, 1, K, 2), 0.3
    order = sorted(range(N), key=lambda n: float(a[0, n]))
    rank = [(order.index(n) + 1) / N for n in range(N)]
    close(true_rank(a)[0], rank)
    expected = [[-((rank[n] - float(Q_R[0, k, 0])) ** 2) / (2 * sigma**2) for k in range(K)] for n in range(N)]
    close(log_prior(true_rank(a), Q_R, sigma)[0], expected)
    down = sorted(range(N), key=lambda n: -float(a[0, n]))
    close(argsort_rank(a)[0], [1 - (down[n] + 1) / N for n in range(N)])


# Optimal transport


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 8), st.integers(2, 7))
def test_eq_4_marginals_hold_in_the_limit(seed, sharpness, clusters):
    scores = sharpness * randn(seed, M, N, clusters)
    Q = log_sinkhorn(scores, equipartition(scores).expand(M, -1), ENOUGH).exp()
    close(Q.sum(-1), np.ones((M, N)), 1e-9)
    assert float(marginal_error(Labels(Q, equipartition(scores), Q.sum()))) < 1e-6


def test_eq_11_marginals_hold_in_the_limit():
    Q_A = (rand(1, M, N) < 0.4).double()
    own = replace(CaseSettings(), clusters=K, epsilon=2.0, sinkhorn_steps_r=ENOUGH, co_label=CoLabel(classes=False))
    Q = label_classes(randn(0, M, K, 2), Q_A, own).Q
    close(Q.sum(-1), np.ones((M, K)), 1e-9)
    close(Q.sum(-2), class_marginal(Q_A, K, "foreground"), 1e-6)


@seeds
def test_eq_7_agrees_with_pot(seed):
    """Eq. 7 is entropic optimal transport with cost -log P and regularisation 1 / epsilon."""
    scores = randn(seed, 1, N, K).log_softmax(-1)
    beta = equipartition(scores)[0].numpy()
    for epsilon in (1.0, 5.0, 20.0):
        plan = ot.sinkhorn(
            np.ones(N), beta, -scores[0].numpy(), 1 / epsilon, "sinkhorn_log", numItermax=20000, stopThr=1e-13
        )
        close(log_sinkhorn(epsilon * scores, equipartition(scores), 20000)[0].exp(), plan, 1e-6)


def objective(Q, log_P, log_hat, epsilon):
    """Eq. 14: <Q, -log P> + KL(Q || hat Q) / epsilon, per stream."""
    return float(-(Q * log_P).sum() + (Q * (Q.clamp_min(1e-300).log() - log_hat)).sum() / epsilon)


@seeds
def test_eq_15_is_better_than_other_feasible_labels(seed):
    own = replace(CaseSettings(), clusters=K, sigma=0.2, epsilon=4.0, sinkhorn_steps=ENOUGH)
    logits, a, Q_R = randn(seed, 1, N, K), rand(seed + 1, 1, N), rand(seed + 2, 1, K, 2)
    best = label_clusters(logits, a, Q_R, own).Q
    log_P, log_hat = logits.log_softmax(-1), log_prior(true_rank(a), Q_R, own.sigma)
    value = objective(best, log_P, log_hat, own.epsilon)
    for other in range(20):
        Q = log_sinkhorn(3 * randn(100 + other, 1, N, K), equipartition(logits), ENOUGH).exp()
        assert objective(Q, log_P, log_hat, own.epsilon) > value
        near = 0.95 * best + 0.05 * Q  # feasible too: the polytope is convex
        assert objective(near, log_P, log_hat, own.epsilon) > value


def test_sigma_without_limit_gives_eq_7():
    own = replace(CaseSettings(), clusters=K, sigma=math.inf, sinkhorn_steps=50)
    logits, a, Q_R = randn(0, M, N, K), rand(1, M, N), rand(2, M, K, 2)
    without = log_sinkhorn(own.epsilon * logits.softmax(-1).mean(0, keepdim=True).log(), equipartition(logits), 50)
    close(label_clusters(logits, a, Q_R, own).Q, without.exp())
    close(label_clusters(logits, a, Q_R, replace(own, sigma=1e6)).Q, without.exp(), 1e-8)
    assert float((label_clusters(logits, a, Q_R, replace(own, sigma=0.1)).Q - without.exp()).abs().max()) > 1e-2


def test_sharp_scores_stay_finite_in_float32():
    """exp(200 cos) is beyond float32; labels still sum to 1."""
    cosines = torch.rand(1, 500, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert not (200 * cosines).exp().isfinite().all()
    Q = log_sinkhorn(200 * cosines, equipartition(cosines), 50).exp()
    assert bool(Q.isfinite().all())
    torch.testing.assert_close(Q.sum(-1), torch.ones(1, 500))


def test_labels_without_constraint_are_the_prediction():
    own = replace(CaseSettings(), clusters=K, project="rows")
    logits = randn(0, 1, N, K)
    close(label_clusters(logits, rand(1, 1, N), rand(2, 1, K, 2), own).Q, logits.softmax(-1))
    hard = label_clusters(logits, rand(1, 1, N), rand(2, 1, K, 2), replace(own, hard=True)).Q
    assert torch.equal(hard.argmax(-1), logits.argmax(-1))
    assert float(entropy(hard)) == 0


# Testing, co-labeling, the whole


def test_eq_17_is_the_law_of_total_probability():
    P_C, Q_R = rand(0, N, K).softmax(-1), rand(1, K, 2)
    close(assisted(P_C, Q_R), [sum(float(P_C[n, k] * Q_R[k, 0]) for k in range(K)) for n in range(N)])
    scores = {"attention": rand(2, 2, M, T).numpy(), "clusters": rand(3, 2, M, T).numpy()}
    expected = 0.5 * scores["attention"].mean(1) + 0.5 * scores["clusters"].mean(1)
    close(score.refined(scores, 0.5), expected)


def test_eq_20_22_24_average_streams():
    P = rand(0, M, N, K)
    close(fuse(P, True)[0], [[sum(float(P[m, n, k]) for m in range(M)) / M for k in range(K)] for n in range(N)])
    assert fuse(P, False) is P
    assert torch.equal(fuse(P[:1], True), P[:1]), "one stream: the identity"


def test_eq_16_joins_the_losses():
    own = CaseSettings(width=H, clusters=K, lambda_c=0.7, lambda_r=0.2)
    case = Case(own, Shape((8,) * M, C, H), seed=0).double()
    step = case.step(case.initial(), Batch.of(rand(0, M, B, 16, 8), torch.eye(C)[:B].double()))
    p = {name: float(value.detach()) for name, value in step.parts.items()}
    expected = p["video"] + own.options.lambda_a * p["attention"] + 0.7 * p["clusters"] + 0.2 * p["classes"]
    close(step.loss.detach(), expected)
