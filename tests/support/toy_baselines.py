"""Baselines at a toy size on random features: a module, a batch, a few steps."""

from dataclasses import replace

import torch

from model.case import Case, Step
from model.options import OPTIONS
from model.settings import CaseSettings
from model.streams import Batch, Shape

M, B, T, D, C, H, K = 2, 4, 48, 6, 5, 8, 3


def case(name: str, seed: int = 0, **changes) -> Case:
    settings = CaseSettings(baseline=name, options=OPTIONS[name](), width=H, clusters=K, sinkhorn_steps=5)
    return Case(replace(settings, **changes), Shape((D,) * M, C, H), seed)


def batch(seed: int = 0, generator: int | None = 7) -> Batch:
    rng = torch.Generator().manual_seed(seed)
    labels = torch.eye(C)[torch.randint(C, (B,), generator=rng)]
    labels[0, :2] = 1  # a video with two classes, and at least one pair that shares a class
    labels[1], labels[3] = labels[0], labels[2]  # and a pair of one class each
    dropped = None if generator is None else torch.Generator().manual_seed(generator)
    return Batch.of(torch.randn(M, B, T, D, generator=rng).relu(), labels, generator=dropped, pairs=1)


def run(name: str, steps: int = 1, **changes) -> tuple[Case, Step]:
    """``steps`` optimiser steps on random features, with dropout."""
    module = case(name, **changes)
    optimizer, carried = torch.optim.Adam(module.parameters(), 1e-3), module.initial()
    for number in range(steps):
        optimizer.zero_grad()
        step = module.step(carried, batch(number, generator=number))
        step.loss.backward()
        optimizer.step()
        carried = step.carried
    return module, step
