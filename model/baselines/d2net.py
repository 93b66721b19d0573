r"""D2-Net (Narayan et al., ICCV 2021): discriminative embeddings and denoised activations of two streams.

Per stream two residual convolutions and a classifier; the T-CAM is the mean of the streams' sigmoids, z the mean of
their embeddings. The discriminative loss is a focal one whose weights grow with the distance of foreground means to
those of other videos and with the likeness of foreground to background. From some step on, every second step has two
denoising losses: the ratio of singular values of predictions against labels, per batch and per video. Padding, videos
of fewer than 5 snippets and videos without label do not count.

As released: pairs are drawn over the batch, and a weight lands on the place in the list of means, not on the video.
State: the running mean background embedding (no gradient) and the number of steps done, carried in and out.

With CASE: one stream. P^A = (1 - cos(z, running background)) / 2, by which testing multiplies the T-CAM, Z = z, Q^A the
union of the ceil(T / topk) highest snippets of the T-CAM for the classes present. The refined attention replaces P^A.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.inference import Group, Inference
from model.mil import foreground_labels, inside, reschedule, select, valid_lengths
from model.options import D2netOptions
from model.streams import Batch, Losses, Shape, Snippets, dropout, on_grid, seeded

SHORTEST = 5  # videos of fewer snippets do not count
FLOOR = 1e-3  # class scores are kept this far from 0 and 1
SMALLEST = 1e-8  # norms below count as this in a cosine
RANK = 1e-5  # smaller singular values count as 0


class Baseline(nn.Module):
    """Grouped convolutions, a group per stream; axis M of P^A and Z has length 1."""

    streams = 1

    def __init__(self, options: D2netOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.width = options, shape.features[0]

        def grouped(outputs: int, kernel: int, name: str) -> nn.Conv1d:
            with seeded(seed, name):
                wide = sum(shape.features)
                return nn.Conv1d(wide, shape.streams * outputs, kernel, padding=kernel // 2, groups=shape.streams)

        self.conv1, self.conv2 = grouped(self.width, 3, "conv1"), grouped(self.width, 3, "conv2")
        self.classifier = grouped(shape.classes, 1, "classifier")
        self.groups = shape.streams

    def initial_memory(self) -> Mapping[str, Tensor]:
        new = self.conv1.weight.new_zeros
        return {"background": new(1, self.width), "done": new(())}

    def forward(self, batch: Batch) -> Snippets:
        o = self.options
        x = on_grid(batch.x, batch.rows).movedim(0, -2).flatten(-2).mT  # (B, M D, T)
        for layer in (self.conv1, self.conv2):
            x = F.leaky_relu(layer(x), o.slope) + x
        u = dropout(x.mT, o.dropout, batch.generator)  # (B, T, M D)
        cas = self.classifier(u.mT).mT.reshape(*batch.rows.shape, self.groups, -1)  # (B, T, M, C)
        both = u.reshape(*batch.rows.shape, self.groups, -1)  # (B, T, M, D)
        z, tcam = both.mean(-2), cas.sigmoid().mean(-2)
        P_A = unlikeness(z, batch.memory["background"]).clamp(0, 1)
        extra = {"tcam": tcam, "streams_cas": cas, "streams_embedding": both}
        return Snippets(tcam.logit()[None], P_A[None], z.flatten(0, 1)[None], None, extra)

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """The discriminative loss, and every second step of the late ones both denoising losses."""
        o, y, tcam = self.options, batch.labels, snippets.extra["tcam"]
        z = batch.grid(snippets.embedding)[0]
        lengths, valid = valid_lengths(batch), inside(batch)
        counts = -(-lengths // o.topk)
        kept = ((lengths >= SHORTEST) & (y.sum(-1) > 0)).nonzero()[:, 0]
        selected = select(tcam.masked_fill(~valid.unsqueeze(-1), -torch.inf), -(-tcam.shape[1] // o.topk))
        taken = torch.arange(selected.shape[1], device=z.device)[:, None] < counts[:, None, None]  # (B, k, 1)
        pooled = tcam.gather(1, selected).masked_fill(~taken, 0).sum(1) / counts[:, None]  # (B, C)
        P = pooled[kept].clamp(FLOOR, 1 - FLOOR)
        activity = tcam.amax(-1)
        quiet = (1 - activity).masked_fill(~valid, -torch.inf)
        deepest = z.detach()[kept, quiet[kept].argmax(-1)].mean(0, keepdim=True)
        background = o.momentum * batch.memory["background"] + (1 - o.momentum) * deepest
        number = batch.memory["done"] + 1
        parts = {
            "discriminative": discriminative(P, y[kept], self.weights(z, activity, valid, kept, batch), o.gamma),
            "video": P.new_zeros(()),
            "snippet": P.new_zeros(()),
        }
        late = reschedule(o.denoise_after, o.for_steps, batch.steps)
        if bool((number > late) & (number % 2 == 0)):  # a count, not data
            parts["video"] = video_denoising(P, y[kept])
            parts["snippet"] = snippet_denoising(tcam, unlikeness(z, background), y, valid, kept)
        loss = parts["discriminative"] + o.snippet * parts["snippet"] + o.video * parts["video"]
        chosen = torch.where(taken, selected, selected[:, :1])  # a shorter video's highest again, for the union
        Q_A = foreground_labels(chosen[None], y, tcam.shape[1])
        return Losses(loss, parts, Q_A, {"background": background, "done": number})

    def weights(self, z: Tensor, activity: Tensor, valid: Tensor, kept: Tensor, batch: Batch) -> Tensor:
        """w0, w1, w2 (3, V) of V videos that count, each at its place in the list of means."""
        values = torch.stack([activity, 1 - activity], 1)[kept]  # (V, 2, T)
        a = values.masked_fill((values < 0.5) | ~valid[kept].unsqueeze(1), 0)
        total = a.sum(-1)
        means = a @ z[kept] / total.clamp_min(torch.finfo(z.dtype).tiny).unsqueeze(-1)  # (V, 2, D)
        F_, G = (means[total[:, side] > 0, side] for side in range(2))
        fore, back, pair_fore, pair_back = (shuffled(len(m), batch.generator, z.device) for m in (F_, G, F_, G))
        n, rows = min(len(F_), len(G)), z.new_zeros(len(kept))
        alike = F.cosine_similarity(F_[pair_fore[:n]], G[pair_back[:n]], -1).relu()
        w0 = rows.index_put((torch.arange(len(F_), device=z.device),), 1 - F.cosine_similarity(F_, F_[fore], -1))
        w1 = rows.index_put((torch.arange(len(G), device=z.device),), 1 - F.cosine_similarity(G, G[back], -1))
        return torch.stack([w0, w1, rows.index_put((pair_fore[:n],), alike)])


def shuffled(n: int, generator: torch.Generator | None, device: torch.device) -> Tensor:
    """0 .. n - 1 in random order; in order without a generator."""
    return (
        torch.arange(n, device=device) if generator is None else torch.randperm(n, generator=generator, device=device)
    )


def unlikeness(z: Tensor, background: Tensor) -> Tensor:
    """(1 - cos) / 2 of snippets (..., D) and the background (1, D)."""
    lengths = z.norm(dim=-1).clamp_min(SMALLEST) * background.norm().clamp_min(SMALLEST)
    return (1 - z @ background[0] / lengths) / 2


def discriminative(P: Tensor, labels: Tensor, weights: Tensor, gamma: float) -> Tensor:
    """Focal loss of class scores (V, C) with weights w0, w1, w2 (3, V)."""
    w0, w1, w2 = weights.unsqueeze(-1)
    present = (1 - P + w2 + gamma * w0) ** 2 * labels * P.log()
    absent = (P + w2 + gamma * w1) ** 2 * (1 - labels) * (1 - P).log()
    share = torch.where(labels > 0, P.shape[-1], 1)
    return -(share * (present + absent)).mean()


def log_condition(matrix: Tensor) -> Tensor:
    """log of the largest by the smallest singular value that counts; (..., n, m) -> (...)."""
    values = torch.linalg.svdvals(matrix)
    smallest = values.masked_fill(values <= RANK, torch.inf).amin(-1)
    return (values.amax(-1) / smallest).log()


def video_denoising(P: Tensor, labels: Tensor) -> Tensor:
    """Predictions of each class should be those of its videos, all classes alike; (V, C), (V, C) -> scalar."""
    v = P.masked_fill(0.2 * P.amax(-1, keepdim=True) >= P, 0)
    v = v / v.sum(-1, keepdim=True)
    shares = labels / labels.sum(0).clamp_min(1)
    return log_condition(shares.mT @ v)


def snippet_denoising(tcam: Tensor, t: Tensor, labels: Tensor, valid: Tensor, kept: Tensor) -> Tensor:
    """Foreground (t > 0.5) should be active in the classes present, background in none; mean over videos with both."""
    fore, back = (t > 0.5) & valid, (t < 0.5) & valid  # (B, T)
    active = tcam.masked_fill(labels.unsqueeze(1) == 0, -torch.inf).amax(-1), tcam.amax(-1)
    both = kept[(fore.any(-1) & back.any(-1))[kept]]
    means = [
        values[both].masked_fill(~side[both], 0).sum(-1) / side[both].sum(-1)
        for values, side in zip(active, (fore, back))
    ]
    rows = torch.stack([torch.stack([a, 1 - a], -1) for a in means], -2)  # (V, 2, 2)
    return log_condition(rows).sum() / max(1, len(both))


READS = ("tcam",)  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: D2netOptions) -> Inference:
    """Released rule: T-CAM times (refined) attention; classes above half the highest score."""
    sequence = scores["tcam"].astype(np.float64) * refined[..., None]  # (V, T, C)
    k = max(1, sequence.shape[1] // options.topk)
    video = np.sort(sequence, 1)[:, -k:].mean(1)
    searched = video - 0.5 * video.max(1, keepdims=True)
    group = Group(sequence, sequence, np.zeros_like(video), shortest=2)
    return Inference(video / max(1, video.shape[1]), {"activation": group}, searched=searched)
