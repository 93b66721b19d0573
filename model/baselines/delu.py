r"""DELU (Chen et al., ECCV 2022): CO2-Net with evidential uncertainty of videos and snippets.

Networks and losses are CO2-Net's; two terms are added. Evidence of a video is exp of the mean suppressed logits of its
most attended snippets, alpha = evidence + 1, S = sum_c alpha_c; the loss sum_c g_c (log S - log alpha_c) weighs each
class by certainty, 1 - C / S without gradient, and by missing evidence, g_c ~ y_c / alpha_c. Uncertainty of a snippet
weighs how much its attention must agree with 1 - background: uncertain snippets first, certain ones in the end.

With CASE: as for CO2-Net. As released: evidence logits are cut to [-10, 10]; a snippet's uncertainty counts C + 1
classes in its sum and C above it; and the curve over ranks is indexed by argsort, so that the index of the t-th least
uncertain snippet stands where snippet t's rank should (``rank: argsort``; "exact" is what the paper says). The number
of the step is carried in and out.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from model.baselines import co2net
from model.baselines.co2net import READS, disagreement, inference, suppressed
from model.mil import full_cas, reschedule
from model.options import DeluOptions
from model.streams import Batch, Losses, Snippets

__all__ = ["READS", "Baseline", "inference"]

CUT = 10.0  # logits of evidence are cut to [-CUT, CUT]


class Baseline(co2net.Baseline):
    """CO2-Net's modules; carries the number of steps done."""

    options: DeluOptions

    def initial_memory(self) -> Mapping[str, Tensor]:
        return {"iteration": next(self.parameters()).new_zeros(())}

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """CO2-Net's terms, the evidence of videos and the uncertainty-guided agreement of snippets."""
        o, own = self.options, self.own_losses(snippets, batch)
        T, C = snippets.cas.shape[-2:]
        attention = snippets.attention.mean(0)
        supp = suppressed(full_cas(snippets), attention)  # (B, T, C + 1)
        chosen = attention.topk(max(1, T // o.r_att)).indices.unsqueeze(-1)  # (B, k, 1)
        pooled = supp[..., :-1].gather(1, chosen.expand(-1, -1, C)).mean(1)  # (B, C)
        done = batch.memory["iteration"]
        uncertainty = C / (evidence(supp) + 1).sum(-1)  # (B, T): as released, over C + 1
        end = reschedule(o.max_iterations, o.for_steps, batch.steps)
        curve = curriculum(ranks(uncertainty, o.rank), done / end, o.amplitude)
        parts = {
            "evidence": evidential(pooled, batch.labels),
            "uncertainty_guide": (curve.detach() * disagreement(snippets)).mean(),
        }
        loss = own.loss + o.evidence * parts["evidence"] + o.uncertainty_guide * parts["uncertainty_guide"]
        return Losses(loss, own.parts | parts, own.Q_A, {"iteration": done + 1})


def evidence(logits: Tensor) -> Tensor:
    """exp of logits cut to [-10, 10]."""
    return logits.clamp(-CUT, CUT).exp()


def evidential(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over videos of sum_c g_c (log S - log alpha_c); (B, C), (B, C) -> scalar."""
    alpha = evidence(logits) + 1
    S = alpha.sum(-1, keepdim=True)
    certainty = (1 - alpha.shape[-1] / S).detach()
    missing = labels / alpha
    share = missing / missing.sum(-1, keepdim=True).clamp_min(torch.finfo(alpha.dtype).tiny)
    g = certainty * labels.sum(-1, keepdim=True) * share
    return (g * (S.log() - alpha.log())).sum(-1).mean()


def ranks(uncertainty: Tensor, rank: str) -> Tensor:
    """Rank of each snippet from certain to uncertain, (B, T) int64; "argsort": the released slip."""
    order = uncertainty.argsort(-1)
    return order if rank == "argsort" else order.argsort(-1)


def curriculum(rank: Tensor, progress: Tensor, amplitude: float) -> Tensor:
    """Weight of a snippet by its rank in 0 .. T - 1: uncertain ones count more at first, less in the end; (B, T)."""
    T = rank.shape[-1]
    place = 2 * (torch.arange(T, device=rank.device, dtype=progress.dtype) + 0.5) / T - 1
    return (1 + amplitude * torch.tanh(place * (1 - 2 * progress)))[rank]
