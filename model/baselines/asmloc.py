r"""ASM-Loc (He et al., CVPR 2022): action-aware segments on a two-attention base model.

Base: e = ReLU(conv_3(x)); A = Softmax over foreground and background attention; a classifier with C + 1 classes (the
last is background) on e under ACM-Net's two masks. Foreground classification with [y, 0], background with [0, 1] and,
weighted, [y, 0]. Full: between e and both heads stand two residual blocks over given pseudo segments. Intra: attention
among snippets that share a segment. Inter: attention among the segments of a video, each its mean snippet. Both end in
a batch normalisation whose scale starts at 0, so that they start as the identity. Pseudo labels of snippets are learnt
with an uncertainty s, e^{-s} CE + beta s.

Outer loop: a base model first; then, from time to time, it detects actions in all training videos (its own rule, higher
thresholds, P^A without CASE's share), those of the classes present become segments and labels (``model.segments``),
snippets of short ones are sampled more often from there on, and, as released, a new model begins. In testing the
model makes the segments of a video itself, from a first pass without any; the release uses those of the model before.

State: segments, labels and clocks of all training videos and the normalisations' running moments, in and out.

With CASE: one stream, P^A = A_foreground, Z = e (u, where there are segments), Q^A the union of the T // r_foreground
highest snippets of the foreground branch for the classes present. Testing is ACM-Net's, with the refined attention for
A_foreground, in the product with the T-CAS and where attention is thresholded.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from model.baselines.acmnet import attended
from model.inference import Inference
from model.mil import cross_entropy, foreground_labels, full_cas, highest, reschedule, select, target_with_background
from model.options import AsmlocOptions
from model.segments import Detect, Found, find_boxes, label_positions, start_clock, weigh
from model.streams import (
    Batch,
    Losses,
    PerStream,
    Shape,
    Snippets,
    drop_features,
    dropout,
    encode,
    joined,
    seeded,
)

FLOOR = 1e-7  # probabilities are cut here before their logarithm
EPSILON, MOMENTUM = 1e-5, 0.1  # of batch normalisation
MADE = ("boxes", "counts", "labels", "clock")  # what memory holds of each training video, once segments were made
PSEUDO: Mapping[str, Any] = {  # rule by which pseudo segments are detected: fields of the harness's Localization
    "class_rule": "above", "upsampling": 20, "oic_lambda": 0.2, "oic_gamma": 0.0, "nms_threshold": 0.45,
    "nms_plus": 1.0,
    "thresholds": {"cas": (), "attention": tuple(round(0.4 + 0.025 * i, 3) for i in range(21))},
}  # fmt: skip


class Block(nn.Module):
    """Attention with several heads, channels head-major, and a normalisation that starts at 0."""

    def __init__(self, width: int, heads: int, seed: int, name: str) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (
            PerStream((width,), width, 1, seed, f"{name}.{part}") for part in ("query", "key", "value", "out")
        )
        self.scale, self.shift = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))

    def attend(self, x: Tensor, allowed: Tensor) -> Tensor:
        """x (B, N, H), whom each may attend to (B, N, N) -> values mixed by attention; 0 for those with none."""
        queries, keys, values = (
            layer(x.flatten(0, 1)[None]).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )  # (B, heads, N, H / heads)
        mixed = F.scaled_dot_product_attention(queries, keys, values, allowed.unsqueeze(1))
        return mixed.masked_fill(~allowed.any(-1)[:, None, :, None], 0).transpose(1, 2).flatten(2)

    def given(self, mixed: Tensor) -> Tensor:
        """The block's last layer, before the normalisation; (B, T, H)."""
        out: Tensor = self.out(mixed.flatten(0, 1)[None]).view(mixed.shape)
        return out

    def normalise(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Over videos and time when training, by the running moments in testing; (B, T, H)."""
        given: tuple[Tensor | None, Tensor | None] = (None, None) if self.training else (mean, variance)
        rows = F.batch_norm(
            x.flatten(0, 1), *given, weight=self.scale, bias=self.shift, training=self.training, eps=EPSILON
        )
        return rows.view(x.shape)


@torch.no_grad()
def running(memory: Mapping[str, Tensor], name: str, x: Tensor) -> dict[str, Tensor]:
    """Running mean and (unbiased) variance after what a block gave before its normalisation, (B, T, H)."""
    own = zip(("var", "mean"), torch.var_mean(x.flatten(0, 1), 0))
    return {f"{name}.{moment}": memory[f"{name}.{moment}"].lerp(value, MOMENTUM) for moment, value in own}


class Baseline(nn.Module):
    """One encoder, two attentions and a classifier on the joined streams, and with segments two blocks."""

    streams = 1

    def __init__(self, options: AsmlocOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.classes = options, shape.classes
        features = sum(shape.features)
        self.width = options.channels or features
        self.encoder = PerStream((features,), self.width, 3, seed, "encoder")
        self.attention = PerStream((self.width,), 2, 1, seed, "attention")
        self.classifier = PerStream((self.width,), shape.classes + 1, 1, seed, "classifier")
        if options.segments:
            self.intra, self.inter = (Block(self.width, options.heads, seed, name) for name in ("intra", "inter"))
            with seeded(seed, "uncertainty"):
                self.uncertainty = nn.Linear(self.width, 1, bias=False)

    def initial_memory(self) -> Mapping[str, Tensor]:
        weight = next(self.parameters())
        names = [f"{block}.{moment}" for block in ("intra", "inter") for moment in ("mean", "var")]
        moments = {name: weight.new_full((self.width,), float(name.endswith("var"))) for name in names}
        return moments if self.options.segments else {}

    @property
    def restarts(self) -> bool:
        """Whether new weights follow when segments were made."""
        return self.options.restart

    def refreshes(self, number: int, steps: int) -> bool:
        """Whether segments are made before this step: after each of the first ``rounds`` periods."""
        o = self.options
        ends = [reschedule(o.refresh * (i + 1), o.for_steps, steps) for i in range(o.rounds)]
        return bool(o.segments and o.refresh) and number - 1 in ends

    def refresh(self, batches: Iterable[Batch], detect: Detect) -> Mapping[str, Tensor]:
        """Segments of all training videos from what is detected of the classes present."""
        made: list[dict[str, Tensor]] = []
        for batch in batches:
            present = batch.labels.cpu().numpy() > 0
            own = [found.at(labels[found.label]) for found, labels in zip(detect(batch), present)]
            made += self.segment(batch, own)
            memory = batch.memory
        return {**(self.initial_memory() if self.restarts else memory), **stack(made)}

    def prepare(self, batch: Batch, detect: Detect) -> Mapping[str, Tensor]:
        """What testing needs of videos: segments from what is detected without any, of whatever class."""
        if "boxes" not in batch.memory:
            return batch.memory
        bare = {name: value for name, value in batch.memory.items() if name not in MADE}
        return {**bare, **stack(self.segment(batch, detect(replace(batch, memory=bare))))}

    def segment(self, batch: Batch, found: Sequence[Found]) -> list[dict[str, Tensor]]:
        """Of each video boxes (segments, 2), their count, labels (T, C + 1) and, with dynamic sampling, the clock."""
        o, T, out, like = self.options, batch.rows.shape[1], list[dict[str, Tensor]](), next(self.parameters())
        assert batch.sizes is not None
        for own, n in zip(found, batch.sizes.tolist()):
            clock = start_clock(weigh(own, n, o)) if o.dynamic else None
            boxes = torch.from_numpy(find_boxes(own, clock, n, T, o)).to(like.device)
            labels = torch.from_numpy(label_positions(own, clock, n, T, self.classes)).to(like)
            padded = F.pad(boxes, (0, 0, 0, o.segments - len(boxes)))
            made = {"boxes": padded, "counts": boxes.new_tensor(len(boxes)), "labels": labels}
            out.append(made if clock is None else made | {"clock": torch.from_numpy(clock).to(like.device)})
        return out

    def forward(self, batch: Batch) -> Snippets:
        o = self.options
        x, rows = joined(batch.x), batch.rows
        if o.early_dropout:
            x, rows = drop_features(x, rows, o.early_dropout, batch.generator)
        (e,), _ = encode(x, rows, self.encoder)
        u, extra = e.relu(), dict[str, Tensor]()
        if "boxes" in batch.memory:
            u, extra = self.related(batch.grid(u)[0], batch)
        attended = dropout(u, o.early_dropout, batch.generator)
        A = batch.grid(self.attention(attended).softmax(-1))  # (1, B, T, 2): foreground, background
        if "boxes" in batch.memory:
            unsure = dropout(u, o.early_dropout, batch.generator)
            extra["uncertainty"] = self.uncertainty(unsure).view(batch.rows.shape)
        kept = u * dropout(torch.ones_like(u[..., :1]), o.dropout, batch.generator)
        cas = batch.grid(self.classifier(dropout(kept, o.dropout, batch.generator)))  # (1, B, T, C + 1)
        extra |= {"background": cas[0, ..., -1], "branches": A[0]}
        return Snippets(cas[..., :-1], A[..., 0], u, None, extra)

    def related(self, e: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """e (B, T, H) after both blocks, (1, B T, H), and in training what each gives."""
        memory = batch.memory
        holds = within(memory["boxes"][batch.videos], memory["counts"][batch.videos], e.shape[1])  # (B, K, T)
        share = (holds.mT.to(e.dtype) @ holds.to(e.dtype)) > 0  # (B, T, T)
        inner = self.intra.given(self.intra.attend(e, share))
        u = e + self.intra.normalise(inner, memory["intra.mean"], memory["intra.var"])
        weights = holds.to(e.dtype)
        means = weights @ u / weights.sum(-1, keepdim=True).clamp_min(1)  # (B, K, H)
        there = holds.any(-1)  # (B, K)
        among = self.inter.attend(means, there.unsqueeze(1) & there.unsqueeze(2))
        outer = self.inter.given(weights.mT @ among / weights.sum(1).clamp_min(1).unsqueeze(-1))  # (B, T, H)
        both = u + self.inter.normalise(outer, memory["inter.mean"], memory["inter.var"])
        extra = {"before_intra": inner, "before_inter": outer, "intra": u, "inter": both} if self.training else {}
        if "clock" in memory and not self.training:
            extra["clock"] = memory["clock"][batch.videos]
        return both.flatten(0, 1)[None], extra

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Foreground and background classifications, and with segments the pseudo labels."""
        o, y, T = self.options, batch.labels, snippets.cas.shape[-2]
        A = snippets.extra["branches"]  # (B, T, 2)
        cas = full_cas(snippets)  # (B, T, C + 1)
        fore, back = (cas * A[..., i : i + 1] for i in range(2))
        scores = [highest(branch, max(1, T // r)) for branch, r in ((fore, o.r_foreground), (back, o.r_background))]
        plain, nothing = target_with_background(y, 0), target_with_background(torch.zeros_like(y), 1)
        parts = {
            "foreground": classify(scores[0], plain).mean(),
            "background": classify(scores[1], nothing).mean(),
            "action_background": classify(scores[1], plain).mean(),
        }
        loss = o.foreground * parts["foreground"] + o.background * parts["background"]
        loss = loss + o.action_background * parts["action_background"]
        memory = dict(batch.memory)
        if o.segments:
            parts["pseudo"] = loss.new_zeros(())
        if "boxes" in memory:
            parts["pseudo"] = self.pseudo(cas, snippets.extra["uncertainty"], memory["labels"][batch.videos])
            loss = loss + parts["pseudo"]
            for name in ("intra", "inter"):
                memory |= running(memory, name, snippets.extra[f"before_{name}"])
        Q_A = foreground_labels(select(fore.detach()[None, ..., :-1], max(1, T // o.r_foreground)), y, T)
        return Losses(loss, parts, Q_A, memory, o.foreground)

    def pseudo(self, cas: Tensor, s: Tensor, labels: Tensor) -> Tensor:
        """Mean over snippets of e^{-s} CE(cas, labels) + beta s; (B, T, C + 1), (B, T), (B, T, C + 1)."""
        return ((-s).exp() * classify(cas, labels)).mean() + self.options.beta * s.mean()


def classify(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each video or snippet, no probability below ``FLOOR``; two (..., C + 1) -> (...)."""
    return cross_entropy(logits.softmax(-1).clamp_min(FLOOR).log(), target)


def stack(made: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """What was made of each video as one tensor a name, (V, ...); clocks end in NaN."""
    out = {}
    for name in made[0]:
        values = [own[name] for own in made]
        out[name] = pad_sequence(values, True, torch.nan) if name == "clock" else torch.stack(values)
    return out


def within(boxes: Tensor, counts: Tensor, T: int) -> Tensor:
    """Which snippets each segment holds; first and last snippets (B, K, 2), the first ``counts`` count; (B, K, T)."""
    time = torch.arange(T, device=boxes.device)
    counted = torch.arange(boxes.shape[1], device=boxes.device) < counts[:, None]
    first, last = boxes.unsqueeze(-2).unbind(-1)
    return (time >= first) & (time <= last) & counted.unsqueeze(-1)


READS = ("background",)  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: AsmlocOptions) -> Inference:
    """ACM-Net's rule: attended class probabilities, thresholded themselves and by the (refined) attention."""
    own = attended(scores, refined, options.r_foreground, 1.0, 1.0)
    return replace(own, clock=scores.get("clock"))
