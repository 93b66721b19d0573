"""Snippets in, M encoders with their own weights, and the one call that co-labeling is made of (Eq. 20, 22, 24)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from zlib import crc32

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """Sizes that the data determine: ``streams`` M, ``features`` D per stream, ``classes`` K^V, hidden ``width``."""

    streams: int
    features: int
    classes: int
    width: int


@dataclass(frozen=True)
class Batch:
    """One batch: ``x`` (M, B, T, D) features, ``labels`` (B, K^V) multi-hot.

    ``warm`` is 1 during the selection warm-up (select by P^V alone) and 0 otherwise. ``generator`` draws dropout masks;
    None means no dropout (testing, parity).
    """

    x: Tensor
    labels: Tensor
    warm: float = 0.0
    generator: torch.Generator | None = None


@dataclass(frozen=True)
class Snippets:
    """What a baseline knows of each snippet: ``cas`` (M|1, B, T, K^V) logits, ``attention`` (M, B, T) is P^A in [0, 1],
    ``embedding`` (M, B, T, H) is Z, ``extra`` more (B, T, ...) tensors that its own losses or inference need."""

    cas: Tensor
    attention: Tensor
    embedding: Tensor
    extra: dict[str, Tensor] = field(default_factory=dict)


def fuse(P: Tensor, on: bool) -> Tensor:
    """Eq. 20, 22, 24: (M, ...) -> (1, ...), the mean over streams, when this labelling is shared; else unchanged.

    The leading axis of length 1 broadcasts against M, so nothing downstream knows whether streams were fused. With one
    stream it is the identity by construction.
    """
    return P.mean(0, keepdim=True) if on else P


def joined(x: Tensor) -> Tensor:
    """The streams as one, for baselines that concatenate them: (M, B, T, D) -> (1, B, T, M D), stream after stream."""
    return x.movedim(0, -2).flatten(-2).unsqueeze(0)


def dropout(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Dropout with the mask drawn from ``generator``, so that a step stays a pure function; None: no dropout."""
    if generator is None or p == 0:
        return x
    keep = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) >= p
    return x * keep / (1 - p)


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
    """One copy of a module per stream, each with its own weights: (M, B, T, D) -> (M, B, T, D')."""

    def __init__(self, build: Callable[[], nn.Module], streams: int, seed: int, name: str) -> None:
        super().__init__()
        self.copies = nn.ModuleList()
        for m in range(streams):
            with seeded(seed, f"{name}.{m}"):
                self.copies.append(build())

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([copy(x_m) for copy, x_m in zip(self.copies, x)])


class Temporal(nn.Conv1d):
    """Temporal convolution over (B, T, D) -> (B, T, D'), zero-padded to keep T; kernel 1: a layer per snippet (E.3)."""

    def __init__(self, features: int, width: int, kernel: int = 1, bias: bool = True) -> None:
        super().__init__(features, width, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(-1, -2)).transpose(-1, -2)
