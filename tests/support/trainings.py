"""Small trainings in this process, and what they leave in the store."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.compute import train
from harness.settings import Localization, Settings, Source, Training
from harness.store import results
from harness.store.jobs import CHECKPOINT_EVERY, Job
from model.options import OPTIONS
from model.settings import CaseSettings

from support.baseline_settings import of_baseline

SMALL = Source(scale="tiny", knobs={"train_videos": 24, "test_videos": 12})
SHORT = Training(snippets=40, batch=8, steps=9, lr=3e-3, warm_up=3, evaluate_every=3, keep_embeddings=True)


def small(baseline: str = "proposed", training: Mapping[str, Any] = {}, **case) -> Settings:
    options = OPTIONS[baseline]()
    chosen = CaseSettings(baseline, options, width=16, clusters=6, sinkhorn_steps=5, sinkhorn_steps_r=5)
    localization = Localization(thresholds=of_baseline(baseline).localization.thresholds)
    return Settings(replace(chosen, **case), replace(SHORT, **training), localization, source=SMALL)


@dataclass(frozen=True)
class Outcome:
    """What a training leaves in the store."""

    record: dict[str, Any]
    result: dict[str, Any] | None
    arrays: dict[str, np.ndarray]  # weights, Q^R, curves and scores by name


def fitted(
    settings: Settings,
    root: Path,
    key: str,
    seed: int = 0,
    watched: frozenset[str] = frozenset("s"),
    every: float = CHECKPOINT_EVERY,
) -> Outcome:
    """Train; ``watched`` scorings are evaluated on the way, checkpoints are ``every`` seconds apart."""
    job = Job(key, settings, seed, {"s": settings}, root, key, watched=watched, checkpoint_every=every)
    train.fit(job, lambda progress: None)
    return left(root, key, "s")


def left(root: Path, key: str, scoring: str) -> Outcome:
    """What a training left in the store."""
    folder = results.training_folder(root, key)
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    arrays = {f"weights/{name}": value.numpy() for name, value in saved["weights"].items()}
    arrays |= {f"memory/{name}": value.numpy() for name, value in saved["memory"].items()}
    arrays["Q_R"] = saved["Q_R"].numpy()
    arrays |= {f"curves/{name}": value for name, value in results.read_curves(root, key).items()}
    if (folder / "scores.npz").exists():
        arrays |= {f"scores/{name}": value for name, value in results.read_scores(root, key).items()}
    return Outcome(results.read_training(root, key) or {}, results.read_result(root, key, scoring), arrays)


def different(one: Outcome, other: Outcome) -> list[str]:
    """Names of arrays that differ in a bit, or that only one has."""
    names = one.arrays.keys() | other.arrays.keys()
    both = one.arrays.keys() & other.arrays.keys()
    return sorted(n for n in names if n not in both or one.arrays[n].tobytes() != other.arrays[n].tobytes())
