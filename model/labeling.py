"""Pseudo-labels under distribution constraints: kernel -> projection -> rounding (Eq. 4-7, 11-15, 21, 23; Appendix H).

Everything here is computed without gradient: labels carry none. Streams are a leading axis (M or 1 where co-labeled).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from model.settings import CaseSettings
from model.streams import fuse
from model.transport import Labels, transport


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
    order, numbers = a.argsort(-1), torch.arange(1, a.shape[-1] + 1, device=a.device)
    rank = torch.empty_like(order).scatter_(-1, order, numbers.expand_as(order))
    return rank.to(a.dtype) / a.shape[-1]


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
def label_clusters(logits: Tensor, a: Tensor, Q_R: Tensor, settings: CaseSettings) -> Labels:
    """Eq. 15 (14, 6, 7, 21, 25): snippet pseudo-labels Q^C; logits (M, N, K), P^A (M, N), Q^R (M, K, 2) -> (M|1, N, K).

    Minimises <Q, -log P> + KL(Q || hat Q) / epsilon over Eq. 4's polytope with Eq. 5's marginals; sigma = inf drops the
    prior (Eq. 6, 7). ``project`` "rows" is PL of Table 4: Q = P, Eq. 4 disabled, without epsilon and prior. Both hard
    variants take the argmax. With Eq. 20, P^C, the rank of P^A and Q^R are fused first.
    """
    on = settings.co_label.clusters
    scores = log_scores(logits, settings.mean, on)
    beta = equipartition(scores)
    if settings.project == "rows":
        labels = Labels(scores.softmax(-1), beta, scores.new_zeros(()))
    else:
        prior = log_prior(RANKS[settings.rank](fuse(a, on)), fuse(Q_R, on), settings.sigma)
        labels = transport(settings.epsilon * scores + prior, beta, settings.sinkhorn_steps)
    if settings.hard:
        return replace(labels, Q=F.one_hot(labels.Q.argmax(-1), scores.shape[-1]).to(scores.dtype))
    return labels


@torch.no_grad()
def label_classes(logits: Tensor, Q_A: Tensor, settings: CaseSettings) -> Labels:
    """Eq. 11 (23): cluster pseudo-labels Q^R; logits of P^R (M, K, 2), Q^A (M, N) -> (M|1, K, 2).

    Minimises <Q, -log P^R> - H(Q) / epsilon with rows 1 and columns K^C beta^R (Eq. 12). With Eq. 22, P^R and beta are
    fused first.
    """
    on = settings.co_label.classes
    scores = log_scores(logits, settings.mean, on)
    beta = fuse(class_marginal(Q_A, logits.shape[-2], settings.class_marginal), on)
    return transport(settings.epsilon * scores, beta, settings.sinkhorn_steps_r)


def entropy(Q: Tensor) -> Tensor:
    """H of Eq. 6 per row, in nats, averaged over all rows of Q (..., K)."""
    tiny = torch.finfo(Q.dtype).tiny  # entr is several times slower
    return -(Q * Q.clamp_min(tiny).log()).sum(-1).mean()


def marginal_error(labels: Labels) -> Tensor:
    """Eq. 4: how far the column sums of Q are from beta, as a share of the total (0: they hold); mean over streams."""
    return (labels.Q.sum(-2) - labels.beta).abs().sum(-1).mean() / labels.beta.sum(-1).mean() / 2


def start_q_r(settings: CaseSettings, like: Tensor, streams: int) -> Tensor:
    """Q^R before step 1 (M, K, 2), K may be 0: both columns ``initial_q_r`` (silent: 0.5; released: 1 / K^C)."""
    value = 1 / max(settings.clusters, 1) if settings.initial_q_r == "uniform" else float(settings.initial_q_r)
    assert math.isfinite(value)
    return like.new_full((streams, settings.clusters * settings.clustered, 2), value)
