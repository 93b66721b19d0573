"""Recordings of the released code followed by the product: what the parity tests of all methods share."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.compute.localize import detect, find_pairs, propose
from harness.compute.train import State, Streams, start
from harness.data import Dataset, Split
from harness.settings import Localization, Settings
from model.inference import Inference
from model.streams import Batch

from support.reference import arrays

STREAMS = ("rgb", "flow")
FIELDS = {  # recorded setting -> field of Localization; an effective value goes before an intended one
    "class_thresh": "class_threshold", "scale": "upsampling", "nms_thresh": "nms_threshold", "nms_alpha": "nms_alpha",
    "oic_lambda": "oic_lambda", "oic_gamma": "oic_gamma",
    "oic_lambda_effective": "oic_lambda", "oic_gamma_effective": "oic_gamma",
}  # fmt: skip
BEFORE = {"pre_nms": 0, "pre_nms_cas_thresholds": 0, "pre_nms_magnitude_thresholds": 1}  # proposals -> place of a group
AFTER = {"hard_nms": "hard", "soft_nms": "soft", "final": None}  # recorded detections -> NMS; None: the default


class Pair(NamedTuple):
    """One number or array of ours, its recorded twin, and how close they must be."""

    ours: np.ndarray
    theirs: np.ndarray
    tolerance: float
    relative: float = 0.0


def check(pairs: Mapping[str, Pair]) -> None:
    for key, (ours, theirs, tolerance, relative) in pairs.items():
        assert ours.shape == theirs.shape, f"{key}: {ours.shape}, recorded {theirs.shape}"
        np.testing.assert_allclose(ours, theirs, rtol=relative, atol=tolerance, err_msg=key)


def off(values: np.ndarray, place: int) -> np.ndarray:
    """A copy in which one number is 1e-3 off (of its size, if that is above 1), or an index one further."""
    wrong = np.array(values)
    wrong.flat[place] += 1 if wrong.dtype.kind == "i" else 1e-3 * max(1, abs(wrong.flat[place]))
    return wrong


def grouped(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Arrays of a file by the part of their key before the last slash; those without one under ""."""
    out: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays(path).items():
        head, _, name = key.rpartition("/")
        out.setdefault(head, {})[name] = value
    return out


# Trainings


def precision(h: Mapping[str, Any]) -> torch.dtype:
    """The recorded dtype."""
    found: torch.dtype = getattr(torch, h["dtype"].removeprefix("torch."))
    return found


def tolerance(dtype: torch.dtype, step: int, later: float = 1e-7) -> float:
    """float64: 1e-9 at steps 1 and 2, then ``later``; float32: 1e-5 and 1e-4."""
    first, later = (1e-9, later) if dtype == torch.float64 else (1e-5, 1e-4)
    return first if step <= 2 else later


def opened(
    settings: Settings,
    z: Mapping,
    h: Mapping,
    weights: Callable[[State], Mapping[str, Tensor]],
    streams: tuple[str, ...] = STREAMS,
) -> State:
    """The product's model and optimiser with the recorded first weights, all of which are ours (``weights``)."""
    split = Split((), np.empty((0, len(streams), h["D"])), np.zeros(1, int), np.empty((0, h["C"])), (), np.empty(0))
    dataset, device = Dataset("recorded", ("",) * h["C"], streams, split, split, ""), torch.device("cpu")
    state = start(settings, dataset, Streams.of(0, device), device)
    state.case.to(precision(h))
    state.carried = state.case.initial()
    own = weights(state)
    left = {f"init/{name}" for name in own} ^ {key for key in z if key.startswith("init/")}
    assert not left, f"only here or only recorded: {sorted(left)}"
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(torch.as_tensor(z[f"init/{name}"]).reshape(weight.shape))
    return state


def batch(z: Mapping, dtype: torch.dtype, step: int) -> Batch:
    """Recorded batch of a step, without dropout; features (NB, B, T, 2D), RGB first, go around."""
    index = (step - 1) % len(z["features"])
    x = torch.as_tensor(z["features"][index]).to(dtype)
    return Batch.of(torch.stack(x.chunk(2, -1)), torch.as_tensor(z["labels"][index]).to(dtype))


# Inference


def stated(s: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of Localization that recorded settings state."""
    return {field: s[name] for name, field in FIELDS.items() if name in s}


def seconds(s: Mapping[str, Any], snippets: Any) -> float:
    """What the sampled snippets of a video span."""
    return float(s.get("frames_per_snippet", 16) * int(snippets) / s["fps"])


def listed(key: str, own: Inference, r: Localization, span: float) -> np.ndarray:
    """The product's list: (threshold, place of the class, class, score, start, end), after NMS (class, .., end)."""
    if key in AFTER:
        d = detect(own, replace(r, nms=AFTER[key] or r.nms), np.array([span]))
        return np.column_stack([d.label, d.score, d.start, d.end])
    pairs, (name, group), rows = find_pairs(own, r), list(own.groups.items())[BEFORE[key]], [np.zeros((0, 6))]
    step = span / (r.upsampling * group.threshold_on.shape[1])
    for i, p in enumerate(propose(group, pairs, r.thresholds[name], r)):
        columns = (np.full(p.score.shape, i), p.sequence, pairs[1][p.sequence], p.score)
        rows.append(np.column_stack([*columns, p.first * step, (p.last + 1) * step]))
    return np.concatenate(rows)


def recorded(key: str, lists: list, classes: tuple[str, ...]) -> np.ndarray:
    """A recorded list of proposals or detections as rows of numbers."""
    if key in AFTER:
        rows = [(classes.index(row["label"]), row["score"], *row["segment"]) for row in lists]
        return np.array(rows, np.float64).reshape(-1, 4)
    rows = [(i, j, *row) for i, each in enumerate(lists) for j, found in enumerate(each) for row in found]
    return np.array(rows, np.float64).reshape(-1, 6)


def compared_lists(
    values: Mapping, keys: set[str], name: str, own: Inference, r: Localization, span: float, classes: tuple[str, ...]
) -> dict[str, Pair]:
    """Every recorded list of a video with ours, to 1e-8; a key that is not understood fails."""
    out = {}
    for key in sorted(keys):
        assert key in BEFORE | AFTER, f"{key} is not understood"
        out[key] = Pair(listed(key, own, r, span), recorded(key, values[key].get(name, []), classes), 1e-8)
    return out
