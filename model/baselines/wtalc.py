r"""W-TALC (Paul et al., ECCV 2018): k-max multiple instance learning and the co-activity similarity loss.

Joined streams -> fully connected, ReLU (Z), dropout -> class logits. MIL loss (the paper's Eq. 1-3): mean of the k =
ceil(T / s) highest logits per class, Softmax, cross-entropy with y / |y|. Co-activity similarity (Eq. 4-7): with A =
Softmax over time of the logits, two videos that share class c have features h = Z^T A_c of high and l = Z^T (1 - A_c)
/ (T - 1) of low attention; a hinge asks d(h_m, h_n) to be smaller than d(h_m, l_n) and d(l_m, h_n) by delta, d = 1 -
cos, averaged over the pairs of the batch and their common classes. L = lambda MIL + (1 - lambda) CASL.

Choices: all pairs of the batch count (the release draws a few pairs per batch on purpose); a batch without a common
class contributes 0. Attention is absent from the method: P^A is the min-max over time of logsumexp_c of the logits
(free of which class it is), Q^A the union of the k highest snippets of the classes present. CASL sees Z without the
dropout mask. Localisation: the paper thresholds the T-CAS at half its range; here its min-max, calibrated with the
refined attention (Appendix E.1 with ``omega_test``), goes through the common rule of thresholds and outer-inner
contrast.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import calibrate, foreground_labels, min_max, pool, select, video_loss
from model.settings import WtalcOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, encode, joined


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

    def forward(self, batch: Batch) -> Snippets:
        (Z,), rows = encode(joined(batch.x), batch.rows, self.encoder)
        Z = batch.spread(Z.relu(), rows).flatten(1, 2)  # (1, B T, H): dropout and co-activity see the grid
        cas = batch.grid(self.classifier(dropout(Z, self.options.dropout, batch.generator)))
        return Snippets(cas, min_max(cas.logsumexp(-1), -1).clamp(0, 1), Z)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """lambda MIL + (1 - lambda) CASL."""
        o, T = self.options, snippets.cas.shape[-2]
        selected = select(snippets.cas.detach(), -(-T // o.s))
        parts = {
            "video": video_loss(pool(snippets.cas, selected), batch.labels, 1.0, 0.0),
            "co_activity": co_activity(batch.grid(snippets.embedding)[0], snippets.cas[0], batch.labels, o.delta),
        }
        loss = o.share * parts["video"] + (1 - o.share) * parts["co_activity"]
        return Losses(loss, parts, foreground_labels(selected, batch.labels, T))


def co_activity(Z: Tensor, cas: Tensor, labels: Tensor, delta: float) -> Tensor:
    """Eq. 4-7 of the paper over all ordered pairs of videos; Z (B, T, H), cas (B, T, C), labels (B, C) -> scalar."""
    B, T, _ = cas.shape
    A = cas.softmax(-2).mT  # (B, C, T)
    high = F.normalize(A @ Z, dim=-1)  # (B, C, H)
    low = F.normalize((1 - A) @ Z / max(1, T - 1), dim=-1)
    similar = torch.einsum("mch,nch->mnc", high, high)
    confused = torch.einsum("mch,nch->mnc", high, low)
    hinge = (confused - similar + delta).relu()  # d(h_m, h_n) - d(h_m, l_n) + delta
    common = labels[:, None] * labels * (1 - torch.eye(B, dtype=labels.dtype, device=labels.device)).unsqueeze(-1)
    return (common * hinge).sum() / common.sum().clamp_min(1)


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: WtalcOptions) -> Inference:
    """Class scores by k-max pooling; min-max T-CAS calibrated with the refined attention."""
    cas = torch.as_tensor(scores["cas"])[:, 0].double()  # (V, T, C)
    video = pool(cas, select(cas, -(-cas.shape[1] // options.s))).softmax(-1).numpy()
    sequence = calibrate(min_max(cas).clamp(0, 1), torch.as_tensor(refined).double(), options.omega_test).numpy()
    return Inference(video, {"calibrated": Group(sequence, sequence, video)})
