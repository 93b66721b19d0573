r"""CASE (Section 3): a baseline with snippet clustering and cluster classification on top.

One step is a pure function of (parameters, carried Q^R, batch): no ``.item()``, no branch on
data, randomness passed in.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model import baselines
from model.clustering import ClusterHead, assisted, class_logits, label_loss
from model.labeling import entropy, equipartition, label_classes, label_clusters, marginal_error, start_q_r
from model.settings import CaseSettings
from model.streams import Batch, Shape, Snippets


@dataclass(frozen=True)
class Pseudo:
    """Pseudo-labels of one step: Q_A (M, B, T), Q_C (M|1, N, K) and Q_R (M, K, 2); None without a head."""

    Q_A: Tensor
    Q_C: Tensor | None = None
    Q_R: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """Eq. 16: ``loss`` with gradient, un-weighted ``parts``, next ``Q_R`` (M, K, 2), labels and monitors (scalars)."""

    loss: Tensor
    parts: dict[str, Tensor]
    Q_R: Tensor
    pseudo: Pseudo
    monitors: dict[str, Tensor]
    logits: dict[str, Tensor]


class Case(nn.Module):
    """Section 3: ``Case(settings, shape, seed)``; ``settings.clusters`` 0 leaves the baseline alone (Table 3)."""

    def __init__(self, settings: CaseSettings, shape: Shape, seed: int) -> None:
        super().__init__()
        self.settings = settings
        self.baseline = baselines.load(settings.baseline).Baseline(settings.options, shape, seed)
        self.head = self._head(seed) if settings.clusters else None

    def _head(self, seed: int) -> ClusterHead:
        s = self.settings
        return ClusterHead(self.baseline.streams, self.baseline.width, s.clusters, s.head_temperature, s.head, seed)

    def initial_q_r(self) -> Tensor:
        """Q^R before step 1 (M, K, 2); K = 0 without a head."""
        return start_q_r(self.settings, next(self.parameters()), self.baseline.streams)

    def project_(self) -> None:
        """To be called before each optimiser step (``ClusterHead.project_``)."""
        if self.head is not None:
            self.head.project_()

    def step(self, Q_R: Tensor, batch: Batch) -> Step:
        """Eq. 16: L = (L_V + lambda_A L_A) + lambda_C L_C + lambda_R L_R, and the Q^R to carry on.

        Q^C is labelled with the prior of the *carried* Q^R (Eq. 13 leaves open which), then the clusters are
        classified. Both labellings happen whatever lambda_C and lambda_R are: the prior and testing need Q^R.
        """
        s = self.settings
        snippets: Snippets = self.baseline(batch)
        loss, parts, Q_A = self.baseline.losses(snippets, batch, s.co_label.select)
        monitors = attention_monitors(snippets.attention, Q_A)
        if self.head is None:
            return Step(loss, parts, Q_R, Pseudo(Q_A), monitors, {})
        Z, a, q = (t.flatten(1, 2) for t in (snippets.embedding, snippets.attention, Q_A))  # N = B T snippets
        cluster_logits = self.head(Z)  # (M, N, K)
        Q_C = label_clusters(cluster_logits.detach(), a.detach(), Q_R, s)
        R_logits = class_logits(Q_C, q, Z, s.rho)  # (M, K, 2)
        Q_R = label_classes(R_logits.detach(), q, s).expand_as(Q_R)
        parts |= {"clusters": label_loss(Q_C, cluster_logits), "classes": label_loss(Q_R, R_logits)}
        loss = loss + s.lambda_c * parts["clusters"] + s.lambda_r * parts["classes"]
        monitors |= cluster_monitors(cluster_logits, Q_C, Q_R)
        return Step(
            loss, parts, Q_R, Pseudo(Q_A, Q_C, Q_R), monitors, {"clusters": cluster_logits, "classes": R_logits}
        )

    @torch.no_grad()
    def scores(self, x: Tensor, Q_R: Tensor) -> dict[str, Tensor]:
        r"""Section 3.3: what testing needs of videos x (M, V, T, D): T-CAS logits, P^A, \hat P^A (Eq. 17), P^C, Z.

        Video axis first: cas (V, M|1, T, C), attention, clusters (V, M, T), P_C (V, M, T, K), embedding (V, M, T, H).
        """
        snippets = self.baseline(Batch(x, x.new_zeros(x.shape[1], 1)))
        out = {"cas": snippets.cas, "attention": snippets.attention, "embedding": snippets.embedding}
        if self.head is not None:
            P_C = self.head(snippets.embedding.flatten(1, 2)).softmax(-1).unflatten(1, x.shape[1:3])  # (M, V, T, K)
            out |= {"P_C": P_C, "clusters": assisted(P_C, Q_R[:, None])}
        return {name: tensor.movedim(0, 1) for name, tensor in out.items()} | snippets.extra


@torch.no_grad()
def attention_monitors(P_A: Tensor, Q_A: Tensor) -> dict[str, Tensor]:
    """Fig. 4's range of P^A, its mean over selected and unselected snippets, and the share of Q^A."""
    chosen = Q_A.bool()
    return {
        "P_A/min": P_A.min(),
        "P_A/mean": P_A.mean(),
        "P_A/max": P_A.max(),
        "P_A/selected": P_A.masked_fill(~chosen, 0).sum() / chosen.sum(),
        "P_A/unselected": P_A.masked_fill(chosen, 0).sum() / (~chosen).sum(),
        "Q_A/share": Q_A.mean(),
    }


@torch.no_grad()
def cluster_monitors(logits: Tensor, Q_C: Tensor, Q_R: Tensor) -> dict[str, Tensor]:
    """Fig. 3, Table 4 and Fig. 4: entropies in nats of P^C, its mean, Q^C and Q^R; ranges; Eq. 4's marginal error."""
    P_C = logits.softmax(-1)
    return {
        "entropy/P_C": entropy(P_C),
        "entropy/mean_P_C": entropy(P_C.mean(-2)),
        "entropy/Q_C": entropy(Q_C),
        "entropy/Q_R": entropy(Q_R),
        "Q_R/min": Q_R[..., 0].min(),
        "Q_R/mean": Q_R[..., 0].mean(),
        "Q_R/max": Q_R[..., 0].max(),
        "Q_C/min": Q_C.min(),
        "Q_C/mean": Q_C.mean(),
        "Q_C/max": Q_C.max(),
        "marginal_error/Q_C": marginal_error(Q_C, equipartition(Q_C)),
    }
