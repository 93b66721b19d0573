"""From signals to snippets: statistics over centred windows, then z-scores by the training snippets."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.data.tools.writing import Clip

HOP, WINDOW = 8, 32  # samples per snippet, and of the window around it
BOUND = 10.0  # z-scores beyond it are clipped
STEADY = 1e-8  # a spread below it counts as 1


def cut_windows(signal: np.ndarray) -> np.ndarray:
    """(samples, C) -> (n, C, WINDOW): the window around each of n whole snippets, edges repeated."""
    n, pad = len(signal) // HOP, (WINDOW - HOP) // 2
    padded = np.pad(signal[: n * HOP], ((pad, pad), (0, 0)), mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=0)[::HOP][:n]


def describe_briefly(signal: np.ndarray) -> np.ndarray:
    """(samples, C) -> (n, 4 C): mean, std, min, max of each channel."""
    x = cut_windows(signal)
    return np.concatenate([x.mean(-1), x.std(-1), x.min(-1), x.max(-1)], 1)


def describe_fully(signal: np.ndarray, rate: float) -> np.ndarray:
    """(samples, C) -> (n, 16 C), statistic by statistic; ``rate`` in samples a second.

    mean, std, min, max, quartiles, slope, mean absolute difference, std of the difference, rate of crossings of the
    mean, log(1 + |FFT|) of bins 1 to 5 under a Hann window.
    """
    x = cut_windows(signal)
    centred, steps = x - x.mean(-1, keepdims=True), np.diff(x, axis=-1)
    time = np.arange(WINDOW) - (WINDOW - 1) / 2
    slope = (centred * time).sum(-1) / (time**2).sum() * rate
    spectrum = np.log1p(np.abs(np.fft.rfft(centred * np.hanning(WINDOW), axis=-1))[..., 1:6])
    found = [x.mean(-1), x.std(-1), x.min(-1), x.max(-1), *np.quantile(x, [0.25, 0.5, 0.75], axis=-1), slope]
    found += [np.abs(steps).mean(-1), steps.std(-1), np.diff(np.signbit(centred), axis=-1).mean(-1)]
    return np.concatenate([*found, *np.moveaxis(spectrum, -1, 0)], 1)


def standardise(clips: Sequence[Clip]) -> list[Clip]:
    """The clips with each feature z-scored by the training snippets and clipped to +-10."""
    scales = {}
    for name in clips[0].features:
        train = np.concatenate([clip.features[name] for clip in clips if clip.split == "train"])
        spread = train.std(0)
        scales[name] = train.mean(0), np.where(spread < STEADY, 1.0, spread)
    out = []
    for clip in clips:
        scaled = {name: (clip.features[name] - mean) / spread for name, (mean, spread) in scales.items()}
        out.append(replace(clip, features={name: np.clip(x, -BOUND, BOUND) for name, x in scaled.items()}))
    return out
