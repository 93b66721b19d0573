"""Snippets in, M encoders with their own weights, and the one call that co-labeling is made of (Eq. 20, 22, 24).

A video of n snippets is stretched to T sampled positions, so that most snippets stand at several. ``Batch`` therefore
holds each snippet once, as a *row*, and which row stands at each position of the *grid* (B, T). Layers per snippet work
on rows; ``spread`` takes what they give to the grid, where snippets are selected and losses are computed; ``collect``
sums labels of the grid over the positions of each row, so that no array of grid times width is made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Shape:
    """Sizes that the data determine: ``features`` D of each of M streams, ``classes`` K^V, hidden ``width``."""

    features: tuple[int, ...]
    classes: int
    width: int

    @property
    def streams(self) -> int:
        """M."""
        return len(self.features)


@dataclass(frozen=True)
class Batch:
    """One batch of B videos, each with T positions and with its snippets once.

    ``memory`` is what the baseline carried out of the step before (``Carried``). ``warm`` is 1 during the selection
    warm-up (select by P^V alone) and 0 otherwise. ``generator`` draws dropout masks; None means no dropout (testing,
    parity).
    """

    x: tuple[
        Tensor, ...
    ]  # per stream (R + 1, D_m): features of R snippets; the last row is 0, what lies outside a video
    rows: Tensor  # (B, T) int64: the row at each position
    labels: Tensor  # (B, K^V) multi-hot
    warm: float = 0.0
    generator: torch.Generator | None = None
    lengths: Tensor | None = (
        None  # (B,) int64: positions from here on are padding, where videos differ; None: all count
    )
    steps: int = 0  # steps of the whole training, where a schedule is carried over to them; 0: as it is stated
    pairs: int = 0  # videos 2i and 2i + 1 share a class for i below this
    videos: Tensor | None = None  # (B,) int64: which training videos these are
    sizes: Tensor | None = None  # (B,) int64: snippets of each video
    memory: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, x: Tensor, labels: Tensor, **more: Any) -> "Batch":
        """A batch of features on the grid (M, B, T, D), each position a row of its own."""
        rows = torch.arange(x[0, ..., 0].numel(), device=x.device).view(x.shape[1:3])
        return cls(tuple(F.pad(x.flatten(1, 2), (0, 0, 0, 1))), rows, labels, **more)

    @property
    def counted(self) -> Tensor | None:
        """The positions that are no padding, (N,) in 0 .. B T - 1; None: all are."""
        if self.lengths is None:
            return None
        time = torch.arange(self.rows.shape[1], device=self.rows.device)
        return (time < self.lengths[:, None]).flatten().nonzero()[:, 0]

    def spread(self, values: Tensor, rows: Tensor | None) -> Tensor:
        """Values of rows (M, R, C) on the grid (M, B, T, C), as ``spread``."""
        return self.grid(spread(values, None if rows is None else rows.flatten()))

    def grid(self, values: Tensor) -> Tensor:
        """The axis of all positions as two: (M, B T, C) -> (M, B, T, C)."""
        return values.view(len(values), *self.rows.shape, values.shape[-1])


@dataclass(frozen=True)
class Snippets:
    """What a baseline knows of each snippet.

    ``cas`` (M|1, B, T, K^V) logits; ``attention`` (M, B, T) is P^A in [0, 1]; ``embedding`` (M, R, H) is Z of each row,
    ``rows`` (B, T) the row at each position, or None where the embedding is on the grid (R = B T); ``extra`` more
    (B, ...) tensors that its own losses or inference need.
    """

    cas: Tensor
    attention: Tensor
    embedding: Tensor
    rows: Tensor | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Losses:
    """What a baseline's ``losses`` give: its own weighted loss, terms, Q^A (M, B, T), and the memory to carry on.

    ``unit`` is how often the mean cross-entropy of Eq. 1 is in ``loss``: the weight of its heaviest cross-entropy with
    the video labels, times videos and streams that are summed, by classes that are averaged. CASE's losses count in it.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    Q_A: Tensor
    memory: Mapping[str, Tensor] = field(default_factory=dict)
    unit: float = 1.0


@dataclass(frozen=True)
class Carried:
    """All that goes from step to step beside the weights: Q^R (M, K, 2) and the baseline's memory, by name."""

    Q_R: Tensor
    memory: Mapping[str, Tensor] = field(default_factory=dict)


class _Spread(torch.autograd.Function):
    """Rows of a table (R, C) at index (N,) -> (N, C). Its gradient adds where autograd's would sort."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape = table.shape
        return table.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index,), (gradient,) = ctx.saved_tensors, gradients
        return gradient.new_zeros(ctx.shape).index_add_(0, index, gradient), None


class _SumTaps(torch.autograd.Function):
    """Sums of k rows of a table (R, C) at index (N, k) -> (N, C), given its ``turn``, along which gradients go."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, positions: Tensor, begins: Tensor) -> Tensor:
        ctx.save_for_backward(positions, begins)
        return F.embedding_bag(index, table, mode="sum")

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        positions, begins = ctx.saved_tensors
        return F.embedding_bag(positions, gradients[0].contiguous(), begins, mode="sum"), None, None, None


def turn(index: Tensor, R: int) -> tuple[Tensor, Tensor]:
    """Where each of R rows stands in index (N, k): positions 0 .. N - 1, row after row, and where each row begins."""
    ordered, places = index.flatten().sort(stable=True)
    return places // index.shape[1], torch.searchsorted(ordered, torch.arange(R, device=index.device))


def spread(values: Tensor, rows: Tensor | None) -> Tensor:
    """Values of rows (M, R, C), the row at each position (N,) -> (M, N, C); None: each position has its row (R = N)."""
    if rows is None:
        return values
    M, R, C = values.shape
    out: Tensor = _Spread.apply(values.reshape(M * R, C), stacked(rows, M, R))  # type: ignore[no-untyped-call]
    return out.view(M, -1, C)


def collect(values: Tensor, rows: Tensor | None, R: int) -> Tensor:
    """The adjoint of ``spread``: values of positions (M, N, C) summed over each row's, rows (N,) -> (M, R, C)."""
    if rows is None:
        return values
    M, _, C = values.shape
    return values.new_zeros(M * R, C).index_add_(0, stacked(rows, M, R), values.flatten(0, 1)).view(M, R, C)


def stacked(rows: Tensor, M: int, R: int) -> Tensor:
    """Rows (N,) of one stream as rows of M streams that stand one after another, (M N,)."""
    return (rows + R * torch.arange(M, device=rows.device).unsqueeze(-1)).flatten()


def flat(values: Tensor, batch: Batch) -> Tensor:
    """All positions that count, of all videos: (M, B, T) -> (M, N), N = B T where every one counts."""
    counted = batch.counted
    return values.flatten(1, 2) if counted is None else values.flatten(1, 2).index_select(1, counted)


def flat_rows(snippets: Snippets, batch: Batch) -> Tensor | None:
    """The row of the embedding at each position that counts, (N,); None: N = R, each its own."""
    counted = batch.counted
    if snippets.rows is None or counted is None:
        return counted if snippets.rows is None else snippets.rows.flatten()
    return snippets.rows.flatten()[counted]


def fuse(P: Tensor, on: bool) -> Tensor:
    """Eq. 20, 22, 24: (M, ...) -> (1, ...), the mean over streams, when this labelling is shared; else unchanged.

    The leading axis of length 1 broadcasts against M, so nothing downstream knows whether streams were fused. With one
    stream it is the identity by construction.
    """
    return P.mean(0, keepdim=True) if on else P


def joined(x: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The streams as one, for baselines that concatenate them: M of (R + 1, D_m) -> one of (R + 1, sum of D_m)."""
    return (torch.cat(tuple(x), -1),)


def dropout(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Dropout with the mask drawn from ``generator``, so that a step stays a pure function; None: no dropout."""
    if generator is None or p == 0:
        return x
    keep = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) >= p
    return x * keep / (1 - p)


def drop_features(
    x: Sequence[Tensor], rows: Tensor, p: float, generator: torch.Generator | None
) -> tuple[tuple[Tensor, ...], Tensor]:
    """Features as they stand on the grid after dropout, each position under a mask of its own, and its rows."""
    index = F.pad(rows.flatten(), (0, 1), value=x[0].shape[0] - 1)
    grid = [x_m.index_select(0, index) for x_m in x]
    positions = torch.arange(rows.numel(), device=rows.device).view(rows.shape)
    return tuple(torch.cat([dropout(x_m[:-1], p, generator), x_m[-1:]]) for x_m in grid), positions


@contextmanager
def seeded(seed: int, name: str) -> Iterator[None]:
    """Draw initial weights from a generator that belongs to (seed, name) alone.

    So a module's first weights do not depend on which other modules a row builds: rows stay paired over seeds. Both are
    hashed to 32 bits because torch's CPU generator ignores the higher bits of a seed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(crc32(f"{seed}/{name}".encode()))
        yield


class PerStream(nn.Module):
    """A temporal convolution per stream, each with its own weights; zero-padded to keep T, kernel 1 is per snippet."""

    def __init__(
        self, features: Sequence[int], width: int, kernel: int, seed: int, name: str, bias: bool = True
    ) -> None:
        super().__init__()
        self.width, self.kernel = width, kernel
        self.copies = nn.ModuleList()
        for m, D in enumerate(features):
            with seeded(seed, f"{name}.{m}"):
                self.copies.append(nn.Conv1d(D, width, kernel, padding=kernel // 2, bias=bias))

    def taps(self, m: int) -> tuple[Tensor, Tensor]:
        """Weight (D, k, H) and bias (k, H) of stream m; the middle tap has the bias."""
        layer: Any = self.copies[m]
        bias = layer.weight.new_zeros(self.kernel, self.width)
        if layer.bias is not None:
            bias = F.pad(layer.bias.unsqueeze(0), (0, 0, self.kernel // 2, self.kernel // 2))
        return layer.weight.permute(1, 2, 0), bias

    def forward(self, x: Tensor) -> Tensor:
        """Rows (M, R, D) -> (M, R, H) with kernel 1, else the grid (M, B, T, D) -> (M, B, T, H)."""
        if self.kernel > 1:
            return torch.stack([copy(x_m.mT).mT for copy, x_m in zip(self.copies, x)])
        weights, biases = zip(*map(self.taps, range(len(self.copies))))
        return torch.baddbmm(torch.stack(biases), x.to(biases[0].dtype), torch.stack(weights).squeeze(2))


def encode(x: Sequence[Tensor], rows: Tensor, *encoders: PerStream) -> tuple[list[Tensor], Tensor | None]:
    """Encoders of one kernel k that read the same features, as one product a stream.

    x: M of (R + 1, D_m) with a last row of 0, rows (B, T) -> for each encoder (M, R, H), and the row at each position.
    A kernel beyond 1 sees neighbours in time, which differ between positions of a snippet: its taps are products with
    the rows, shifted and summed on the grid. Then R = B T, and no rows are needed any more. Products are
    computed in the precision of x.
    """
    k, sizes, R = encoders[0].kernel, [encoder.width for encoder in encoders], x[0].shape[0] - 1
    if k > 1:
        near = F.pad(rows, (k // 2, k // 2), value=R).unfold(1, k, 1)  # (B, T, k): rows under the taps
        index = (near * k + torch.arange(k, device=rows.device)).flatten(0, 1)
        turned = turn(index, (R + 1) * k)
    outputs = []
    for m, x_m in enumerate(x):
        weights, biases = zip(*(encoder.taps(m) for encoder in encoders))
        weight, bias = torch.cat(weights, -1).flatten(1), torch.cat(biases, -1).flatten()  # (D, k H), (k H,)
        inputs = x_m if k > 1 else x_m[:-1]
        y = torch.addmm(bias.to(x_m.dtype), inputs, weight.to(x_m.dtype)).to(weight.dtype)
        outputs.append(y if k == 1 else _SumTaps.apply(y.view(-1, sum(sizes)), index, *turned))  # type: ignore[no-untyped-call]
    return list(torch.split(torch.stack(outputs), sizes, -1)), rows if k == 1 else None


def on_grid(x: Sequence[Tensor], rows: Tensor) -> Tensor:
    """Features of streams of one width at each position: M of (R + 1, D), (B, T) -> (M, B, T, D), never bfloat16."""
    features = torch.stack([x_m[rows] for x_m in x])
    return features.float() if features.dtype == torch.bfloat16 else features


def initialise(module: nn.Module, seed: int, draw: Callable[[Tensor], Tensor]) -> None:
    """First weights as a release draws them (in place), biases 0; each layer has random numbers of its own."""
    for name, weight in module.named_parameters():
        with seeded(seed, f"{name}.start"):
            (nn.init.zeros_ if name.endswith("bias") else draw)(weight)
