"""Snippet clustering and cluster classification (Section 3.2): head, prototypes, L_C, L_R; clustering-assisted testing.

Equations 3, 8-11 and 17.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.streams import collect, seeded

SHORTEST = 1e-12  # length by which a vector is divided at least, as ``normalize`` has it


class ClusterHead(nn.Module):
    """Appendix E.3: cosine classifier with K^C clusters per stream; Z (M, N, H) -> logits (M, N, K).

    ``head`` "in_graph" normalises the weight rows inside the forward pass; "projected" expects the trainer to call
    ``project_`` before each step, so that the gradient is taken with respect to the normalised rows (released). In
    evaluation mode both normalise inside, so that looking at a model leaves it as it is.
    """

    def __init__(self, streams: int, width: int, clusters: int, temperature: float, head: str, seed: int) -> None:
        super().__init__()
        self.temperature, self.in_graph = temperature, head == "in_graph"
        bound = width**-0.5  # as a Linear layer without bias
        self.weight = nn.Parameter(torch.empty(streams, clusters, width))
        for m in range(streams):
            with seeded(seed, f"cluster_head.{m}"):
                nn.init.uniform_(self.weight.data[m], -bound, bound)

    @torch.no_grad()
    def project_(self) -> None:
        """Give every weight row unit norm, in place; nothing to do when the graph does it."""
        if not self.in_graph:
            self.weight.copy_(F.normalize(self.weight, dim=-1))

    def forward(self, Z: Tensor) -> Tensor:
        projected = self.training and not self.in_graph
        weight = self.weight if projected else F.normalize(self.weight, dim=-1)
        return self.temperature * cosines(Z, weight)


class _Cosines(torch.autograd.Function):
    """(M, N, H), (M, K, H) -> (M, N, K). The lengths divide the products, so that no array of N x H is normalised."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor, unit: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(Z, dim=-1, keepdim=True).clamp_min(SHORTEST)
        out = (Z @ unit.mT) / length
        ctx.save_for_backward(Z, unit, length, out)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (Z, unit, length, out), (gradient,) = ctx.saved_tensors, gradients
        scaled = gradient / length
        along = (scaled * out).sum(-1, keepdim=True) / length
        return torch.baddbmm(Z * along, scaled, unit, beta=-1), scaled.mT @ Z


def cosines(Z: Tensor, unit: Tensor) -> Tensor:
    """Cosines of Z (M, N, H) with vectors of unit length (M, K, H) -> (M, N, K); 0 where Z is 0."""
    out: Tensor = _Cosines.apply(Z, unit)  # type: ignore[no-untyped-call]
    return out


def prototypes(Q: Tensor, Z: Tensor, rows: Tensor | None = None) -> Tensor:
    """Eq. 8, 9: unit-length class centres of Z (M, R, H) under labels Q (M|1, N, K) -> (M, K, H).

    ``rows`` (N,) is the row of Z that a label belongs to (None: N = R, each its own); labels of a row add up.

    The sum points where the mean does, and only directions are compared (Eq. 10). An empty class gives the zero vector.
    Embeddings enter un-normalised; gradients flow through them, not through the labels.
    """
    return F.normalize(collect(Q, rows, Z.shape[-2]).mT @ Z, dim=-1)


def class_logits(Q_C: Tensor, Q_A: Tensor, Z: Tensor, rho: float, rows: Tensor | None = None) -> Tensor:
    """Eq. 10: rho cos(cluster prototype, F&B prototype); Q_A (M, N) -> (M, K, 2), column 0 is foreground.

    Their Softmax is P^R = [P^F, P^B].
    """
    M, K = len(Z), Q_C.shape[-1]
    labels = torch.cat([Q_C.expand(M, -1, -1), torch.stack([Q_A, 1 - Q_A], -1).expand(M, -1, -1)], -1)
    centres = prototypes(labels, Z, rows)  # (M, K + 2, H): both kinds in one product
    return rho * centres[:, :K] @ centres[:, K:].mT


def label_loss(Q: Tensor, logits: Tensor, rows: Tensor | None = None) -> Tensor:
    """Eq. 3 and 11: <Q, -log Softmax(logits)>, averaged over streams and labels; Q (M|1, N, K), logits (M, R, K).

    The paper sums over rows; the mean keeps lambda_C and lambda_R meaningful whatever N = B T is (released, too).
    """
    total = (collect(Q, rows, logits.shape[-2]) * logits.log_softmax(-1)).sum((-2, -1))  # (M,)
    return -total.mean() / Q.shape[-2]


def assisted(P_C: Tensor, Q_R: Tensor) -> Tensor:
    r"""Eq. 17: \hat P^A = P^C Q^R_{:,0}, the law of total probability; (..., N, K), (..., K, 2) -> (..., N)."""
    return (P_C @ Q_R[..., 0].unsqueeze(-1)).squeeze(-1)
