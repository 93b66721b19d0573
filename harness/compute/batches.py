"""Batches of videos: which snippets are shown, gathered where the features are."""

import warnings
from dataclasses import replace

import numpy as np
import torch

from harness import data
from harness.data.sampling import between, distinct
from model.streams import Batch

EVALUATION_VIDEOS = 32  # videos per forward pass in testing
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def on_device(split: data.Split, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Features of each stream (N, D): on a GPU once and for all, on a CPU as they lie in the memory map."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        features = torch.from_numpy(split.features)
    return tuple(features[:, m].to(device) for m in range(features.shape[1]))


def send(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Values on a device. A GPU takes them from pinned memory, so that the host goes on while they are copied."""
    here = torch.from_numpy(values)
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here.to(device)


def make_batch(
    features: tuple[torch.Tensor, ...], split: data.Split, videos: np.ndarray, indices: np.ndarray, precision: str
) -> Batch:
    """The snippets ``indices`` (B, T) of ``videos`` (B,), each once, gathered where the features are.

    ``encode`` computes in the precision of the features that it is given.
    """
    snippets, rows = distinct(split, videos, indices)
    chosen = send(snippets, features[0].device)
    x = tuple(gather(stream, chosen, PRECISIONS[precision]) for stream in features)
    if snippets[0] < 0:  # padding is one row, and sorted the first
        for stream in x:
            stream[0] = 0
    batch = assemble(x, split, videos, rows)
    if (indices >= 0).all():
        return batch
    return replace(batch, lengths=send((indices >= 0).sum(1), chosen.device))


def make_blended(
    features: tuple[torch.Tensor, ...], split: data.Split, videos: np.ndarray, places: np.ndarray, precision: str
) -> Batch:
    """As ``make_batch``, at real places (B, T) on the videos' time lines: linear between two snippets, or beyond."""
    left, share, rows = between(split, videos, places)
    device = features[0].device
    weight = send(np.append(share, 0), device).to(features[0].dtype).unsqueeze(-1)
    chosen = send(left, device)
    right = (chosen + 1).clamp_max(len(features[0]) - 1)
    x = []
    for stream in features:
        first, second = (gather(stream, at, stream.dtype) for at in (chosen, right))
        x.append(torch.lerp(first, second, weight).to(PRECISIONS[precision]))
    return assemble(tuple(x), split, videos, rows)


def assemble(x: tuple[torch.Tensor, ...], split: data.Split, videos: np.ndarray, rows: np.ndarray) -> Batch:
    """The rows ``x`` of ``videos`` as a batch, with what is known of these."""
    known = (rows, split.labels[videos], videos, split.lengths[videos])
    index, labels, numbers, sizes = (send(values, x[0].device) for values in known)
    return Batch(x, index, labels, videos=numbers, sizes=sizes)


def gather(features: torch.Tensor, snippets: torch.Tensor, precision: torch.dtype) -> torch.Tensor:
    """Features (N, D) of R snippets (-1 as any) and a last row of 0, for what lies outside a video: (R + 1, D)."""
    out = features.new_empty(len(snippets) + 1, features.shape[1])
    torch.index_select(features, 0, snippets.clamp_min(0), out=out[:-1])
    out[-1] = 0
    return out.to(precision)
