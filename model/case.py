r"""CASE (Section 3): a baseline with snippet clustering and cluster classification on top.

One step is a pure function of (parameters, what is carried, batch): no ``.item()``, no branch on
data, randomness passed in.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model import baselines
from model.clustering import ClusterHead, assisted, class_logits, label_loss
from model.labeling import entropy, label_classes, label_clusters, marginal_error, start_q_r
from model.settings import CaseSettings
from model.streams import Batch, Carried, Losses, Shape, Snippets, flat, flat_rows, spread
from model.transport import Labels


@dataclass(frozen=True)
class Pseudo:
    """Pseudo-labels of one step: Q_A (M, B, T), Q_C (M|1, N, K) and Q_R (M, K, 2); None without a head."""

    Q_A: Tensor
    Q_C: Tensor | None = None
    Q_R: Tensor | None = None


@dataclass(frozen=True)
class Step:
    """Eq. 16: ``loss`` with gradient, un-weighted ``parts``, what the next step is given, labels, monitors (scalars),
    logits of each snippet's clusters (M, N, K) and of the clusters' classes (M, K, 2)."""

    loss: Tensor
    parts: dict[str, Tensor]
    carried: Carried
    pseudo: Pseudo
    monitors: dict[str, Tensor]
    logits: dict[str, Tensor]


class Case(nn.Module):
    """Section 3: ``Case(settings, shape, seed)``; the baseline alone unless ``settings.clustered`` (Table 3)."""

    def __init__(self, settings: CaseSettings, shape: Shape, seed: int) -> None:
        super().__init__()
        self.settings, self.shape, self.seed = settings, shape, seed
        self.baseline = baselines.load(settings.baseline).Baseline(settings.options, shape, seed)
        self.head = self._head(seed) if settings.clustered else None

    def _head(self, seed: int) -> ClusterHead:
        s = self.settings
        return ClusterHead(self.baseline.streams, self.baseline.width, s.clusters, s.head_temperature, s.head, seed)

    def initial(self) -> Carried:
        """What step 1 is given: Q^R (M, K, 2), K = 0 without a head, and the baseline's own memory, if it has one."""
        memory = self.baseline.initial_memory() if hasattr(self.baseline, "initial_memory") else {}
        return Carried(start_q_r(self.settings, next(self.parameters()), self.baseline.streams), memory)

    @torch.no_grad()
    def restart_(self) -> None:
        """First weights again, for a baseline that trains a new model from time to time."""
        again = Case(self.settings, self.shape, self.seed).to(next(self.parameters()))
        self.load_state_dict(again.state_dict())

    def project_(self) -> None:
        """To be called before each optimiser step (``ClusterHead.project_``)."""
        if self.head is not None:
            self.head.project_()

    def step(self, carried: Carried, batch: Batch) -> Step:
        """Eq. 16: L = (L_V + lambda_A L_A) + lambda_C L_C + lambda_R L_R, and the Q^R to carry on.

        Q^C is labelled with the prior of the *carried* Q^R (Eq. 13 leaves open which), then the clusters are
        classified. Both labellings happen whatever lambda_C and lambda_R are: the prior and testing need Q^R.
        Both weights are stated for a baseline whose loss holds L_V once; another states its ``Losses.unit``.
        """
        s, Q_R, batch = self.settings, carried.Q_R, replace(batch, memory=carried.memory)
        snippets: Snippets = self.baseline(batch)
        own: Losses = self.baseline.losses(snippets, batch, s.co_label.select)
        monitors = attention_monitors(snippets.attention, own.Q_A)
        if self.head is None:
            return Step(own.loss, own.parts, Carried(Q_R, own.memory), Pseudo(own.Q_A), monitors, {})
        Z, rows = snippets.embedding, flat_rows(snippets, batch)  # (M, R, H), (N,): the row of each snippet
        a, q = (flat(t, batch) for t in (snippets.attention, own.Q_A))  # (M, N), N = B T
        C_logits = self.head(Z)  # (M, R, K)
        logits = spread(C_logits.detach(), rows)  # (M, N, K)
        C = label_clusters(logits, a.detach(), Q_R, s)
        Q_C = C.Q  # (M|1, N, K)
        R_logits = class_logits(Q_C, q, Z, s.rho, rows)  # (M, K, 2)
        R = label_classes(R_logits.detach(), q, s)
        Q_R = R.Q.expand_as(Q_R)
        parts = own.parts | {"clusters": label_loss(Q_C, C_logits, rows), "classes": label_loss(Q_R, R_logits)}
        loss = own.loss + own.unit * s.lambda_c * parts["clusters"] + own.unit * s.lambda_r * parts["classes"]
        monitors |= cluster_monitors(logits, Q_C, Q_R) | label_monitors("Q_C", C) | label_monitors("Q_R", R)
        pseudo = Pseudo(own.Q_A, Q_C, Q_R)
        return Step(loss, parts, Carried(Q_R, own.memory), pseudo, monitors, {"clusters": logits, "classes": R_logits})

    @torch.no_grad()
    def scores(self, batch: Batch, carried: Carried, embedding: bool = True) -> dict[str, Tensor]:
        r"""Section 3.3: what testing needs of V videos: T-CAS logits, P^A, \hat P^A (Eq. 17), P^C and, if asked, Z.

        Video axis first: cas (V, M|1, T, C), attention, clusters (V, M, T), P_C (V, M, T, K), embedding (V, M, T, H).
        """
        batch = replace(batch, memory=carried.memory, generator=None)
        snippets = self.baseline(batch)
        out = {"cas": snippets.cas, "attention": snippets.attention}
        if embedding:
            out["embedding"] = batch.spread(snippets.embedding, snippets.rows)
        if self.head is not None:
            P_C = batch.spread(self.head(snippets.embedding).softmax(-1), snippets.rows)  # (M, V, T, K)
            out |= {"P_C": P_C, "clusters": assisted(P_C, carried.Q_R[:, None])}
        read = (*getattr(baselines.load(self.settings.baseline), "READS", ()), "clock")
        extra = {name: snippets.extra[name] for name in read if name in snippets.extra}
        return {name: tensor.movedim(0, 1) for name, tensor in out.items()} | extra


@torch.no_grad()
def attention_monitors(P_A: Tensor, Q_A: Tensor) -> dict[str, Tensor]:
    """Fig. 4's range of P^A (M, B, T), its mean over selected and unselected snippets, and the share of Q^A.

    Agreement is the share of snippets that all streams put on the same side of one half.
    """
    chosen, high = Q_A.bool(), P_A >= 0.5
    return {
        "P_A/min": P_A.min(),
        "P_A/mean": P_A.mean(),
        "P_A/max": P_A.max(),
        "P_A/selected": P_A.masked_fill(~chosen, 0).sum() / chosen.sum(),
        "P_A/unselected": P_A.masked_fill(chosen, 0).sum() / (~chosen).sum(),
        "P_A/agreement": (high == high[:1]).all(0).float().mean(),
        "Q_A/share": Q_A.mean(),
    }


@torch.no_grad()
def cluster_monitors(logits: Tensor, Q_C: Tensor, Q_R: Tensor) -> dict[str, Tensor]:
    """Fig. 3, Table 4 and Fig. 4: entropies in nats of P^C, its mean, Q^C and Q^R; ranges."""
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
    }


@torch.no_grad()
def label_monitors(name: str, labels: Labels) -> dict[str, Tensor]:
    """Eq. 4's marginal error, whose rows hold exactly, and how many iterations the labels took."""
    return {f"marginal_error/{name}": marginal_error(labels), f"iterations/{name}": labels.iterations}
