r"""BaS-Net (Lee et al., AAAI 2020, "Background suppression network"): two branches with shared weights.

Filter: w = sigmoid(conv(LeakyReLU(conv(x)))), both 1x1. T-CAS module g with C + 1 classes (the last is background):
two kernel-3 convolutions with LeakyReLU, dropout, 1x1 without bias. The base branch is g(x), the suppression branch
g(w x), each with its own dropout mask. Loss: BCE(base, [y, 1] / (|y| + 1)) + BCE(suppressed, [y, 0] / |y|) + alpha
|w|_1.

alpha is stated for 750 snippets and |w|_1 is a sum over them: ``for_snippets`` carries it over to other T.

With CASE (the paper does not say): one stream. Z is the filter's hidden layer (LeakyReLU: may be negative), P^A = w,
Q^A the union of the k highest snippets of g(w x) for the classes present, background excluded. The baseline has no
loss on its attention; ``lambda_a`` adds Eq. 2 (a change of the baseline, 0 by default).
Clustering-assisted testing: feeding the refined attention through the network again would need a pass; stored scores
allow moving the thresholded sequence by what CAT moves the attention: v + cat_gain (refined - P^A), cut to [0, 1].
That is what Appendix E.1's calibration does, with a gain of 1 - omega; without CAT the released rule remains.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import (
    foreground_labels,
    full_cas,
    generalised_bce,
    highest,
    min_max,
    restated,
    select,
    target_with_background,
)
from model.options import BasnetOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, encode, joined


class Baseline(nn.Module):
    """Filter and T-CAS module on the joined streams; axis M has length 1 throughout."""

    streams = 1

    def __init__(self, options: BasnetOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.width = options, shape.width
        features = sum(shape.features)
        hidden = options.channels or features
        self.filter1 = PerStream((features,), shape.width, 1, seed, "filter1")
        self.filter2 = PerStream((shape.width,), 1, 1, seed, "filter2")
        self.cas1 = PerStream((features,), hidden, 3, seed, "cas1")
        self.cas2 = PerStream((hidden,), hidden, 3, seed, "cas2")
        self.cas3 = PerStream((hidden,), shape.classes + 1, 1, seed, "cas3", bias=False)

    def forward(self, batch: Batch) -> Snippets:
        (Z,), rows = encode(joined(batch.x), batch.rows, self.filter1)
        Z = F.leaky_relu(Z)  # (1, R, H)
        w = self.filter2(Z).sigmoid()  # (1, R, 1)
        cas = self.sequence(batch, F.pad(w[0], (0, 0, 0, 1)))  # (1, B, T, C + 1)
        return Snippets(cas[..., :-1], batch.spread(w, rows).squeeze(-1), Z, rows, {"background": cas[0, ..., -1]})

    def sequence(self, batch: Batch, w: Tensor | float = 1.0) -> Tensor:
        """g of the features times w (R + 1, 1): T-CAS logits (1, B, T, C + 1), background last."""
        (x,) = joined(batch.x)
        (hidden,), _ = encode((w * x,), batch.rows, self.cas1)  # (1, B T, H)
        hidden = F.leaky_relu(self.cas2(batch.grid(F.leaky_relu(hidden))))  # (1, B, T, H)
        hidden = dropout(hidden, self.options.dropout, batch.generator)
        return batch.grid(self.cas3(hidden.flatten(1, 2)))

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Base, suppression and sparsity losses; the base branch is computed here, testing never needs it."""
        o, w, y = self.options, snippets.attention, batch.labels
        k = w.shape[-1] // o.topk
        suppressed, base = full_cas(snippets)[None], self.sequence(batch)  # (1, B, T, C + 1) each
        parts = {
            "base": F.binary_cross_entropy(highest(base, k).softmax(-1)[0], target_with_background(y, 1)),
            "suppressed": F.binary_cross_entropy(highest(suppressed, k).softmax(-1)[0], target_with_background(y, 0)),
            "sparsity": w.abs().sum(-1).mean(),
        }
        alpha = o.alpha * restated(o.for_snippets, w.shape[-1])
        loss = parts["base"] + parts["suppressed"] + alpha * parts["sparsity"]
        Q_A = foreground_labels(select(snippets.cas.detach(), k), y, w.shape[-1])
        if o.lambda_a:
            parts["attention"] = generalised_bce(w, Q_A, o.gamma, per_video=False, guard=0.0)
            loss = loss + o.lambda_a * parts["attention"]
        return Losses(loss, parts, Q_A, unit=1 / suppressed.shape[-1])


READS = ("background",)  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: BasnetOptions) -> Inference:
    """Released rule: min-max T-CAS of the suppression branch, zeroed below the threshold before the contrast, in which
    every class that is searched for has video score 1; classes from the suppressed score, background left out."""
    cas = torch.as_tensor(scores["cas"])[:, 0]  # (V, T, C), scaled in the precision in which it is stored, as released
    full = torch.cat([cas, torch.as_tensor(scores["background"])[..., None]], -1).double()
    video = highest(full, cas.shape[1] // options.topk).softmax(-1)[:, :-1].numpy()
    shift = options.cat_gain * (refined - scores["attention"].mean(1, dtype=np.float64))  # (V, T)
    sequence = np.clip(min_max(cas).double().numpy() + shift[..., None], None, 1)
    group = Group(sequence, sequence, np.ones_like(video), zero_below=True)
    return Inference(video, {"cas": group}, skip_only_class_zero=options.skip_only_class_zero)
