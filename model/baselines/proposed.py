r"""The paper's baseline (Section 3.1, Appendix E.1): per stream a video branch and an attention branch.

Video branch: temporal convolution, ReLU, classifier -> T-CAS (P^V is its Softmax). Attention branch: temporal
convolution, ReLU (Z), layer, sigmoid -> P^A. The T // topk highest snippets of the calibrated T-CAS, omega P^V + (1 -
omega) P^A, are selected per class: L_V is the cross-entropy of their mean logits, L_A the generalised BCE of P^A with
Q^A. L = L_V + lambda_A L_A.

With CASE: M streams, P^A and Z of each, Q^A the union of the selected snippets of the classes present; Eq. 24's switch
selects by the mean over streams. In testing the streams are averaged; the refined attention replaces P^A in the
calibrated T-CAS, which selects the snippets of the class scores and is thresholded and scored.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from model.inference import Group, Inference
from model.mil import calibrate, foreground_labels, generalised_bce, pool, select, video_loss
from model.options import ProposedOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, encode, fuse


class Baseline(nn.Module):
    """Section 3.1: encoder -> T-CAS and encoder -> Z -> attention, both for each of M streams."""

    def __init__(self, options: ProposedOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.streams, self.width = options, shape.streams, shape.width

        hidden = (shape.width,) * shape.streams
        self.video_encoder = PerStream(shape.features, shape.width, options.kernel, seed, "video_encoder")
        self.action_classifier = PerStream(hidden, shape.classes, 1, seed, "action_classifier")
        self.attention_encoder = PerStream(shape.features, shape.width, options.kernel, seed, "attention_encoder")
        self.attention_layer = PerStream(hidden, 1, 1, seed, "attention_layer")

    def forward(self, batch: Batch) -> Snippets:
        (video, Z), rows = encode(batch.x, batch.rows, self.video_encoder, self.attention_encoder)  # (M, R, H) each
        Z = Z.relu()
        cas = batch.spread(self.action_classifier(video.relu()), rows)  # (M, B, T, C)
        attention = batch.spread(self.attention_layer(Z), rows).squeeze(-1).sigmoid()  # (M, B, T)
        return Snippets(cas, attention, Z, rows)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        return selection_losses(self.options, snippets, batch, co_label)


def selection_losses(options: ProposedOptions, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
    """Eq. 1, 2, 18, 19, 24: L_V + lambda_A L_A, its terms, and Q^A."""
    o, (streams, _, T) = options, snippets.attention.shape
    selected = training_selection(snippets, batch, co_label, o.omega, o.topk)  # (M|1, B, k, C)
    Q_A = foreground_labels(selected, batch.labels, T).expand(streams, -1, -1)
    L_V = video_loss(pool(snippets.cas, selected), batch.labels, o.label_norm, o.label_floor)
    L_A = generalised_bce(snippets.attention, Q_A, o.gamma, o.per_video, o.guard)
    return Losses(L_V + o.lambda_a * L_A, {"video": L_V, "attention": L_A}, Q_A)


@torch.no_grad()
def training_selection(snippets: Snippets, batch: Batch, co_label: bool, omega: float, topk: int) -> Tensor:
    """Eq. 18, 24: snippets selected by the calibrated (and fused) T-CAS -> (M|1, B, k, C).

    In the warm-up omega is 1: the attention cannot confirm its own first, random choice.
    """
    omega = omega + batch.warm * (1 - omega)
    calibrated = calibrate(snippets.cas.softmax(-1), snippets.attention, omega)
    return select(fuse(calibrated, co_label), calibrated.shape[-2] // topk)


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: ProposedOptions) -> Inference:
    """Appendix E.3: threshold and score the calibrated T-CAS, streams averaged; class scores from its top-k."""
    cas = torch.as_tensor(scores["cas"]).double().movedim(1, 0)  # (M|1, V, T, C)
    calibrated = calibrate(cas.softmax(-1).mean(0), torch.as_tensor(refined).double(), options.omega_test)  # (V, T, C)
    selected = select(calibrated, calibrated.shape[-2] // options.topk)
    video = pool(cas, selected).softmax(-1).mean(0).numpy()  # (V, C)
    sequence = calibrated.numpy()
    return Inference(video, {"calibrated": Group(sequence, sequence, video)})
