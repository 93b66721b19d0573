"""Time line of one generated video: what happens when, before any feature is made. Times in seconds."""

from dataclasses import dataclass
from math import erfc, exp, lgamma

import numpy as np

from harness.data.knobs import Knobs


@dataclass(frozen=True)
class Script:
    """What is fixed for all videos: class statistics and which codes a class uses (S sub-actions, C classes).

    Action codes are numbered 0 .. S-1 (sub-actions), S .. S+C-1 (key phases).
    """

    median: np.ndarray  # (C,) median duration
    pre: np.ndarray  # (C,) sub-action before the key phase
    post: np.ndarray  # (C,) sub-action after it
    key_part: np.ndarray  # (C,) sub-action mixed into the key phase
    venue: np.ndarray  # (C,)
    pairs: np.ndarray  # (sibling pairs, 2) classes


@dataclass(frozen=True)
class Timeline:
    """One video of n snippets."""

    classes: np.ndarray  # (1 or 2,) its classes
    segments: np.ndarray  # (instances, 3) start, end, class
    action: np.ndarray  # (n, S+C) amplitude of each action code: coverage, 0.6 times it in lead-in and follow-through
    backdrop: np.ndarray  # (n,) 0 .. C-1: the scene of that class; C ..: a situation
    distractor: np.ndarray  # (n,) sub-action carried by a background snippet, or -1


def expect_order_statistics(n: int) -> np.ndarray:
    """Expected values of n sorted standard normal numbers, by quadrature on a fine grid; (n,) ascending."""
    x = np.linspace(-9, 9, 6001)
    below = np.array([erfc(-v / 2**0.5) / 2 for v in x])
    log_below, log_above = np.log(below), np.log(below[::-1])  # Phi(x), 1 - Phi(x)
    i = np.arange(1, n + 1)[:, None]
    ways = np.array([lgamma(n + 1) - lgamma(k) - lgamma(n - k + 1) for k in range(1, n + 1)])[:, None]
    log_density = ways + (i - 1) * log_below + (n - i) * log_above - x**2 / 2 - 0.5 * np.log(2 * np.pi)
    return np.exp(log_density) @ x * (x[1] - x[0])


def draw_script(knobs: Knobs, rng: np.random.Generator) -> Script:
    """Class medians, the sub-actions and the venue of each class, and the sibling pairs."""
    C, S = knobs.classes, knobs.sub_actions
    z = rng.permutation(expect_order_statistics(C))
    pre, post, key_part = rng.integers(S, size=(3, C))
    post = np.where(post == pre, (pre + 1) % S, post)
    venue = rng.permutation(np.arange(C) % knobs.venues)
    pairs = rng.permutation(C)[: 2 * knobs.sibling_pairs].reshape(-1, 2)
    venue[pairs[:, 1]] = venue[pairs[:, 0]]
    return Script(knobs.duration_median * np.exp(knobs.duration_class_sigma * z), pre, post, key_part, venue, pairs)


def draw_timeline(knobs: Knobs, script: Script, number: int, rng: np.random.Generator) -> Timeline:
    """Video ``number`` of a split: its own random numbers, whatever the number of videos."""
    classes = draw_classes(knobs, script, number, rng)
    segments, gaps = draw_segments(knobs, script, classes, rng)
    length = int(np.ceil((segments[-1, 1] + gaps[-1]) / knobs.snippet_seconds))
    bounds, codes, amplitudes = draw_phases(knobs, script, segments, gaps, rng)
    cover = measure_coverage(bounds, length, knobs.snippet_seconds)  # (n, phases)
    action = np.zeros((length, knobs.sub_actions + knobs.classes))
    np.add.at(action.T, codes, (cover * amplitudes).T)
    backdrop, distractor = draw_background(knobs, classes, length, rng)
    acting = cover.any(1)
    owner = np.tile(segments[:, 2].astype(np.int64), 5)  # class of each phase
    backdrop = np.where(acting, owner[cover.argmax(1)], backdrop)
    return Timeline(classes, segments, action, backdrop, np.where(acting, -1, distractor))


def draw_classes(knobs: Knobs, script: Script, number: int, rng: np.random.Generator) -> np.ndarray:
    """One class, in turn, or a pair of siblings."""
    two, which = rng.random(2)
    if two < knobs.two_class_share:
        return script.pairs[int(which * len(script.pairs))]
    return np.array([number % knobs.classes])


def draw_segments(
    knobs: Knobs, script: Script, classes: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Instances (n, 3) start, end, class, and the n + 1 gaps before, between and after them."""
    spread, of_video = rng.standard_normal(2)
    n = round(knobs.instances_median * exp(knobs.instances_sigma * spread))
    n = int(np.clip(n, len(classes), knobs.instances_most))
    label = rng.permutation(np.concatenate([classes, rng.choice(classes, n - len(classes))]))
    duration = script.median[label] * np.exp(knobs.duration_sigma * rng.standard_normal(n))
    duration = np.maximum(duration, knobs.duration_least)
    gap = find_median_gap(knobs, script, classes, n) * exp(knobs.foreground_sigma * of_video)
    gaps = gap * np.exp(knobs.gap_sigma * rng.standard_normal(n + 1))
    start = np.cumsum(gaps[:-1]) + np.cumsum(duration) - duration
    return np.stack([start, start + duration, label], 1), gaps


def find_median_gap(knobs: Knobs, script: Script, classes: np.ndarray, n: int) -> float:
    """Median gap that gives the nominal foreground share; between the class's own scale and that of all classes."""
    means = script.median * exp(knobs.duration_sigma**2 / 2)
    scale = np.sqrt(means[classes].mean() * means.mean())
    return float(scale * (1 - knobs.foreground) / knobs.foreground * exp(-(knobs.gap_sigma**2) / 2) * n / (n + 1))


def draw_phases(
    knobs: Knobs, script: Script, segments: np.ndarray, gaps: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bounds (5n, 2), action codes (5n,) and amplitudes (5n,): all pre, key, post, lead-in, follow-through.

    Lead-in and follow-through that do not fit into a gap together shrink by one factor.
    """
    n = len(segments)
    start, end, label = segments[:, 0], segments[:, 1], segments[:, 2].astype(np.int64)
    low, high = knobs.key_share
    share = low + (high - low) * rng.random(n)
    key = start + (end - start) * (1 - share) * rng.random(n)
    key_end = key + (end - start) * share
    lead, follow = knobs.lead_in * rng.standard_exponential((2, n))
    wanted = np.append(lead, 0) + np.append(0, follow)  # (n + 1,) per gap
    fit = np.minimum(1, gaps / np.maximum(wanted, 1e-12))
    bounds = [
        (start, key),
        (key, key_end),
        (key_end, end),
        (start - lead * fit[:-1], start),
        (end, end + follow * fit[1:]),
    ]
    pre, post = script.pre[label], script.post[label]
    codes = np.concatenate([pre, knobs.sub_actions + label, post, pre, post])
    amplitudes = np.repeat([1.0, knobs.lead_in_amplitude], [3 * n, 2 * n])
    return np.concatenate([np.stack(b, 1) for b in bounds]), codes, amplitudes


def measure_coverage(bounds: np.ndarray, length: int, seconds: float) -> np.ndarray:
    """Share of each snippet covered by each interval (P, 2): (length, P) in [0, 1]."""
    left = np.arange(length)[:, None] * seconds
    overlap = np.minimum(bounds[:, 1], left + seconds) - np.maximum(bounds[:, 0], left)
    return np.clip(overlap / seconds, 0, 1)


def draw_background(
    knobs: Knobs, classes: np.ndarray, length: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Backdrop and distractor of every snippet as if nothing were acted, in runs; (length,) each."""
    size = 1 + (knobs.run_median * np.exp(knobs.run_sigma * rng.standard_normal(length))).astype(np.int64)
    run = np.searchsorted(np.cumsum(size), np.arange(length), side="right")
    context, which, carries, what = rng.random((4, length))
    scene = classes[(which * len(classes)).astype(np.int64)]
    situation = knobs.classes + (which * knobs.situations).astype(np.int64)
    backdrop = np.where(context < knobs.context_share, scene, situation)
    distractor = np.where(carries < knobs.distractors, (what * knobs.sub_actions).astype(np.int64), -1)
    return backdrop[run], distractor[run]
