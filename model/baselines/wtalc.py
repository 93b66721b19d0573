r"""W-TALC (Paul et al., ECCV 2018): k-max multiple instance learning and the co-activity similarity loss.

Joined streams -> fully connected, ReLU (Z), dropout -> class logits. MIL loss (the paper's Eq. 1-3): mean of the k =
ceil(T / s) highest logits per class, Softmax, cross-entropy with y / |y|. Co-activity similarity (Eq. 4-7): with A =
Softmax over time of the logits, two videos that share class c have features h = Z^T A_c of high and l = Z^T (1 - A_c)
/ (T - 1) of low attention; a hinge asks d(h_m, h_n) to be smaller than d(h_m, l_n) and d(l_m, h_n) by delta, d = 1 -
cos. L = lambda MIL + (1 - lambda) CASL. Padding counts in none of them.

As released: the similarity sees the pairs that lead the batch (``similar: drawn``, training.pairs) and Z after dropout
(``dropped``); the paper's way is ``similar: all`` and ``dropped: false``. A batch without a common class contributes 0.

With CASE: attention is absent from the method, so P^A is the min-max over time of logsumexp_c of the logits (free of
which class it is), Z the layer before dropout, Q^A the union of the k highest snippets of the classes present.
Localisation, as released: a class whose mean of the floor(T / s) highest logits is positive has one threshold, half
the range of its sequence; a run scores its highest logit + 0.7 of that mean, and nothing is suppressed. The refined
attention moves the sequence by what CAT moves P^A, in units of its range; without CAT the released rule remains.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import highest, label_highest, min_max, top_mean, valid_lengths, video_loss
from model.options import WtalcOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, encode, initialise, joined


class Baseline(nn.Module):
    """One layer per snippet and a classifier on the joined streams; axis M has length 1 throughout."""

    streams = 1

    def __init__(self, options: WtalcOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options = options
        features = sum(shape.features)
        self.width = options.channels or features
        self.encoder = PerStream((features,), self.width, 1, seed, "encoder")
        self.classifier = PerStream((self.width,), shape.classes, 1, seed, "classifier")
        initialise(self, seed, nn.init.xavier_uniform_)

    def forward(self, batch: Batch) -> Snippets:
        (Z,), rows = encode(joined(batch.x), batch.rows, self.encoder)
        Z = batch.spread(Z.relu(), rows)  # (1, B, T, H): dropout and co-activity see the grid
        z = dropout(Z, self.options.dropout, batch.generator)
        cas = batch.grid(self.classifier(z.flatten(1, 2)))
        return Snippets(cas, min_max(cas.logsumexp(-1), -1).clamp(0, 1), Z.flatten(1, 2), None, {"dropped": z[0]})

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """lambda MIL + (1 - lambda) CASL."""
        o, cas = self.options, snippets.cas[0]
        counts = -(-valid_lengths(batch) // o.s)  # (B,): rounded up
        z = snippets.extra["dropped"] if o.dropped else batch.grid(snippets.embedding)[0]
        pairs = torch.arange(2 * batch.pairs, device=cas.device) if o.similar == "drawn" else None
        parts = {
            "video": video_loss(top_mean(cas, counts, batch.lengths)[None], batch.labels, 1.0, 0.0),
            "co_activity": co_activity(z, cas, batch.labels, o.delta, pairs, batch.lengths),
        }
        loss = o.share * parts["video"] + (1 - o.share) * parts["co_activity"]
        return Losses(loss, parts, label_highest(snippets.cas.detach(), o.s, batch, up=True), unit=o.share)


def co_activity(
    Z: Tensor, cas: Tensor, labels: Tensor, delta: float, pairs: Tensor | None, lengths: Tensor | None = None
) -> Tensor:
    """Eq. 4-7 of the paper; Z (B, T, H), cas (B, T, C), labels (B, C) -> scalar.

    ``pairs`` (2 P,) are the videos of P pairs, one after another; None: all pairs of the batch.
    """
    high, low = attended_features(Z, cas, lengths)
    if pairs is None:
        first, second = torch.triu_indices(len(Z), len(Z), 1, device=Z.device)
    else:
        first, second = pairs[::2], pairs[1::2]
    similar = (high[first] * high[second]).sum(-1)  # (P, C)
    hinges = [  # d(h_m, h_n) - d(h_m, l_n) + delta, and with the videos exchanged
        ((one * other).sum(-1) - similar + delta).relu()
        for one, other in ((high[first], low[second]), (low[first], high[second]))
    ]
    common = labels[first] * labels[second]
    return (common * 0.5 * (hinges[0] + hinges[1])).sum() / common.sum().clamp_min(1)


def attended_features(Z: Tensor, cas: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Unit-length features of high and of low attention per video and class, (B, C, H) each."""
    T, full = cas.shape[1], cas.new_ones(cas.shape[:2])
    inside = full if lengths is None else full * (torch.arange(T, device=cas.device) < lengths[:, None])
    A = cas.masked_fill(inside[..., None] == 0, -torch.inf).softmax(1).mT  # (B, C, T)
    others = ((1 - A) * inside[:, None]) / (inside.sum(-1) - 1).clamp_min(1)[:, None, None]
    return F.normalize(A @ Z, dim=-1), F.normalize(others @ Z, dim=-1)


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: WtalcOptions) -> Inference:
    """Released rule: half the range of each class, the highest logit of a run, no suppression."""
    cas = torch.as_tensor(scores["cas"])[:, 0].double()  # (V, T, C)
    video = highest(cas, -(-cas.shape[1] // options.s)).softmax(-1).numpy()
    score = highest(cas, cas.shape[1] // options.s).numpy()
    lowest, top = cas.amin(1, keepdim=True).numpy(), cas.amax(1, keepdim=True).numpy()
    shift = options.cat_gain * (refined - scores["attention"].mean(1, dtype=np.float64))  # (V, T)
    sequence = cas.numpy() + shift[..., None] * (top - lowest)
    above = sequence - (top - 0.5 * (top - lowest))
    group = Group(above, sequence, score, shortest=2)
    return Inference(video, {"half": group}, searched=score)
