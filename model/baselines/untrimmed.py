r"""UntrimmedNets (Wang et al., CVPR 2017) with soft selection: attention is a Softmax over the snippets of a video.

Per stream an encoder, a classifier and a selection layer share the representation. Soft selection (the paper's Section
3.3): w = Softmax over time of the selection logits; a video's class scores are sum_t w_t Softmax(cas_t) and the loss
is the cross-entropy with y / |y|. Streams are trained side by side and averaged in testing (late fusion).

Choices where the paper is silent or its setting does not carry over: features are given, so "feature extraction" is
one temporal convolution with ReLU. P^A must lie in [0, 1] and tell snippets apart, while w sums to 1 and peaks: P^A is
the min-max of the selection logits over time, w their Softmax. Q^A is the union, over the classes present, of the T //
topk snippets that contribute most to the class score, w_t Softmax(cas_t)_c, and Eq. 24's switch averages that over
streams. Localisation: the paper thresholds w and then the class score; here their product, refined attention times
class probability, min-max scaled over time, is thresholded and scored as for the other methods. With CASE: Z is the
shared representation, hence clusters shape the classes, too.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from model.inference import Group, Inference
from model.mil import cross_entropy, foreground_labels, min_max, normalise_labels, select
from model.options import UntrimmedOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, encode, fuse


class Baseline(nn.Module):
    """Encoder -> Z -> T-CAS and selection logits, for each of M streams."""

    def __init__(self, options: UntrimmedOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.streams, self.width = options, shape.streams, shape.width

        hidden = (shape.width,) * shape.streams
        self.encoder = PerStream(shape.features, shape.width, options.kernel, seed, "encoder")
        self.classifier = PerStream(hidden, shape.classes, 1, seed, "classifier")
        self.selection = PerStream(hidden, 1, 1, seed, "selection")

    def forward(self, batch: Batch) -> Snippets:
        (Z,), rows = encode(batch.x, batch.rows, self.encoder)
        Z = Z.relu()  # (M, R, H)
        logits = batch.spread(self.selection(Z), rows).squeeze(-1)  # (M, B, T)
        P_A = min_max(logits - logits.amin(-1, keepdim=True), -1)
        cas = batch.spread(self.classifier(Z), rows)  # (M, B, T, C)
        return Snippets(cas, P_A, Z, rows, {"selection": logits.movedim(0, -1)})

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Cross-entropy of the softly selected class scores."""
        P_V, T = snippets.cas.softmax(-1), snippets.cas.shape[-2]
        w = snippets.extra["selection"].movedim(-1, 0).softmax(-1).unsqueeze(-1)  # (M, B, T, 1)
        log_P = (w * P_V).sum(-2).clamp_min(torch.finfo(P_V.dtype).tiny).log()  # (M, B, C)
        loss = cross_entropy(log_P, normalise_labels(batch.labels)).mean()
        chosen = select(fuse((w * P_V).detach(), co_label), T // self.options.topk)
        Q_A = foreground_labels(chosen, batch.labels, T).expand_as(snippets.attention)
        return Losses(loss, {"video": loss}, Q_A)


READS = ("selection",)  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: UntrimmedOptions) -> Inference:
    """Class scores by soft selection, streams averaged; refined attention times class probability is thresholded."""
    P_V = torch.as_tensor(scores["cas"]).double().softmax(-1)  # (V, M, T, C)
    w = torch.as_tensor(scores["selection"]).double().softmax(1).movedim(-1, 1).unsqueeze(-1)  # (V, M, T, 1)
    video = (w * P_V).sum(-2).mean(1).numpy()
    sequence = min_max(P_V.mean(1) * torch.as_tensor(refined).double().unsqueeze(-1)).numpy()
    return Inference(video, {"weighted": Group(sequence, sequence, video)})
