r"""Snippet scores in the precision in which they are scored: what a training evaluates is what it stores.

``pack_scores`` gives the arrays of scores.npz, ``unpack_scores`` the scores that all read, the training itself, too: so
scoring again gives the same digits. ``KINDS`` says how a name is kept: logits and shares as whole numbers, which
compress; what it does not name as float16. A file of before ``FORM`` (no ``form`` in it) is still read: its floats were
scored then.
"""

from collections.abc import Mapping

import numpy as np
from scipy.special import expit, logit

Arrays = Mapping[str, np.ndarray]

FORM = 2
KINDS = {
    "Q_R": "exact",
    "clock": "exact",
    "cas": "logits",
    "attention": "share",
    "clusters": "share",
    "oracle": "share",
    "tcam": "share",
}
TOP_STEP = 1 / 32  # of a snippet's highest logit; the same for all classes, so a softmax does not see it
DEPTH_STEP = 0.02  # of log(1 + d), d the distance below it: an error of at most 1 % of 1 + d
DEPTHS = np.expm1(DEPTH_STEP * np.arange(4500))  # up to any distance of two float32
SHARE_STEP = 1 / 512  # of log(P / (1 - P)): an error of at most 1/4096, and far less near 0 and 1, where streams tie
LEAST, MOST = float(np.finfo(np.float32).tiny), 1 - 1.5e-8  # MOST is 1 in float32
HALF = float(np.finfo(np.float16).max)


def pack_scores(scores: Arrays) -> dict[str, np.ndarray]:
    """Scores (see ``model.case.Case.scores``) as they are stored."""
    packed = {"form": np.array(FORM)}
    for name, values in scores.items():
        kind = KINDS.get(name) if np.isfinite(values).all() else None
        if kind == "logits" and values.shape[1] > 1:  # one fused stream: releases scale it by its range, no softmax
            packed |= pack_logits(name, values)
        elif kind == "share":
            packed[f"{name}.share"] = pack_share(values)
        else:
            packed[name] = values if kind == "exact" else pack_rest(values)
    return packed


def pack_logits(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Logits (V, M, T, C): each snippet's highest, and how far below it the classes are, time last (V, M, C, T)."""
    top = values.max(-1, keepdims=True).astype(np.float64)
    depth = np.rint(np.log1p(top - values) / DEPTH_STEP).swapaxes(-1, -2)
    return {f"{name}.top": shrink(np.rint(top / TOP_STEP)), f"{name}.depth": shrink(depth)}


def pack_share(values: np.ndarray) -> np.ndarray:
    """Probabilities as steps of their logit, which resolves both ends."""
    return shrink(np.rint(logit(values.astype(np.float64).clip(LEAST, MOST)) / SHARE_STEP))


def pack_rest(values: np.ndarray) -> np.ndarray:
    """float16 for float32 within its range; anything else, and what is not finite, unchanged."""
    fits = values.dtype == np.float32 and bool((np.abs(values) <= HALF).all())
    return values.astype(np.float16) if fits else values


def shrink(codes: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest type that holds them."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    kinds = [np.iinfo(kind) for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32)]
    fitting = next(kind for kind in kinds if kind.min <= low and high <= kind.max)
    return np.ascontiguousarray(codes, dtype=fitting.dtype)


def unpack_scores(packed: Arrays) -> dict[str, np.ndarray]:
    """Scores as they are scored: float32, but for what was kept as it was. ValueError: a form that is not known."""
    if (form := int(packed.get("form", 1))) > FORM:
        raise ValueError(f"scores of form {form}; this version reads forms up to {FORM}")
    scores: dict[str, np.ndarray] = {}
    for path, values in packed.items():
        name, _, part = path.partition(".")
        if part == "depth":
            scores[name] = unpack_logits(packed[f"{name}.top"], values)
        elif part == "share":
            scores[name] = expit(SHARE_STEP * values.astype(np.float64)).astype(np.float32)
        elif part != "top" and name != "form":
            scores[name] = values.astype(np.float32) if values.dtype == np.float16 else values
    return scores


def unpack_logits(top: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Logits (V, M, T, C) of highest (V, M, T, 1) and depth (V, M, C, T)."""
    out: np.ndarray = (TOP_STEP * top - DEPTHS[depth.swapaxes(-1, -2)]).astype(np.float32)
    return np.ascontiguousarray(out)


def round_scores(scores: Arrays) -> dict[str, np.ndarray]:
    """Scores as they would be read from the store."""
    return unpack_scores(pack_scores(scores))
