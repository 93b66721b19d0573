"""Multiple instance learning (E.1, Eq. 1, 2): calibrated scores, top-k, losses, labels of videos and snippets."""

import torch
from torch import Tensor
from torch.nn import functional as F

from model.streams import Batch, Snippets


def calibrate(P_V: Tensor, P_A: Tensor, omega: float) -> Tensor:
    """Appendix E.1: hat P^V = omega P^V + (1 - omega) P^A; P_V (..., T, C), P_A (..., T) -> (..., T, C)."""
    return omega * P_V + (1 - omega) * P_A.unsqueeze(-1)


def select(scores: Tensor, k: int) -> Tensor:
    """Eq. 18: indices of the k highest snippets per video and class; scores (..., T, C) -> (..., k, C)."""
    return scores.topk(max(1, k), dim=-2).indices


def pool(cas: Tensor, selected: Tensor) -> Tensor:
    """Eq. 19 without its Softmax: mean logit over the selected snippets; (..., T, C), (..., k, C) -> (..., C).

    Leading axes broadcast: one selection for several streams, or several selections from one fused T-CAS.
    Logits are pooled and one Softmax follows: P^V is already a Softmax, and as printed a second one would bound every
    video score by e / (e + C - 1) (both streams of the released code pool logits, too).
    """
    lead = torch.broadcast_shapes(cas.shape[:-2], selected.shape[:-2])  # type: ignore[no-untyped-call]
    return cas.expand(*lead, *cas.shape[-2:]).gather(-2, selected.expand(*lead, *selected.shape[-2:])).mean(-2)


def highest(cas: Tensor, k: int) -> Tensor:
    """Mean of the k largest values over time per class, what most baselines pool by; (..., T, C) -> (..., C)."""
    return pool(cas, select(cas, k))


def min_max(values: Tensor, axis: int = -2) -> Tensor:
    """Released BaS-Net's (and WUM's) scale over time: (v - lo) / (hi - lo) with hi = relu(max), lo = relu(min).

    A denominator that is not positive counts as 1. Values below 0 stay below 0.
    """
    lo, hi = values.amin(axis, keepdim=True).relu(), values.amax(axis, keepdim=True).relu()
    return (values - lo) / torch.where(hi > lo, hi - lo, torch.ones_like(hi))


def restated(stated: int, actual: int) -> float:
    """Factor that carries a constant stated for one size (snippets summed over, channels) over to another; 0: 1."""
    return stated / actual if stated else 1.0


def reschedule(stated: int, for_steps: int, steps: int) -> int:
    """A number of steps stated for trainings of ``for_steps``, carried over to one of ``steps``; 0: as it is stated."""
    return stated * steps // for_steps if for_steps and steps else stated


def video_loss(pooled: Tensor, labels: Tensor, label_norm: float, label_floor: float) -> Tensor:
    """Eq. 1: L_V, the mean over streams and videos of -sum_c Y_c log Softmax(pooled)_c.

    ``pooled`` (M, B, C) logits, ``labels`` (B, C) multi-hot. Y is divided by sum(Y)^label_norm (0: the paper's
    multi-hot, 1: released) and ``label_floor`` is added (released: 1e-10).
    """
    Y = labels / labels.sum(-1, keepdim=True).clamp_min(1) ** label_norm + label_floor
    return cross_entropy(pooled.log_softmax(-1), Y).mean()


def cross_entropy(log_P: Tensor, Y: Tensor) -> Tensor:
    """-sum_c Y_c log P_c of each video or snippet; two that broadcast, (..., C) -> (...)."""
    return -(Y * log_P).sum(-1)


def foreground_labels(selected: Tensor, labels: Tensor, T: int) -> Tensor:
    """Section 3.1: Q^A in {0, 1}, the union of the snippets selected for the classes present.

    ``selected`` (..., B, k, C), ``labels`` (B, C) -> (..., B, T). A video without labels has no foreground.
    """
    chosen = labels.new_zeros(*selected.shape[:-2], T, selected.shape[-1]).scatter_(-2, selected, 1.0)
    return (chosen * labels.unsqueeze(-2)).amax(-1)


def box_cox_loss(u: Tensor, gamma: float) -> Tensor:
    """Eq. 2's (1 - u^gamma) / gamma, stable as gamma -> 0, where it is -log u (binary cross-entropy, Table 9)."""
    log_u = u.clamp_min(torch.finfo(u.dtype).tiny).log()
    return -log_u if gamma == 0 else -torch.expm1(gamma * log_u) / gamma


def generalised_bce(P_A: Tensor, Q_A: Tensor, gamma: float, per_video: bool, guard: float) -> Tensor:
    """Eq. 2: L_A, averaged over streams; P_A, Q_A (M, B, T).

    N_pos and N_neg are counted over the batch (paper) or ``per_video``, whose losses are then averaged (released).
    ``guard`` is the released 1e-7 inside powers and denominators; with 0, an empty side contributes 0.
    """
    axes = (-1,) if per_video else (-2, -1)

    def side(P: Tensor, Q: Tensor) -> Tensor:
        count = (Q.sum(axes) + guard).clamp_min(torch.finfo(Q.dtype).tiny)
        return ((Q * box_cox_loss(P + guard, gamma)).sum(axes) / count).mean()

    return side(P_A, Q_A) + side(1 - P_A, 1 - Q_A)


def normalise_labels(labels: Tensor, guard: float = 0.0) -> Tensor:
    """y / (|y| + ``guard``), without one y / max(|y|, 1); (..., C)."""
    total = labels.sum(-1, keepdim=True)
    return labels / (total + guard if guard else total.clamp_min(1))


def target_with_background(labels: Tensor, background: float, guard: float = 0.0) -> Tensor:
    """[y, background] divided by its sum (and ``guard``); (B, C) -> (B, C + 1)."""
    return normalise_labels(F.pad(labels, (0, 1), value=background), guard)


def full_cas(snippets: Snippets) -> Tensor:
    """T-CAS logits of one stream with those of background, which its ``extra`` holds, last; (B, T, C + 1)."""
    return torch.cat([snippets.cas[0], snippets.extra["background"].unsqueeze(-1)], -1)


def top_mean(values: Tensor, counts: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Mean of the ``counts`` (B,) largest of the first ``lengths`` (B,) values over time; (B, T, C) -> (B, C)."""
    time = torch.arange(values.shape[1], device=values.device)
    if lengths is not None:
        values = values.masked_fill((time >= lengths[:, None])[..., None], -torch.inf)
    ordered = values.sort(1, descending=True).values
    taken = (time < counts[:, None]).unsqueeze(-1)  # (B, T, 1)
    return ordered.masked_fill(~taken, 0).sum(1) / counts[:, None]


def valid_lengths(batch: Batch) -> Tensor:
    """Positions of each video that are no padding, (B,)."""
    B, T = batch.rows.shape
    return batch.rows.new_full((B,), T) if batch.lengths is None else batch.lengths


def inside(batch: Batch) -> Tensor:
    """Whether a position is no padding, (B, T)."""
    return torch.arange(batch.rows.shape[1], device=batch.rows.device) < valid_lengths(batch)[:, None]


def label_highest(scores: Tensor, share: int, batch: Batch, up: bool = False) -> Tensor:
    """Q^A of the L // share highest positions (``up``: rounded up) of each class present; (M, B, T, C) -> (M, B, T).

    L is a video's own length: padding has no foreground.
    """
    T, more = scores.shape[-2], share - 1 if up else 0
    if batch.lengths is None:
        return foreground_labels(select(scores, (T + more) // share), batch.labels, T)
    counts = (batch.lengths + more) // share
    inner = scores.masked_fill(~inside(batch).unsqueeze(-1), -torch.inf)
    selected = select(inner, (T + more) // share)  # (M, B, k, C), highest first
    ranks = torch.arange(selected.shape[-2], device=scores.device).unsqueeze(-1)
    kept = (ranks < counts.clamp_min(1)[:, None, None]) * batch.labels.unsqueeze(-2)  # (B, k, C)
    chosen = scores.new_zeros(scores.shape).scatter_(-2, selected, kept.expand_as(selected))
    return chosen.amax(-1)
