r"""RSKP (Huang et al., CVPR 2022): representative snippets of a video and of all videos, and pseudo-labels from them.

e = one layer on the joined streams, ReLU, dropout. K tokens mu are representative snippets of a video, found by EM
(Softmax over the tokens of cosines); a random walk between snippets and tokens gives a second embedding. Heads are
FAC-Net's: cosines with C + 1 class centres and a foreground centre, for the original and the reallocated embedding.
The original T-CAS learns from the reallocated one. After a warm-up a memory of the best tokens per class over all
videos gives a third head, and its T-CAS joins the target. Padding counts nowhere.

The walk's inverse, (I - w^2 A)^-1 of T x T, is taken of K x K: A = Z^T rown(Z) has rank K.

State: the memory (tokens and scores per class) and the number of steps done, carried in and out. Videos of a batch go
through it one after another. As released, scores in it are never renewed: old high ones stay; it is filled without
dropout (``refresh``, at the end of the warm-up) and updated with it.

With CASE: one stream, Z = e, P^A = sigmoid of the foreground cosine (the release's attention), Q^A the union of the T
// s_att highest snippets of attention times class probability for the classes present. The refined attention replaces
P^A where testing multiplies class probabilities by it. Losses are summed over the videos of a batch, as released.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from model.inference import Group, Inference
from model.mil import (
    cross_entropy,
    full_cas,
    inside,
    label_highest,
    reschedule,
    target_with_background,
    top_mean,
    valid_lengths,
)
from model.options import RskpOptions
from model.segments import Detect
from model.streams import Batch, Losses, PerStream, Shape, Snippets, dropout, joined, seeded

TOKEN_SCALE = 5.0  # of cosines between tokens and snippets
LABEL_GUARD = 1e-8  # added to the sum by which labels are divided
WEIGHT_GUARD = 1e-5  # added to the sum by which attentions are divided


def unit(v: Tensor) -> Tensor:
    """v / (|v| + 1e-9)."""
    return v / (v.norm(dim=-1, keepdim=True) + 1e-9)


def shares(Z: Tensor) -> Tensor:
    """Each token's assignments, divided by their sum over time; (B, K, T)."""
    return Z / (Z.sum(-1, keepdim=True) + 1e-9)


def assign(tokens: Tensor, n: Tensor, hidden: Tensor, absent: Tensor | None = None) -> Tensor:
    """Softmax over tokens (B, K, H) of their cosines with snippets, n = unit(e) (B, T, H); (B, K, T), 0 if ``hidden``.

    ``absent`` (B, K): tokens that do not take part.
    """
    logits = TOKEN_SCALE * unit(tokens) @ n.mT
    if absent is not None:
        logits = logits.masked_fill(absent.unsqueeze(-1), -torch.inf)
    return logits.softmax(1).masked_fill(hidden.unsqueeze(1), 0)


def walk(e: Tensor, n: Tensor, tokens: Tensor, w: float, hidden: Tensor, absent: Tensor | None = None) -> Tensor:
    """Random walk: (1 - w) (I - w^2 Z^T rown(Z))^-1 (w Z^T tokens + e), n = unit(e); (B, T, H)."""
    Z = assign(tokens, n, hidden, absent)  # (B, K, T)
    V = shares(Z)
    start = w * Z.mT @ tokens + e  # (B, T, H)
    inner = torch.eye(Z.shape[1], dtype=e.dtype, device=e.device) - w**2 * V @ Z.mT  # (B, K, K)
    return (1 - w) * (start + w**2 * Z.mT @ torch.linalg.solve(inner, V @ start))


class Baseline(nn.Module):
    """One layer, K tokens and C + 2 centres on the joined streams; axis M has length 1 throughout."""

    streams = 1

    def __init__(self, options: RskpOptions, shape: Shape, seed: int) -> None:
        super().__init__()
        self.options, self.width, self.classes = options, shape.width, shape.classes
        self.embed = PerStream((sum(shape.features),), shape.width, 1, seed, "embed")
        with seeded(seed, "tokens"):
            self.mu = nn.Parameter(nn.init.xavier_uniform_(torch.empty(options.tokens, shape.width)))
        with seeded(seed, "centres"):
            self.centres = nn.Parameter(nn.init.xavier_uniform_(torch.empty(shape.classes + 1, shape.width)))
        self.foreground = nn.Parameter(-self.centres.data[-1:].clone())

    def initial_memory(self) -> Mapping[str, Tensor]:
        C, n = self.classes, self.options.memory
        new = self.mu.new_zeros
        return {"tokens": new(C, n, self.width), "scores": new(C, n), "done": new(())}

    def warm_up(self, steps: int) -> int:
        """Steps of the warm-up in a training of so many."""
        return reschedule(self.options.warm_up, self.options.for_steps, steps)

    def refreshes(self, number: int, steps: int) -> bool:
        """Whether ``refresh`` goes over all videos before this step: once, at the end of the warm-up."""
        return number == self.warm_up(steps) + 1

    def forward(self, batch: Batch) -> Snippets:
        o, hidden = self.options, ~inside(batch)
        (x,) = joined(batch.x)
        e = self.embed(x[batch.rows.flatten()][None]).relu()  # (1, B T, H)
        e = dropout(e, o.dropout, batch.generator)
        z = batch.grid(e)[0]  # (B, T, H)
        n = unit(z)
        tokens = self.tokens(z, n, hidden)  # (B, K, H)
        reallocated = walk(z, n, tokens, o.walk, hidden)
        original, moved = self.heads(z, n, hidden), self.heads(reallocated, unit(reallocated), hidden)
        extra = {"background": original["cas"][..., -1], "tokens": tokens, "agnostic": original["agnostic"]}
        extra |= {"class_wise": original["class_wise"], "token_scores": self.token_scores(tokens), "unit": n}
        extra |= {f"moved_{name}": value for name, value in moved.items()}
        return Snippets(original["cas"][None, ..., :-1], original["attention"][None], e, None, extra)

    def tokens(self, e: Tensor, n: Tensor, hidden: Tensor) -> Tensor:
        """K representative snippets of each video by EM, n = unit(e); (B, K, H)."""
        tokens = self.mu.expand(len(e), -1, -1)
        for _ in range(self.options.rounds):
            tokens = shares(assign(tokens, n, hidden)) @ e
        return tokens

    def heads(self, e: Tensor, n: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """T-CAS (B, T, C + 1), attention (B, T), logits of the class-agnostic and class-wise heads (B, C + 1).

        n = unit(e).
        """
        S, centres, foreground = self.options.scale, unit(self.centres), unit(self.foreground)[0]
        cas = S * (n @ centres.mT)
        attention = (S * (n @ foreground)).sigmoid()
        t = attention.masked_fill(hidden, 0).unsqueeze(-1)  # (B, T, 1)
        W = cas.sigmoid().masked_fill(hidden.unsqueeze(-1), 0)  # (B, T, C + 1)
        agnostic, class_wise = (unit((w / (w.sum(1, keepdim=True) + WEIGHT_GUARD)).mT @ e) for w in (t, W))
        return {
            "cas": cas, "attention": attention, "agnostic": S * agnostic[:, 0] @ centres.mT,
            "class_wise": S * (class_wise * centres).sum(-1),
        }  # fmt: skip

    def token_scores(self, tokens: Tensor) -> Tensor:
        """Class probabilities of tokens (..., C + 1)."""
        return (self.options.scale * unit(tokens) @ unit(self.centres).mT).softmax(-1)

    @torch.no_grad()
    def remember(self, batch: Batch, extra: Mapping[str, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The memory that each video sees (B, C, n, H), and the one after the last; videos one after another."""
        kept, scores = batch.memory["tokens"], batch.memory["scores"]
        seen, found = [], extra["token_scores"][..., :-1].mT  # (B, C, K)
        for present, own, value in zip(batch.labels > 0, extra["tokens"], found):
            seen.append(kept)
            every = torch.cat([kept, own.expand(self.classes, -1, -1)], 1)  # (C, n + K, H)
            best = torch.cat([scores, value], 1).topk(self.options.memory)
            chosen = every.gather(1, best.indices.unsqueeze(-1).expand(-1, -1, self.width))
            kept = torch.where(present[:, None, None], chosen, kept)
            scores = torch.where(present[:, None], best.values, scores)
        return torch.stack(seen), {"tokens": kept, "scores": scores, "done": batch.memory["done"]}

    @torch.no_grad()
    def refresh(self, batches: Iterable[Batch], detect: Detect) -> Mapping[str, Tensor]:
        """The memory after all videos, without dropout; it needs no detections."""
        memory: Mapping[str, Tensor] = {}
        for batch in batches:
            given = replace(batch, memory=memory or batch.memory)
            memory = self.remember(given, self(given).extra)[1]
        return memory

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """Classifications with and without background, attention's contrast, pseudo-labels; summed over videos."""
        o, extra = self.options, snippets.extra
        seen, memory = self.remember(batch, extra)
        third = self.recalled(snippets, batch, seen)
        done = batch.memory["done"]
        after = done >= self.warm_up(batch.steps)
        on = after.to(extra["tokens"].dtype)  # 0 in the warm-up, then 1
        memory = {name: torch.where(after, value, batch.memory[name]) for name, value in memory.items()}
        plain, full = (target_with_background(batch.labels, value, LABEL_GUARD) for value in (0, 1))
        strengths: tuple[Tensor | float, ...] = (1.0, 1.0, on * o.memory_head)

        def side(name: str, labels: Tensor) -> Tensor:
            """Classification losses of the three heads, (B,)."""
            heads = (extra[name], extra[f"moved_{name}"], third[name])
            each = [w * cross_entropy(head.log_softmax(-1), labels) for w, head in zip(strengths, heads)]
            return torch.stack(each).sum(0)

        fore, back = side("agnostic", plain), side("class_wise", full)
        cas = full_cas(snippets)
        target = extra["moved_cas"] + on * (0.2 * third["cas"] - 0.2 * extra["moved_cas"])
        pseudo = follow(cas, target, o.soft, batch)
        contrast = attention_contrast(snippets.attention[0], o.s_att, batch)
        each = {"foreground": fore, "background": back, "attention": contrast, "pseudo": pseudo}
        parts = {name: values.sum() for name, values in each.items()}
        strength = o.pseudo + on * (o.pseudo_memory - o.pseudo)
        loss = parts["foreground"] + o.background * parts["background"] + o.attention * parts["attention"]
        weighted = (cas.softmax(-1)[None, ..., :-1] * snippets.attention[..., None]).detach()
        Q_A = label_highest(weighted, o.s_att, batch)
        loss = loss + strength * parts["pseudo"]
        return Losses(loss, parts, Q_A, {**memory, "done": done + 1}, unit=len(batch.labels))

    def recalled(self, snippets: Snippets, batch: Batch, seen: Tensor) -> dict[str, Tensor]:
        """Heads of the walk between snippets and the remembered tokens (B, C, n, H) of the classes present."""
        hidden, most = ~inside(batch), int((batch.labels > 0).sum(-1).max())
        labels, classes = batch.labels.topk(max(1, most))  # (B, P): no video has more classes
        tokens = seen.take_along_dim(classes[..., None, None], 1).flatten(1, 2)  # (B, P n, H)
        absent = (labels == 0).repeat_interleave(seen.shape[2], 1)  # (B, P n)
        z = batch.grid(snippets.embedding)[0]
        moved = walk(z, snippets.extra["unit"], tokens, self.options.walk, hidden, absent)
        return self.heads(moved, unit(moved), hidden)


def follow(cas: Tensor, target: Tensor, temperature: float, batch: Batch) -> Tensor:
    """Cross-entropy of T-CAS with a target without gradient, both sharpened, mean over time; (B,)."""
    soft = (target.detach() / temperature).softmax(-1)
    each = cross_entropy((cas / temperature).log_softmax(-1), soft)  # (B, T)
    return each.masked_fill(~inside(batch), 0).sum(-1) / valid_lengths(batch)


def attention_contrast(attention: Tensor, s: int, batch: Batch) -> Tensor:
    """Mean of the L // s lowest attentions minus mean of the highest; (B, T) -> (B,)."""
    counts, values = (valid_lengths(batch) // s).clamp_min(1), attention.unsqueeze(-1)
    lowest, highest = (sign * top_mean(sign * values, counts, batch.lengths)[:, 0] for sign in (-1, 1))
    return lowest - highest


READS = ("background", "agnostic", "moved_cas", "moved_agnostic")  # of ``Snippets.extra``


def inference(scores: Mapping[str, np.ndarray], refined: np.ndarray, options: RskpOptions) -> Inference:
    """Released rule: both heads' scores, weighted; class probabilities times the (refined) attention."""
    own, other = options.original, 1 - options.original

    def mixed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        probabilities = (torch.as_tensor(logits).double().softmax(-1) for logits in (first, second))
        return (own * next(probabilities) + other * next(probabilities)).numpy()[..., :-1]

    cas = np.concatenate([scores["cas"][:, 0], scores["background"][..., None]], -1)  # (V, T, C + 1)
    video = mixed(scores["agnostic"], scores["moved_agnostic"])
    sequence = mixed(cas, scores["moved_cas"]) * refined[..., None]
    return Inference(video, {"weighted": Group(sequence, sequence, video, shortest=2)})
