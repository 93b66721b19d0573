r"""CoLA (Zhang et al., CVPR 2021): compare easy with hard snippets, which are found on the class-sum actionness.

Joined streams -> temporal convolution, ReLU (Z), dropout -> classifier without bias, ReLU -> T-CAS. Actionness is the
sum of the T-CAS over classes. Classification: BCE of Softmax(mean of the T // r_easy highest) with y / |y|. Easy
action and background snippets: the T // r_easy of highest and lowest actionness after a random mask over time. Hard
ones (the paper's Section 3.3): actionness above its median gives a mask; its inner border (erosion by m without
erosion by M) holds hard actions, its outer border (dilation by M without dilation by m) hard background, the T //
r_hard of highest actionness each. Snippet contrast: InfoNCE of mean hard action against mean easy action with easy
background as negatives, and the same with sides exchanged. L = BCE + lambda contrast.

With CASE: one stream, Z, P^A is the actionness min-max scaled over time (what its localisation thresholds), Q^A the
union of the T // r_easy highest snippets of the classes present, which its video loss pools. The refined attention
replaces the actionness whose thresholds give the second group of proposals; the T-CAS group is untouched.
Where the paper is silent the values are those of its public release (masks, thresholds, non-maximum suppression).
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import foreground_labels, highest, min_max, normalise_labels, select
from model.options import ColaOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, encode, joined


class Baseline(nn.Module):
    """One encoder on the joined streams and a non-negative T-CAS; axis M has length 1 throughout."""

    streams = 1

    def __init__(self, options: ColaOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options = options
        features = sum(shape.features)
        self.width = options.channels or features
        self.encoder = PerStream((features,), self.width, 3, seed, "encoder")
        self.classifier = PerStream((self.width,), shape.classes, 1, seed, "classifier", bias=False)

    def forward(self, batch: Batch) -> Snippets:
        (Z,), _ = encode(joined(batch.x), batch.rows, self.encoder)
        Z = Z.relu()  # (1, B T, H)
        cas = batch.grid(self.classifier(dropout(Z, self.options.dropout, batch.generator)).relu())
        return Snippets(cas, min_max(cas.sum(-1), -1).clamp(0, 1), Z)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Classification and snippet contrast."""
        o, cas, T = self.options, snippets.cas, snippets.cas.shape[-2]
        easy, hard = max(1, T // o.r_easy), max(1, T // o.r_hard)
        Z = batch.grid(snippets.embedding)[0]  # (B, T, H)
        actionness = cas.detach().sum(-1)[0]  # (B, T)
        keep = dropout(torch.ones_like(actionness), o.mask, batch.generator)
        easy_act = _taken(Z, keep * actionness, easy)
        easy_bkg = _taken(Z, keep * (actionness.amax(-1, keepdim=True) - actionness), easy)
        inner, outer = borders(actionness, o.inner, o.outer)
        hard_act, hard_bkg = _taken(Z, inner * actionness, hard), _taken(Z, outer * actionness, hard)
        Y = normalise_labels(batch.labels)
        parts = {
            "video": F.binary_cross_entropy(highest(cas, easy).softmax(-1)[0], Y),
            "contrast": contrast(hard_act, easy_act, easy_bkg, o.temperature)
            + contrast(hard_bkg, easy_bkg, easy_act, o.temperature),
        }
        Q_A = foreground_labels(select(cas.detach(), easy), batch.labels, T)
        return Losses(parts["video"] + o.weight * parts["contrast"], parts, Q_A, unit=1 / Y.shape[-1])


def _taken(Z: Tensor, scores: Tensor, k: int) -> Tensor:
    """Embeddings of the k highest snippets; (B, T, H), (B, T) -> (B, k, H)."""
    return Z.gather(1, scores.topk(k).indices.unsqueeze(-1).expand(-1, -1, Z.shape[-1]))


def dilate(mask: Tensor, size: int) -> Tensor:
    """Dilation of {0, 1} masks (B, T) by a run of ``size`` (an even one reaches further right), outside counts as 0."""
    return F.max_pool1d(F.pad(mask, (size - 1 - size // 2, size // 2)), size, 1)


def erode(mask: Tensor, size: int) -> Tensor:
    """Erosion of {0, 1} masks (B, T) by a run of ``size`` (an even one reaches further left), outside counts as 0."""
    return 1 - F.max_pool1d(F.pad(1 - mask, (size // 2, size - 1 - size // 2), value=1.0), size, 1)


def borders(actionness: Tensor, m: int, M: int) -> tuple[Tensor, Tensor]:
    """Inner and outer border in {0, 1} of actionness above its median, where hard snippets are looked for; (B, T)."""
    mask = (actionness > actionness.median(-1, keepdim=True).values).to(actionness.dtype)
    return erode(mask, m) - erode(mask, M), dilate(mask, M) - dilate(mask, m)


def contrast(query: Tensor, positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """InfoNCE of mean query against mean positive; (B, k, H) each, every negative snippet counts on its own."""
    q, p = F.normalize(query.mean(1), dim=-1), F.normalize(positive.mean(1), dim=-1)  # (B, H)
    logits = torch.cat([(q * p).sum(-1, keepdim=True), (F.normalize(negatives, dim=-1) @ q.unsqueeze(-1))[..., 0]], -1)
    return -(logits / temperature).log_softmax(-1)[:, 0].mean()


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: ColaOptions) -> Inference:
    """Released rule: the min-max T-CAS is thresholded itself and by the (refined) actionness."""
    cas = torch.as_tensor(scores["cas"])[:, 0].double()  # (V, T, C)
    video = highest(cas, cas.shape[1] // options.r_easy).softmax(-1).numpy()
    sequence = min_max(cas).clamp(0, 1).numpy()
    groups = {
        "cas": Group(sequence, sequence, video, zero_below=True, shortest=2),
        "actionness": Group(refined[..., None], sequence, video, shortest=2),
    }
    return Inference(video, groups)
