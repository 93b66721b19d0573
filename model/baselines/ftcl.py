r"""FTCL (Gao et al., CVPR 2022): ACM-Net with two contrasts of the snippet sequences of two videos.

Of each video the snippets of largest A_ins, in temporal order, are a sequence. Longest common subsequence (LCS): a
snippet pair matches where their cosine exceeds a threshold, and adds it. Fine-grained sequence distance (FSD): a
transform gives match scores (cosines of the first half of its channels) and gap scores (second half), and a smooth
maximum over match and gaps runs through the table. A pair of videos that share a class should score high, another one
low: contrast(v) = mean of v over pairs that share none - mean over those that do. For FSD, a pair that shares none
compares the first video with the *next* snippets of the second (ranks 5 to 9 by A_ins stand for background: released).

Pairs are the videos 2i and 2i + 1 of a batch (``pairs: beside``), or found within it (``within``: all pairs of the
same single class, and as many without a common one, drawn). As released, most steps are a pre-training with pairs
within the batch and a sharper similarity for LCS; state: the number of steps done. Networks, losses, what CASE
is given and testing are ACM-Net's; the mean over both videos' losses is the mean over the batch.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from model.baselines import acmnet
from model.baselines.acmnet import READS, inference
from model.mil import reschedule
from model.options import FtclOptions
from model.streams import Batch, Losses, PerStream, Shape, Snippets

__all__ = ["READS", "Baseline", "inference"]

GUARD = 1e-10  # added to numbers of pairs
PRETRAINING: Mapping[str, Any] = {"pairs": "within", "offset": 0.8, "stretch": 5.0}


class Baseline(acmnet.Baseline):
    """ACM-Net's modules and the transform of FSD."""

    options: FtclOptions

    def __init__(self, options: FtclOptions, shape: Shape, seed: int) -> None:
        super().__init__(options, shape, seed)
        self.transform = PerStream((self.width,), options.transform, 1, seed, "transform")

    def initial_memory(self) -> Mapping[str, Tensor]:
        return {"done": next(self.parameters()).new_zeros(())}

    def losses(self, snippets: Snippets, batch: Batch, co_label: bool) -> Losses:
        """ACM-Net's losses and the contrasts of both comparisons."""
        o, own, done = self.options, super().losses(snippets, batch, co_label), batch.memory["done"]
        if bool(done < reschedule(o.pretraining, o.for_steps, batch.steps)):  # a count, not data
            o = replace(o, **PRETRAINING)
        first, second, shared, n = pair_up(batch, o)
        e = batch.grid(snippets.embedding)[0]  # (B, T, H)
        order = snippets.attention[0].argsort(dim=-1, descending=True, stable=True)
        ranked = [picked(e[v], order[v], 0, o.lcs_len) for v in (first, second)]
        lcs = common_subsequence(o.stretch * (cosines(*ranked) - o.offset).relu(), o.threshold)
        near, far = (picked(e[second], order[second], at * o.fsd_len, o.fsd_len) for at in (0, 1))
        other = torch.where(shared[:, None, None] > 0, near, far)
        fsd = self.distance(picked(e[first], order[first], 0, o.fsd_len), other)
        parts = own.parts | {"lcs": contrast(lcs, shared, n), "fsd": contrast(fsd, shared, n)}
        loss = own.loss + o.lcs * parts["lcs"] + o.fsd * parts["fsd"]
        return Losses(loss, parts, own.Q_A, {"done": done + 1}, own.unit)

    def distance(self, first: Tensor, second: Tensor) -> Tensor:
        """FSD of two sequences of embeddings, (P, n, H) each; (P,)."""
        u, v = (
            self.transform(values.flatten(0, 1)[None])[0].unflatten(0, values.shape[:2]) for values in (first, second)
        )
        (u_match, u_gap), (v_match, v_gap) = u.chunk(2, -1), v.chunk(2, -1)
        return smooth_alignment(cosines(u_match, v_match), cosines(u_gap, v_gap), self.options.smooth)


def pair_up(batch: Batch, options: FtclOptions) -> tuple[Tensor, Tensor, Tensor, float]:
    """First and second videos of pairs (P,), whether they share a class (P,), what is added to their numbers."""
    y = batch.labels
    if options.pairs == "beside":
        first = torch.arange(0, len(y) - 1, 2, device=y.device)
        shared = ((y[first] * y[first + 1]).sum(-1) > 0).to(y.dtype)
        return first, first + 1, shared, GUARD
    positive = same_pairs(y)
    negative = apart_pairs(y, len(positive), batch.generator)
    first, second = torch.cat([positive, negative]).unbind(-1)
    return first, second, (torch.arange(len(first), device=y.device) < len(positive)).to(y.dtype), 0.0


def same_pairs(labels: Tensor) -> Tensor:
    """Pairs (n, 2) of videos of one class each, the same."""
    single = labels.sum(-1) == 1
    return ((labels @ labels.T > 0) & single & single[:, None]).triu(1).nonzero()


def apart_pairs(labels: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """``count`` pairs (n, 2) of videos without a common class, drawn; fewer if there are no more."""
    every = (labels @ labels.T == 0).triu(1).nonzero()
    if generator is not None:
        every = every[torch.randperm(len(every), generator=generator, device=labels.device)]
    return every[:count]


def picked(e: Tensor, order: Tensor, start: int, count: int) -> Tensor:
    """Embeddings (P, T, H) of the snippets of ranks ``start`` on, in temporal order; (P, count, H)."""
    chosen = order[:, start : start + count].sort(-1).values
    return e.gather(1, chosen.unsqueeze(-1).expand(-1, -1, e.shape[-1]))


def cosines(u: Tensor, v: Tensor) -> Tensor:
    """Of all snippets of two sequences; (P, n, H), (P, m, H) -> (P, n, m)."""
    return F.normalize(u, dim=-1) @ F.normalize(v, dim=-1).mT


def contrast(values: Tensor, shared: Tensor, guard: float) -> Tensor:
    """Mean over pairs that share no class - mean over those that do; 0 where ``guard`` is 0 and a side is missing."""
    counts = [side.sum() + guard if guard else side.sum().clamp_min(1) for side in (1 - shared, shared)]
    return ((1 - shared) * values).sum() / counts[0] - (shared * values).sum() / counts[1]


def antidiagonals(values: Tensor) -> Tensor:
    """Row k of the result holds values[:, i, k - i] at place i, 0 outside; (P, n, m) -> (n + m - 1, P, n)."""
    _, n, m = values.shape
    j = torch.arange(n + m - 1, device=values.device)[:, None] - torch.arange(n, device=values.device)
    inside = (j >= 0) & (j < m)
    rows = torch.arange(n, device=values.device).expand_as(j)
    return values[:, rows, j.clamp(0, m - 1)].masked_fill(~inside, 0).movedim(0, 1)


def common_subsequence(S: Tensor, threshold: float) -> Tensor:
    """Length of the longest common subsequence, matches counted by similarity S (P, n, n); (P,).

    Table by antidiagonals: C[i, j] = C[i-1, j-1] + S[i, j] where S[i, j] > threshold, else max(C[i-1, j], C[i, j-1]).
    """
    before = last = S.new_zeros(len(S), S.shape[1] + 1)  # place i + 1: row i; place 0: the border
    for s, outside in zip(antidiagonals(S), left_of_table(S)):
        longest = torch.where(s > threshold, before[:, :-1] + s, torch.maximum(last[:, :-1], last[:, 1:]))
        before, last = last, F.pad(longest.masked_fill(outside, 0), (1, 0))
    return last[:, -1]


def smooth_alignment(match: Tensor, gap: Tensor, smooth: float) -> Tensor:
    """FSD: D[i, j] = m[i, j] + smooth max(D[i-1, j-1], g[i, j] + D[i-1, j], g[i, j] + D[i, j-1]); (P, n, n) -> (P,)."""
    before = last = match.new_zeros(len(match), match.shape[1] + 1)
    for m, g, outside in zip(antidiagonals(match), antidiagonals(gap), left_of_table(match)):
        ways = torch.stack([before[:, :-1], g + last[:, :-1], g + last[:, 1:]])
        longest = m + smooth * (ways / smooth).logsumexp(0)
        before, last = last, F.pad(longest.masked_fill(outside, 0), (1, 0))
    return last[:, -1]


def left_of_table(values: Tensor) -> Tensor:
    """Which places of each antidiagonal lie left of the table and count as border; (P, n, m) -> (n + m - 1, n)."""
    _, n, m = values.shape
    return torch.arange(n + m - 1, device=values.device)[:, None] < torch.arange(n, device=values.device)
