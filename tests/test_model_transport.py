"""Labels with given marginals: Newton on the dual against POT, 20,000 rounds of Sinkhorn-Knopp, and hard cases."""

from collections.abc import Iterator

import numpy as np
import ot
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.transport import Labels, log_sinkhorn, transport

ROUNDS = 20_000


def randn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rand(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def even(M: int, N: int, K: int) -> Tensor:
    """Eq. 5."""
    return torch.full((M, K), N / K, dtype=torch.float64)


def skewed(seed: int, N: int, K: int) -> Tensor:
    """Cosines of snippets that all point one way, with K directions: some clusters are far from everything."""
    Z = F.normalize(randn(seed, 1, N, 8) + 3 * randn(seed + 1, 1, 1, 8), dim=-1)
    return Z @ F.normalize(randn(seed + 2, 1, K, 8), dim=-1).mT


def one_sided(N: int, K: int) -> Tensor:
    share = rand(5, 1, K) ** 8 + 1e-6
    return N * share / share.sum()


def error(labels: Labels) -> float:
    """The larger of both marginals' errors, as a share of the labels."""
    Q = labels.Q
    columns = (Q.sum(-2) - labels.beta).abs().sum(-1).max() / Q.shape[-2]
    return float(torch.maximum(columns, (Q.sum(-1) - 1).abs().max()))


def hard_cases() -> Iterator[tuple[str, Tensor, Tensor]]:
    N, K = 120, 16
    for sharpness in (1, 20, 200):
        yield f"{sharpness} cos", sharpness * (2 * rand(0, 2, N, K) - 1), even(2, N, K)
        yield f"{sharpness} cos, skewed", sharpness * skewed(1, N, K), even(1, N, K)
        yield f"{sharpness} cos, one-sided", sharpness * skewed(1, N, K), one_sided(N, K)
    scores = 50 * skewed(3, N, K)
    yield "rows twice", scores[:, : N // 2].repeat(1, 2, 1), even(1, N, K)
    yield "columns twice", scores[..., : K // 2].repeat(1, 1, 2), even(1, N, K)
    yield "equal scores", torch.zeros(1, N, K, dtype=torch.float64), even(1, N, K)
    yield "more clusters than snippets", 20 * skewed(4, 5, 12), even(1, 5, 12)
    yield "two streams, one easy", torch.cat([skewed(6, N, K), 200 * skewed(7, N, K)]), even(2, N, K)


CASES = {name: (log_S, beta) for name, log_S, beta in hard_cases()}


@pytest.mark.parametrize("name", CASES)
def test_marginals_hold(name: str) -> None:
    labels = transport(*CASES[name], "converged")
    assert error(labels) < 1e-9
    assert 0 <= float(labels.iterations) < 100


@pytest.mark.parametrize("name", [name for name in CASES if "200" not in name and "easy" not in name])
def test_labels_are_those_of_20000_rounds(name: str) -> None:
    log_S, beta = CASES[name]
    rounds = log_sinkhorn(log_S, beta, ROUNDS).exp()
    torch.testing.assert_close(transport(log_S, beta, "converged").Q, rounds, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", [name for name in CASES if "200" in name])
def test_as_sharp_as_200_cos_newton_is_nearer_than_20000_rounds(name: str) -> None:
    """There rounds need not have converged; where they have, they give the same labels."""
    log_S, beta = CASES[name]
    labels, rounds = transport(log_S, beta, "converged"), log_sinkhorn(log_S, beta, ROUNDS).exp()
    assert error(labels) <= max(error(Labels(rounds, beta, beta.sum())), 1e-10)
    if error(Labels(rounds, beta, beta.sum())) < 1e-9:
        torch.testing.assert_close(labels.Q, rounds, rtol=0, atol=1e-6)


@pytest.mark.parametrize("epsilon", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("columns", [2, 7])
def test_converged_labels_are_entropic_optimal_transport(epsilon: float, columns: int) -> None:
    """Against POT: cost -log P, regularisation 1 / epsilon."""
    scores, beta = randn(1, 1, 30, columns).log_softmax(-1), one_sided(30, columns) * 0.5 + 15 / columns
    cost, regularisation = -scores[0].numpy(), 1 / epsilon
    plan = ot.sinkhorn(np.ones(30), beta[0].numpy(), cost, regularisation, "sinkhorn_log", 100000, 1e-11)
    np.testing.assert_allclose(transport(epsilon * scores, beta, "converged").Q[0], plan, rtol=0, atol=1e-8)


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("share", [0.0, 1e-6, 0.3, 0.5, 0.999, 1.0])
def test_two_columns_are_one_root(spread: float, share: float) -> None:
    """Q^R: rows 1, columns as asked, also where a side is empty; and no label of the asked order is out of order."""
    log_S = spread * randn(0, 3, 16, 2)
    beta = torch.tensor([16 * share, 16 * (1 - share)], dtype=torch.float64).expand(3, 2)
    labels = transport(log_S, beta, "converged")
    assert error(labels) < 1e-9
    order = (log_S[..., 0] - log_S[..., 1]).argsort(-1)
    assert bool((labels.Q[..., 0].gather(-1, order).diff(dim=-1) >= 0).all())
    if share in (0.0, 1.0):
        assert set(labels.Q.unique().tolist()) == {0.0, 1.0}


def test_an_empty_side_gets_no_label_and_the_others_share_the_rest() -> None:
    log_S, beta = randn(0, 1, 40, 5), torch.tensor([[0.0, 10.0, 0.0, 25.0, 5.0]], dtype=torch.float64)
    labels = transport(log_S, beta, "converged")
    assert error(labels) < 1e-9
    assert not labels.Q[..., [0, 2]].any()
    alone = transport(log_S[..., [1, 3, 4]], beta[:, [1, 3, 4]], "converged")
    torch.testing.assert_close(labels.Q[..., [1, 3, 4]], alone.Q, rtol=0, atol=1e-8)


def test_kernels_that_underflow_are_those_that_do_not() -> None:
    """A row or a column may be scaled by exp(-10^6): labels do not change by it (Eq. 30)."""
    log_S, beta = 20 * skewed(0, 50, 6), even(1, 50, 6)
    scaled = log_S - 1e6 * rand(1, 1, 50, 1) - 1e4 * rand(2, 1, 1, 6)
    plain, shifted = (transport(scores, beta, "converged").Q for scores in (log_S, scaled))
    torch.testing.assert_close(plain, shifted, rtol=0, atol=1e-7)


@pytest.mark.parametrize("columns", [2, 5])
def test_what_is_not_finite_stays_so_and_ends(columns: int) -> None:
    log_S = randn(0, 1, 20, columns)
    log_S[0, 3, 1] = torch.nan
    labels = transport(log_S, even(*log_S.shape), "converged")
    assert not bool(labels.Q.isfinite().all())


def test_no_label_is_too_small_for_a_normal_number() -> None:
    """Products with subnormal labels take ten times as long; they are 0 instead."""
    log_S, beta = 4 * CASES["200 cos, skewed"][0].float(), CASES["200 cos, skewed"][1].float()
    smallest = torch.finfo(torch.float32).tiny
    for steps in ("converged", 50):
        Q = transport(log_S, beta, steps).Q
        assert bool((Q == 0).any())
        assert not bool(((Q > 0) & (smallest > Q)).any())


def test_float32_scores_are_solved_in_float64() -> None:
    log_S, beta = CASES["200 cos, skewed"]
    labels = transport(log_S.float(), beta.float(), "converged")
    assert labels.Q.dtype == torch.float32
    torch.testing.assert_close(labels.Q.double().sum(-2), beta, rtol=1e-5, atol=0)


def test_rounds_are_counted_as_they_are_asked_for() -> None:
    log_S, beta = CASES["20 cos"]
    labels = transport(log_S, beta, 3)
    assert float(labels.iterations) == 3
    assert torch.equal(labels.Q, log_sinkhorn(log_S, beta, 3).exp())


def test_streams_do_not_change_each_other() -> None:
    log_S, beta = CASES["two streams, one easy"]
    both = transport(log_S, beta, "converged")
    for m in range(2):
        alone = transport(log_S[m : m + 1], beta[m : m + 1], "converged")
        torch.testing.assert_close(both.Q[m : m + 1], alone.Q, rtol=0, atol=1e-9)
