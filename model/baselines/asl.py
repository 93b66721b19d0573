r"""ASL (Ma et al., CVPR 2021, "Weakly supervised action selection learning in video"): learn to select actions.

One video branch on the concatenated features, one attention branch (actionness) per stream. Snippets are selected by
(softmax(cas) + sum of attentions) / 3, which with two streams is Appendix E.1's calibration with omega = 1/3; the
video loss is Eq. 1, the attention loss Eq. 2 per video (its q is our gamma). No dropout.

With CASE: Z_m is the attention encoder's output, P^A_m the attention, Q^A the selected snippets (Eq. 24's switch
decides whether both streams select together); co-labeling and clustering-assisted testing work as for the paper's own
baseline. ``omega_test`` stays 1/3 with and without CASE, so that a row with CASE changes the attention alone; the
released CASE's mean of five terms is ``omega_test`` = 1/5.
"""

from torch import nn

from model.baselines.proposed import inference, selection_losses
from model.options import AslOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets, encode, joined

__all__ = ["Baseline", "inference"]


class Baseline(nn.Module):
    """Encoder -> T-CAS on the joined streams; encoder -> Z -> attention for each of M streams."""

    def __init__(self, options: AslOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.streams, self.width = options, shape.streams, shape.width

        hidden, k = (shape.width,) * shape.streams, options.kernel
        self.video_encoder = PerStream((sum(shape.features),), shape.width, k, seed, "video_encoder")
        self.action_classifier = PerStream(hidden[:1], shape.classes, 1, seed, "action_classifier")
        self.attention_encoder = PerStream(shape.features, shape.width, k, seed, "attention_encoder")
        self.attention_layer = PerStream(hidden, 1, 1, seed, "attention_layer")

    def forward(self, batch: Batch) -> Snippets:
        (video,), rows = encode(joined(batch.x), batch.rows, self.video_encoder)  # (1, R, H)
        (Z,), rows = encode(batch.x, batch.rows, self.attention_encoder)  # (M, R, H)
        Z = Z.relu()
        cas = batch.spread(self.action_classifier(video.relu()), rows)  # (1, B, T, C)
        return Snippets(cas, batch.spread(self.attention_layer(Z), rows).squeeze(-1).sigmoid(), Z, rows)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """L_V + lambda_A L_A: released sum of two attention losses, hence lambda_A = 2 under our mean over streams."""
        return selection_losses(self.options, snippets, batch, co_label)
