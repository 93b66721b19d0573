"""What a baseline asks of localisation (Appendix E.3): sequences in named groups, as numpy arrays; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Group:
    """One pool of proposals: runs of ``threshold_on`` above each threshold, scored on ``score_on``."""

    threshold_on: np.ndarray  # (V, T, C) or (V, T, 1): the sequence that is thresholded
    score_on: np.ndarray  # (V, T, C) or (V, T, 1): the sequence under the outer-inner contrast
    video_score: np.ndarray  # (V, C): times oic_gamma in a proposal's score
    beside: np.ndarray | None = None  # (V, T, C): added to ``score_on`` without being zeroed below the threshold
    zero_below: bool = False  # positions below the threshold count as 0 in the contrast
    searched: np.ndarray | None = None  # (V, C) scores of its own for the class rule; None: the inference's
    shortest: int = 1  # shorter runs (fine positions) are dropped


@dataclass(frozen=True)
class Inference:
    """The inference rule of a baseline on V videos; group names match ``localization.thresholds``."""

    video: np.ndarray  # (V, C) scores for the class rule
    groups: Mapping[str, Group]
    searched: np.ndarray | None = None  # (V, C) scores for the class rule, where they are not ``video``
    skip_only_class_zero: bool = False  # the released BaS-Net skips a video whose set is exactly {class 0}
    clock: np.ndarray | None = None  # (V, n + 1) where snippets are not sampled evenly (``model.segments``)
