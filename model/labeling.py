"""Pseudo-labels under distribution constraints: kernel -> projection -> rounding (Eq. 4-7, 11-15, 21, 23; Appendix H).

Everything here is computed without gradient: labels carry none. Streams are a leading axis (M or 1 where co-labeled).
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from model.settings import CaseSettings
from model.streams import fuse

LOG_ROUNDS_EVERY = 25  # rounds of Sinkhorn-Knopp between two in the log domain


def equipartition(Q: Tensor) -> Tensor:
    """Eq. 5: beta^C = N / K^C for each cluster; labels or scores (M, N, K) -> (1, K)."""
    return Q.new_full((1, Q.shape[-1]), Q.shape[-2] / Q.shape[-1])


def class_marginal(Q_A: Tensor, K: int, share: float | str) -> Tensor:
    """Eq. 12: beta^R = [mean Q^A, mean (1 - Q^A)] -> (M, 2), scaled by K^C.

    As printed it sums to 1 while alpha^R sums to K^C, which no Q^R satisfies; K^C beta^R is the smallest repair (and
    what the released code aims at). A number as ``share`` is used instead of the mean of Q^A (Table 5: 0.5).
    """
    foreground = Q_A.mean(-1) if share == "foreground" else torch.full_like(Q_A[..., 0], float(share))
    return K * torch.stack([foreground, 1 - foreground], -1)


def true_rank(a: Tensor) -> Tensor:
    """Eq. 13's R in {1/N, ..., 1}: normalised rank of P^A from small to large; (M, N) -> (M, N)."""
    return (a.argsort(-1).argsort(-1) + 1).to(a.dtype) / a.shape[-1]


def argsort_rank(a: Tensor) -> Tensor:
    """The released code's R of Eq. 13: the *index* of the n-th best snippet stands where snippet n's rank should."""
    return 1 - ((-a).argsort(-1) + 1).to(a.dtype) / a.shape[-1]


RANKS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "exact": true_rank,
    "argsort": argsort_rank,
    "probability": lambda a: a,  # Appendix F.2: P^A in place of R
}


def log_prior(R: Tensor, Q_R: Tensor, sigma: float) -> Tensor:
    """Eq. 13: log hat Q^C = -|R_n - Q^R_k0|^2 / (2 sigma^2); (M, N), (M, K, 2) -> (M, N, K).

    Eq. 13's constant factor cancels in the projection and is left out, so that sigma = inf gives exactly 0 (Eq. 7).
    """
    return -((R.unsqueeze(-1) - Q_R[..., None, :, 0]) ** 2) / (2 * sigma**2)


def log_sinkhorn(log_S: Tensor, beta: Tensor, steps: int) -> Tensor:
    """Eq. 7, 15, 30: log of diag(u) S diag(v) after ``steps`` rounds of Sinkhorn-Knopp; (M, N, K), (M, K) -> (M, N, K).

    A round scales columns to ``beta`` and then rows to 1, so rows hold exactly and columns in the limit. The log domain
    is needed (exp(200 cos) overflows float32) but slow, so only every ``LOG_ROUNDS_EVERY``-th round works in it; it
    leaves rows that sum to 1, from which the others scale the matrix itself, in float64. A side of which there is
    nothing (beta 0: no foreground in the batch) gets labels of practically 0.
    """
    beta = beta.clamp_min(torch.finfo(beta.dtype).tiny)
    log_beta = beta.log().unsqueeze(-2)
    for start in range(0, steps, LOG_ROUNDS_EVERY):
        log_S = log_S + (log_beta - log_S.logsumexp(-2, keepdim=True))
        log_S = log_S - log_S.logsumexp(-1, keepdim=True)
        rounds = min(LOG_ROUNDS_EVERY, steps - start) - 1
        if rounds:
            log_S = log_S + _scaling(log_S.double().exp(), beta.double().unsqueeze(-1), rounds).to(log_S.dtype)
    return log_S


def _scaling(S: Tensor, beta: Tensor, rounds: int) -> Tensor:
    """log u + log v (M, N, K) after ``rounds`` of scaling S (M, N, K) to column sums beta (M, K, 1) and rows 1."""
    tiny = torch.finfo(S.dtype).tiny
    u, v = torch.ones_like(S[..., :1]), torch.ones_like(beta)
    for _ in range(rounds):
        v = beta / (S.mT @ u).clamp_min(tiny)  # (M, K, 1)
        u = 1 / (S @ v).clamp_min(tiny)  # (M, N, 1)
    return u.log() + v.mT.log()


def log_scores(logits: Tensor, mean: str, on: bool) -> Tensor:
    """Eq. 20, 22: log of the stream-fused prediction that is labelled; (M, ..., K) -> (M|1, ..., K).

    ``mean`` "probabilities": log of the (fused) Softmax, as in the paper; "logits": (fused) logits without Softmax, as
    released. The difference is a row scale, which matters while Sinkhorn has not converged, and how streams that
    disagree are averaged.
    """
    if mean == "logits":
        return fuse(logits, on)
    return fuse(logits.softmax(-1), on).clamp_min(torch.finfo(logits.dtype).tiny).log()


@torch.no_grad()
def label_clusters(logits: Tensor, a: Tensor, Q_R: Tensor, settings: CaseSettings) -> Tensor:
    """Eq. 15 (14, 6, 7, 21, 25): snippet pseudo-labels Q^C; logits (M, N, K), P^A (M, N), Q^R (M, K, 2) -> (M|1, N, K).

    Minimises <Q, -log P> + KL(Q || hat Q) / epsilon over Eq. 4's polytope with Eq. 5's marginals; sigma = inf drops the
    prior (Eq. 6, 7). ``project`` "rows" is PL of Table 4: Q = P, Eq. 4 disabled, without epsilon and prior. Both hard
    variants take the argmax. With Eq. 20, P^C, the rank of P^A and Q^R are fused first.
    """
    on = settings.co_label.clusters
    scores = log_scores(logits, settings.mean, on)
    if settings.project == "rows":
        log_Q = scores.log_softmax(-1)
    else:
        prior = log_prior(RANKS[settings.rank](fuse(a, on)), fuse(Q_R, on), settings.sigma)
        beta = equipartition(scores)
        log_Q = log_sinkhorn(settings.epsilon * scores + prior, beta, settings.sinkhorn_steps)
    if settings.hard:
        return F.one_hot(log_Q.argmax(-1), log_Q.shape[-1]).to(log_Q.dtype)
    return log_Q.exp()


@torch.no_grad()
def label_classes(logits: Tensor, Q_A: Tensor, settings: CaseSettings) -> Tensor:
    """Eq. 11 (23): cluster pseudo-labels Q^R; logits of P^R (M, K, 2), Q^A (M, N) -> (M|1, K, 2).

    Minimises <Q, -log P^R> - H(Q) / epsilon with rows 1 and columns K^C beta^R (Eq. 12). With Eq. 22, P^R and beta are
    fused first.
    """
    on = settings.co_label.classes
    scores = log_scores(logits, settings.mean, on)
    beta = fuse(class_marginal(Q_A, logits.shape[-2], settings.class_marginal), on)
    return log_sinkhorn(settings.epsilon * scores, beta, settings.sinkhorn_steps_r).exp()


def entropy(Q: Tensor) -> Tensor:
    """H of Eq. 6 per row, in nats, averaged over all rows of Q (..., K)."""
    return torch.special.entr(Q).sum(-1).mean()


def marginal_error(Q: Tensor, beta: Tensor) -> Tensor:
    """Eq. 4: how far the column sums of Q (M, N, K) are from beta (M, K), as a share of its total (0: they hold)."""
    return (Q.sum(-2) - beta).abs().sum(-1).mean() / beta.sum(-1).mean() / 2


def start_q_r(settings: CaseSettings, like: Tensor, streams: int) -> Tensor:
    """Q^R before step 1 (M, K, 2), K may be 0: both columns ``initial_q_r`` (silent: 0.5; released: 1 / K^C)."""
    value = 1 / max(settings.clusters, 1) if settings.initial_q_r == "uniform" else float(settings.initial_q_r)
    assert math.isfinite(value)
    return like.new_full((streams, settings.clusters, 2), value)
