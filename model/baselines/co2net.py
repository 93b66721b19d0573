r"""CO2-Net (Hong et al., ACM MM 2021): each stream is filtered by what the other one knows, then attended.

For stream v with the other stream u: g = LReLU(conv_3(mean over time of v)), l = LReLU(conv_3(u)), filtered v' =
sigmoid(l g) v; attention A_v = sigmoid(1x1 of LReLU(conv_3 of LReLU(conv_3(v')))). A is the mean of both; a classifier
with C + 1 classes (the last is background) reads the joined v'. Suppressed T-CAS: A (cas - min_c cas) + min_c cas.
Losses: k-max classification with and without suppression ([y, 1] and [y, 0]), W-TALC's co-activity on the drawn pairs
with the suppressed T-CAS, mutual learning of the attentions, their means, and their agreement with 1 - background.

With CASE: two streams. P^A_m is the stream's attention, Z_m the hidden layer that it is read from (LeakyReLU: may be
negative), Q^A the union of the k highest snippets of the suppressed T-CAS for the classes present, background excluded.
The refined attention replaces A in testing: in the product with the T-CAS and where attention is thresholded.
As released: dropout on the attention logit (a dropped one is exactly 0.5) and the time-free part of the global filter
is a kernel of 3 on one step, of which only the middle tap acts.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.wtalc import co_activity
from model.inference import Group, Inference
from model.mil import foreground_labels, full_cas, highest, select, target_with_background, video_loss
from model.options import Co2netOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, initialise, on_grid


class Baseline(nn.Module):
    """Filters and attentions of M = 2 streams, fusion and classifier on both."""

    def __init__(self, options: Co2netOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.streams, self.width = options, shape.streams, shape.width
        D, H = shape.features[0], sum(shape.features)
        wide, hidden = (D,) * shape.streams, (shape.width,) * shape.streams
        self.local = PerStream(wide, D, 3, seed, "local")
        self.overall = PerStream(wide, D, 3, seed, "global")
        self.attention1 = PerStream(wide, shape.width, 3, seed, "attention1")
        self.attention2 = PerStream(hidden, shape.width, 3, seed, "attention2")
        self.attention3 = PerStream(hidden, 1, 1, seed, "attention3")
        self.fusion = PerStream((H,), H, 1, seed, "fusion")
        self.classifier1 = PerStream((H,), H, 3, seed, "classifier1")
        self.classifier2 = PerStream((H,), shape.classes + 1, 1, seed, "classifier2")
        initialise(self, seed, nn.init.kaiming_uniform_)

    def forward(self, batch: Batch) -> Snippets:
        x = on_grid(batch.x, batch.rows)  # (M, B, T, D)
        filtered = self.filtered(x, batch.generator)
        hidden = self._dropped(self._bent(self.attention1(filtered)), batch.generator)
        Z = self._bent(self.attention2(hidden))  # (M, B, T, H)
        logits = batch.grid(self.attention3(Z.flatten(1, 2)))
        P_A = self._dropped(logits, batch.generator).sigmoid().squeeze(-1)  # (M, B, T)
        e, cas = self.classified(filtered, batch)
        extra = {"background": cas[..., -1], "fused": e, "filtered": filtered.movedim(0, -2)}
        return Snippets(cas[None, ..., :-1], P_A, Z.flatten(1, 2), None, extra)

    def filtered(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Each stream gated by its own mean over time and by the other stream; (M, B, T, D)."""
        overall = self._dropped(self._bent(self.overall(x.mean(-2, keepdim=True))), generator)  # (M, B, 1, D)
        local = self._dropped(self._bent(self.local(x.flip(0))), generator)  # (M, B, T, D): of the other stream
        return (local * overall).sigmoid() * x

    def classified(self, filtered: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Fused embedding e (B, T, M D) and T-CAS logits (B, T, C + 1) of filtered streams (M, B, T, D)."""
        o, joint = self.options, filtered.movedim(0, -2).flatten(-2)[None]  # (1, B, T, M D)
        fused = batch.grid(self.fusion(joint.flatten(1, 2)))
        e = dropout(self._bent(fused), o.dropout, batch.generator)
        hidden = self._bent(self.classifier1(dropout(e, o.dropout, batch.generator)))
        hidden = dropout(hidden, o.dropout_last, batch.generator)
        cas = batch.grid(self.classifier2(hidden.flatten(1, 2)))
        return e[0], cas[0]

    def _bent(self, values: Tensor) -> Tensor:
        return F.leaky_relu(values, self.options.slope)

    def _dropped(self, values: Tensor, generator: torch.Generator | None) -> Tensor:
        return dropout(values, self.options.dropout_attention, generator)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        return self.own_losses(snippets, batch)

    def own_losses(self, snippets: Snippets, batch: Batch) -> Losses:
        """Two classifications, co-activity, and four terms on the attentions."""
        o, y, k = self.options, batch.labels, max(1, snippets.cas.shape[-2] // self.options.k)
        cas = full_cas(snippets)  # (B, T, C + 1)
        supp = suppressed(cas, snippets.attention.mean(0))
        present, absent = (target_with_background(y, value, o.label_guard) for value in (1.0, 0.0))
        pairs = torch.arange(2 * batch.pairs, device=y.device)
        parts = {
            "mil": video_loss(highest(cas, k)[None], present, 0, 0),
            "mil_suppressed": video_loss(highest(supp, k)[None], absent, 0, 0),
            "contrast": co_activity(snippets.extra["fused"], supp[..., :-1], y, o.delta, pairs),
            "mutual": mutual(snippets.attention),
            "norm": stacked_attentions(snippets).mean(),
            "guide": disagreement(snippets).mean(),
        }
        loss = parts["mil"] + parts["mil_suppressed"] + o.contrast * parts["contrast"] + o.mutual * parts["mutual"]
        loss = loss + o.norm * parts["norm"] + o.guide * parts["guide"]
        chosen = foreground_labels(select(supp[None, ..., :-1].detach(), k), y, cas.shape[-2])
        return Losses(loss, parts, chosen.expand_as(snippets.attention))


def suppressed(cas: Tensor, attention: Tensor) -> Tensor:
    """A (cas - min_c cas) + min_c cas: where nothing is attended, all classes are alike; (..., C + 1), (...)."""
    lowest = cas.amin(-1, keepdim=True)
    return attention.unsqueeze(-1) * (cas - lowest) + lowest


def stacked_attentions(snippets: Snippets) -> Tensor:
    """The fused attention and those of the streams, (M + 1, B, T)."""
    return torch.cat([snippets.attention.mean(0, keepdim=True), snippets.attention])


def disagreement(snippets: Snippets) -> Tensor:
    """|1 - A - background probability| of each attention, mean over them; (B, T)."""
    background = full_cas(snippets).softmax(-1)[..., -1]
    return (1 - stacked_attentions(snippets) - background).abs().mean(0)


def mutual(attention: Tensor) -> Tensor:
    """Mean squared distance of each stream's attention to the other's, which is its target without gradient."""
    return ((attention - attention.detach().flip(0)) ** 2).mean()


READS = ("background",)  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: Co2netOptions) -> Inference:
    """Released rule: attention is thresholded, attended logits are scored; classes from their k highest."""
    attention = torch.as_tensor(refined).double().unsqueeze(-1)  # (V, T, 1)
    cas = torch.cat([torch.as_tensor(scores["cas"])[:, 0], torch.as_tensor(scores["background"])[..., None]], -1)
    attended = cas.double() * attention  # (V, T, C + 1)
    video = highest(attended, attended.shape[1] // options.k_test).softmax(-1)[..., :-1].numpy()
    return Inference(video, {"attention": Group(attention.numpy(), attended[..., :-1].numpy(), video)})
