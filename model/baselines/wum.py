r"""WUM (Lee et al., AAAI 2021, "Weakly-supervised temporal action localization by uncertainty modeling").

e = ReLU(conv_3(x)), cas = 1x1 without bias of dropout(e), magnitudes m = |e|_2. Pseudo-action: the T // r_act snippets
of largest magnitude; pseudo-background: the T // r_bkg of smallest; both after one random mask over time.
Loss: BCE(score_act, y / |y|) + alpha (relu(margin - |mean e_act|) + |mean e_bkg|)^2 + beta BCE(score_bkg, 1 / C).

margin and alpha are stated for 2048 channels: ``for_channels`` carries them over to other widths.

With CASE (the paper does not say): one stream, Z = e. P^A is the released test rule's normalised magnitude, 0 at the
mean magnitude of the background snippets and 1 at that of the action snippets ("ends"), or the paper's min(m, margin)
/ margin ("margin"). Q^A is 1 for the T // r_act largest magnitudes without the random mask (a label should not be
drawn by lot) and 0 for all others: Q^A in {0, 1} leaves no room for ignoring the middle. Clustering-assisted testing:
the refined attention replaces the normalised magnitude, in the product with the T-CAS and where magnitudes are
thresholded.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import highest, min_max, normalise_labels, restated
from model.options import WumOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, encode, joined


class Baseline(nn.Module):
    """One encoder on the joined streams, whose output's length is the uncertainty; axis M has length 1 throughout."""

    streams = 1

    def __init__(self, options: WumOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options = options
        features = sum(shape.features)
        self.width = options.channels or features
        self.encoder = PerStream((features,), self.width, 3, seed, "encoder")
        self.classifier = PerStream((self.width,), shape.classes, 1, seed, "classifier", bias=False)

    def forward(self, batch: Batch) -> Snippets:
        (e,), _ = encode(joined(batch.x), batch.rows, self.encoder)
        e = e.relu()  # (1, B T, H)
        cas = batch.grid(self.classifier(dropout(e, self.options.dropout, batch.generator)))
        m = batch.grid(e).norm(dim=-1)  # (1, B, T)
        return Snippets(cas, attention(m, self.options, margin(self.options, self.width)), e)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Classification, uncertainty and background-entropy losses."""
        o, e, y = self.options, batch.grid(snippets.embedding), batch.labels
        m = e.detach().norm(dim=-1)  # (1, B, T)
        T, C = m.shape[-1], y.shape[-1]
        keep = dropout(torch.ones_like(m), o.dropout, batch.generator)
        act = (keep * m).topk(max(1, T // o.r_act)).indices  # (1, B, k)
        bkg = (keep * (m.amax(-1, keepdim=True) - m)).topk(max(1, T // o.r_bkg)).indices
        score_act = highest(snippets.cas, T // o.r_act).softmax(-1)
        score_bkg = _taken(snippets.cas, bkg).softmax(-1)
        missing = (margin(o, self.width) - _taken(e, act).norm(dim=-1)).relu()  # (1, B)
        uncertainty = missing + _taken(e, bkg).norm(dim=-1)
        parts = {
            "video": F.binary_cross_entropy(score_act[0], normalise_labels(y)),
            "uncertainty": (uncertainty**2).mean(),
            "background": F.binary_cross_entropy(score_bkg, torch.full_like(score_bkg, 1 / C)),
        }
        alpha = o.alpha * restated(o.for_channels, self.width)
        loss = parts["video"] + alpha * parts["uncertainty"] + o.beta * parts["background"]
        Q_A = torch.zeros_like(m).scatter_(-1, m.topk(max(1, T // o.r_act)).indices, 1.0)
        return Losses(loss, parts, Q_A, unit=1 / C)


def _taken(values: Tensor, indices: Tensor) -> Tensor:
    """Mean over the snippets at ``indices``; (1, B, T, H), (1, B, k) -> (1, B, H)."""
    return values.gather(-2, indices.unsqueeze(-1).expand(*indices.shape, values.shape[-1])).mean(-2)


def margin(options: WumOptions, channels: int) -> float:
    """The margin at this number of channels: lengths grow with its root, squared lengths (alpha) in proportion."""
    return options.margin / restated(options.for_channels, channels) ** 0.5


def attention(m: Tensor, options: WumOptions, ceiling: float) -> Tensor:
    """P^A in [0, 1] of magnitudes m (..., T), per video; ``ceiling`` is the margin."""
    if options.attention == "margin":
        return m.clamp_max(ceiling) / ceiling
    T = m.shape[-1]
    hi = m.topk(max(1, T // options.r_act)).values.mean(-1, keepdim=True)
    lo = m.topk(max(1, T // options.r_bkg), largest=False).values.mean(-1, keepdim=True)
    return ((m - lo) / (hi - lo).clamp_min(torch.finfo(m.dtype).tiny)).clamp(0, 1)


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: WumOptions) -> Inference:
    """Released rule: classes from the k highest logits; see ``groups``."""
    cas = torch.as_tensor(scores["cas"])[:, 0].double()  # (V, T, C)
    video = highest(cas, cas.shape[1] // options.r_act).softmax(-1).numpy()
    return Inference(video, groups(cas.softmax(-1), torch.as_tensor(refined).double(), video))


def groups(probabilities: Tensor, magnitude: Tensor, video: np.ndarray) -> dict[str, Group]:
    """Min-max of probabilities (V, T, C) times normalised magnitude (V, T), thresholded itself and by the magnitude."""
    sequence = min_max(probabilities * magnitude.unsqueeze(-1)).clamp(0, 1).numpy()
    return {
        "cas": Group(sequence, sequence, video, zero_below=True, shortest=2),
        "magnitude": Group(magnitude.unsqueeze(-1).numpy(), sequence, video, shortest=2),
    }
