r"""ACM-Net (Qu et al., TIP 2021): three attentions for action instance, action context and background.

Joined streams -> temporal convolution, ReLU (e) -> Softmax over three attentions A_ins + A_con + A_bak = 1; a
classifier with C + 1 classes (the last is background) on e under two dropout masks (one over time, one over entries).
Each branch is cas times its attention, pooled by its own top k, with its own labels: [y, 0], [y, 1] and [0, 1], each
divided by its sum; cross-entropies are added. Regularisers: guide sum_t |1 - p_bkg(t) - A_ins(t)| with p_bkg from the
instance branch and A_ins without gradient; feature separation (relu(m - |e_ins| + |e_con|) + relu(m - |e_con| +
|e_bak|) + |e_bak|)^2 on the mean embeddings that each attention selects; sparsity of A_ins and A_con. The released
margin and separation weight are for 2048 channels; ``for_channels`` carries them over to other widths. Guide and
sparsity keep their weights as sums over time: five times as much at T = 150 held the instance branch back.

With CASE: one stream, Z = e, P^A = A_ins, Q^A the union of the k highest snippets of the instance branch for the
classes present, background excluded. The refined attention replaces A_ins wherever testing uses it: in the instance
branch (product, hence class scores and T-CAS) and where attention is thresholded. Choices where the paper is silent
follow its public release: the gradient stop in the guide, the mean over the two sparse attentions, thresholds, runs of
at least 2.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from model.inference import Group, Inference
from model.mil import cross_entropy, foreground_labels, full_cas, highest, restated, select, target_with_background
from model.options import AcmnetOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, drop_features, dropout, encode, joined


class Baseline(nn.Module):
    """One encoder, three attentions and a classifier on the joined streams; axis M has length 1 throughout."""

    streams = 1

    def __init__(self, options: AcmnetOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options = options
        features = sum(shape.features)
        self.width = options.channels or features
        self.encoder = PerStream((features,), self.width, 3, seed, "encoder")
        self.attention = PerStream((self.width,), 3, 1, seed, "attention")
        self.classifier = PerStream((self.width,), shape.classes + 1, 1, seed, "classifier")

    def forward(self, batch: Batch) -> Snippets:
        o = self.options
        x, rows = joined(batch.x), batch.rows
        if o.early_dropout:
            x, rows = drop_features(x, rows, o.early_dropout, batch.generator)
        (e,), _ = encode(x, rows, self.encoder)
        e = e.relu()  # (1, B T, H)
        attended = dropout(e, o.early_dropout, batch.generator)
        A = batch.grid(self.attention(attended).softmax(-1))  # (1, B, T, 3): instance, context, background
        kept = e * dropout(torch.ones_like(e[..., :1]), o.dropout, batch.generator)
        cas = batch.grid(self.classifier(dropout(kept, o.dropout, batch.generator)))  # (1, B, T, C + 1)
        return Snippets(cas[..., :-1], A[..., 0], e, None, {"background": cas[0, ..., -1], "branches": A[0]})

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Three classifications and three regularisers."""
        o, y, T = self.options, batch.labels, snippets.cas.shape[-2]
        e = batch.grid(snippets.embedding)[0]  # (B, T, H)
        A = snippets.extra["branches"]  # (B, T, 3)
        cas = full_cas(snippets)  # (B, T, C + 1)
        k = [max(1, T // r) for r in (o.r_instance, o.r_context, o.r_background)]
        branches = [cas * A[..., i : i + 1] for i in range(3)]
        targets = [target_with_background(own, value) for own, value in ((y, 0), (y, 1), (torch.zeros_like(y), 1))]
        instance, context, background = (
            classify(highest(branch, n), target, o.log_guard) for branch, n, target in zip(branches, k, targets)
        )
        guide = (1 - branches[0].softmax(-1)[..., -1] - A[..., 0].detach()).abs().sum(-1).mean()
        size = restated(o.for_channels, self.width)
        features = separation([_length(e, A[..., i], k[i]) for i in range(3)], o.margin / size**0.5)
        sparsity = A[..., :2].sum(-2).mean()
        loss = o.instance * instance + context + background + o.guide * guide + o.sparsity * sparsity
        loss = loss + size * o.separation * features
        parts = {"instance": instance, "context": context, "background": background}
        parts |= {"guide": guide, "features": features, "sparsity": sparsity}
        Q_A = foreground_labels(select(branches[0].detach()[None, ..., :-1], k[0]), y, T)
        return Losses(loss, parts, Q_A, unit=o.instance)


def classify(pooled: Tensor, target: Tensor, guard: float) -> Tensor:
    """Cross-entropy, mean over videos; ``guard`` is added inside the logarithm."""
    log_P = (pooled.softmax(-1) + guard).log() if guard else pooled.log_softmax(-1)
    return cross_entropy(log_P, target).mean()


def _length(e: Tensor, attention: Tensor, k: int) -> Tensor:
    """Length of the mean embedding of the k most attended snippets; (B, T, H), (B, T) -> (B,)."""
    indices = attention.topk(k).indices
    return e.gather(1, indices.unsqueeze(-1).expand(-1, -1, e.shape[-1])).mean(1).norm(dim=-1)


def separation(lengths: list[Tensor], margin: float) -> Tensor:
    """Feature separation of the lengths (B,) of instance, context and background embeddings."""
    instance, context, background = lengths
    gaps = (margin - instance + context).relu() + (margin - context + background).relu()
    return ((gaps + background) ** 2).mean()


READS = ("background",)  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: AcmnetOptions) -> Inference:
    """Released rule: class probabilities of the instance branch, thresholded themselves and by the (refined) A_ins."""
    return attended(scores, refined, options.r_instance, options.cas_weight, options.cas_bonus)


def attended(
    scores: Mapping[str, np.ndarray], refined: np.ndarray, r: int, cas_weight: float, cas_bonus: float
) -> Inference:
    """Two groups of an attended T-CAS; under the contrast stands cas_weight of it, the rest is the attention."""
    attention = torch.as_tensor(refined).double().unsqueeze(-1)  # (V, T, 1)
    cas = torch.cat([torch.as_tensor(scores["cas"])[:, 0], torch.as_tensor(scores["background"])[..., None]], -1)
    instance = cas.double() * attention  # (V, T, C + 1)
    video = highest(instance, max(1, instance.shape[1] // r)).softmax(-1)[:, :-1].numpy()
    sequence, A = instance.softmax(-1)[..., :-1].numpy(), attention.numpy()
    own, rest = cas_weight * sequence, np.broadcast_to((1 - cas_weight) * A, sequence.shape)
    groups = {
        "cas": Group(sequence, own, cas_bonus * video, beside=rest, zero_below=True, shortest=2),
        "attention": Group(A, rest, video, beside=own, zero_below=True, shortest=2),
    }
    return Inference(video, groups)
