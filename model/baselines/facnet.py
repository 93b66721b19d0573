r"""FAC-Net (Huang et al., ICCV 2021): foreground-action consistency, one network per stream.

e = two layers per snippet with ReLU and dropout. Everything else is a cosine, times S: of snippets with C + 1 class
centres a (the T-CAS; the last is background) and with one foreground centre f. With a Softmax over time at each of a
few temperatures, three heads classify a video: class-wise foreground (each class' attended feature against f),
class-agnostic attention (the foreground-attended feature against a) and multiple instance learning (the attended
T-CAS). Cross-entropies are summed over the videos of a batch (released: ten added gradients, one step of Adam).
Padding counts in none of them.

With CASE: M streams as the method has them. Z = e, P^A = sigmoid of the foreground score, Q^A the union of the T //
topk highest snippets of the T-CAS for the classes present. In testing the class-agnostic scores choose classes, each
stream's class probabilities are thresholded (RGB at a tenth of its size, so that its proposals rank last) and scored;
the refined attention enters as a factor, refined / P^A, so that without CAT the released rule remains.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import cross_entropy, inside, label_highest, target_with_background
from model.options import FacnetOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, on_grid, seeded

LABEL_GUARD = 1e-8  # added to the sum by which labels are divided


class Baseline(nn.Module):
    """Two layers and C + 2 centres for each of M streams."""

    temperatures: Tensor

    def __init__(self, options: FacnetOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.streams, self.width = options, shape.streams, shape.width
        D = shape.features[0]
        self.embed1 = PerStream(shape.features, D, 1, seed, "embed1")
        self.embed2 = PerStream((D,) * shape.streams, shape.width, 1, seed, "embed2")
        self.centres = nn.Parameter(torch.empty(shape.streams, shape.classes + 1, shape.width))
        for m in range(shape.streams):
            with seeded(seed, f"centres.{m}"):
                nn.init.xavier_uniform_(self.centres.data[m])
        self.foreground = nn.Parameter(-self.centres.data[:, -1:].clone())
        temperatures = torch.tensor(options.temperatures, dtype=torch.float64).view(-1, 1, 1, 1, 1)
        self.register_buffer("temperatures", temperatures, persistent=False)  # where the weights are, but none of them

    def forward(self, batch: Batch) -> Snippets:
        o = self.options
        x = on_grid(batch.x, batch.rows).flatten(1, 2)  # (M, B T, D)
        hidden = dropout(self.embed1(x).relu(), o.dropout, batch.generator)
        e = dropout(self.embed2(hidden).relu(), o.dropout, batch.generator)  # (M, B T, H)
        unit = o.scale * F.normalize(e, dim=-1)
        cas = batch.grid(unit @ F.normalize(self.centres, dim=-1).mT)  # (M, B, T, C + 1)
        score = batch.grid(unit @ F.normalize(self.foreground, dim=-1).mT).squeeze(-1)  # (M, B, T)
        agnostic = self.agnostic(batch.grid(e), score, batch).softmax(-1)  # (M, B, C + 1)
        extra = {"background": cas[..., -1], "foreground": score, "agnostic": agnostic}
        extra = {name: value.movedim(0, 1) for name, value in extra.items()}
        return Snippets(cas[..., :-1], score.sigmoid(), e, None, extra)

    def agnostic(self, e: Tensor, score: Tensor, batch: Batch) -> Tensor:
        """Logits of the class-agnostic head from e (M, B, T, H) and foreground scores; (M, B, C + 1)."""
        weights = self.over_time(score.unsqueeze(-1), batch)  # (S, M, B, T, 1)
        features = F.normalize((weights.mT @ e).squeeze(-2), dim=-1)  # (S, M, B, H)
        logits = features @ F.normalize(self.centres, dim=-1).mT  # (S, M, B, C + 1)
        return 2 * self.options.scale * logits.mean(0)

    def over_time(self, values: Tensor, batch: Batch) -> Tensor:
        """Softmax over the snippets of a video at each temperature; (M, B, T, C) -> (S, M, B, T, C)."""
        return (
            (self.temperatures.to(values.dtype) * values)
            .masked_fill(~inside(batch).unsqueeze(-1), -torch.inf)
            .softmax(-2)
        )

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Three classifications, summed over videos and streams."""
        o, (streams, videos, _) = self.options, snippets.attention.shape
        e = batch.grid(snippets.embedding)  # (M, B, T, H)
        cas = torch.cat([snippets.cas, snippets.extra["background"].movedim(1, 0).unsqueeze(-1)], -1)
        weights = self.over_time(cas, batch)  # (S, M, B, T, C + 1)
        attended = F.normalize(weights.mT @ e, dim=-1)  # (S, M, B, C + 1, H)
        towards = F.normalize(self.foreground, dim=-1)[:, None].mT  # (M, 1, H, 1)
        class_wise = 2 * o.scale * (attended @ towards).squeeze(-1).mean(0)
        agnostic = self.agnostic(e, snippets.extra["foreground"].movedim(1, 0), batch)
        mil = 2 * (weights * cas).sum(-2).mean(0)
        plain, full = (target_with_background(batch.labels, value, LABEL_GUARD) for value in (0, 1))
        parts = {
            "class_wise": cross_entropy(class_wise.log_softmax(-1), plain).sum(),
            "class_agnostic": cross_entropy(agnostic.log_softmax(-1), plain).sum(),
            "mil": cross_entropy(mil.log_softmax(-1), full).sum(),
        }
        loss = o.class_wise * parts["class_wise"] + o.class_agnostic * parts["class_agnostic"] + o.mil * parts["mil"]
        Q_A = label_highest(snippets.cas.detach(), o.topk, batch)
        return Losses(loss, parts, Q_A, unit=o.class_wise * videos * streams)


READS = ("background", "agnostic")  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: FacnetOptions) -> Inference:
    """Released rule: a group of proposals per stream, each with its own class scores; the first stream ranks last."""
    cas = np.concatenate([scores["cas"], scores["background"][..., None]], -1)  # (V, M, T, C + 1)
    q = torch.as_tensor(cas).double().softmax(-1)[..., :-1].numpy()
    q = q * (refined / scores["attention"].mean(1, dtype=np.float64))[:, None, :, None]
    agnostic = scores["agnostic"].astype(np.float64)[..., :-1]  # (V, M, C)
    names = ("rgb", "flow")[-q.shape[1] :]
    groups = {}
    for m, name in enumerate(names):
        sequence = q[:, m] * (options.rgb_scale if name == "rgb" else 1)
        groups[name] = Group(sequence, sequence, agnostic[:, m], shortest=3, searched=agnostic[:, m])
    return Inference(agnostic.mean(1), groups, searched=agnostic.max(1))
