r"""Settings of a run beside the method's own: training, localisation, metrics and data source. No torch.

A field's type holds its range.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le, MaxLen, MinLen

from model.ranges import Amount, BelowOne, Between, Count, Natural, Positive, Share
from model.settings import CaseSettings

MOST = 100  # entries of a list of thresholds or streams
Shares = Annotated[tuple[Share, ...], MinLen(1), MaxLen(MOST)]
Scale = Annotated[float, Gt(0), Le(1)]
Overlaps = Annotated[tuple[Scale, ...], MinLen(1), MaxLen(MOST)]
Names = Annotated[tuple[str, ...], MinLen(1), MaxLen(MOST)]


@dataclass(frozen=True)
class Training:
    """How the weights are found: scale and schedule (Appendix E.3)."""

    snippets: Count = 750  # T, snippets sampled per video
    sampling: Literal["bins", "draws", "window"] = "bins"  # of a training video: one snippet of each of T bins; the
    # same, but short videos by T draws with replacement (ACM-Net); one run of snippets, shorter videos padded (W-TALC)
    longest: Natural = 750  # snippets of a "window" and of "whole" at most, as T a matter of the data set; 0: no limit
    testing: Literal["stretch", "keep", "whole"] = "stretch"  # test videos: T positions of each; shorter ones as they
    # are (CoLA, ACM-Net); all as they are, up to ``longest`` (W-TALC)
    batch: Count = 16  # B, videos per step
    pairs: Natural = 0  # pairs of videos that share a class, drawn first in each batch (W-TALC and others)
    steps: Count = 3600  # optimiser steps (released: 300 epochs of 12)
    lr: Positive = 1e-4  # Adam's learning rate
    lr_scale: Positive = 1.0  # times that: a release's rate over CASE's, where the data set has a rate of its own
    beta2: BelowOne = 0.999  # Adam's decay of squared gradients (RSKP and FAC-Net: 0.99)
    weight_decay: Amount = 0.0  # L2 inside Adam, not decoupled (released: 5e-4)
    warm_up: Natural = 0  # steps in which P^V alone selects snippets; a deviation from the paper on small features
    evaluate_every: Count = 50  # steps between evaluations, where a study reads a metric over the steps
    precision: Literal["fp32", "bf16"] = "fp32"  # of the encoders' products, which are most of a large step
    keep_embeddings: bool = False  # store test embeddings for the t-SNE figure


@dataclass(frozen=True)
class Localization:
    """From snippet scores to detections (Appendix E.3, last paragraph)."""

    class_threshold: Share = 0.25  # a class is searched for when its video score reaches this
    class_scale: Scale = 1.0  # times that, for every method: where a data set's videos show several classes
    class_rule: Literal["from", "above"] = "from"  # reached from the threshold on, or strictly above it
    class_fallback: Literal["argmax", "none"] = "argmax"  # when no class reaches it
    upsampling: Count = 24  # fine positions per snippet, linear interpolation
    thresholds: Mapping[str, Shares] = field(  # per named sequence of the baseline's inference rule
        default_factory=lambda: {"calibrated": tuple(round(0.1 * i, 1) for i in range(1, 10))}
    )
    snippet_rule: Literal["from", "above"] = "from"  # a run's positions: from the threshold on, or strictly above
    lone_first: bool = True  # a sequence whose first position alone is above gives nothing (released)
    score: Literal["contrast", "loose", "sides", "peak"] = "contrast"  # of a run; releases differ
    oic_weight: Amount = 1.0  # weight of the outside in a run's score
    oic_cut: Share = 1.0  # runs with (1 - score) / 2 above this are dropped (D2-Net: 0.7)
    oic_lambda: Amount = 0.25  # outer margin as a share of the proposal's length (released, by a slip: 0.15)
    oic_gamma: Amount = 0.15  # weight of the video score in a proposal's score (released: 0.2)
    nms: Literal["hard", "soft", "gaussian", "none"] = "hard"  # soft: suppressed once (released); gaussian: every time
    nms_threshold: Share = 0.4  # overlap from which a proposal is suppressed
    nms_rule: Literal["from", "above"] = "from"  # from that overlap on, or strictly above it
    nms_overlap: Literal["union", "candidate"] = "union"  # overlap as a share of the union, or of the worse one
    nms_join: Share = 0.0  # groups are suppressed apart, then joined with this threshold (FAC-Net); 0: together
    nms_alpha: Positive = 0.35  # decay of the soft variants
    keep_share: Share = 0.0  # detections below this share of a video's best of the class are dropped (D2-Net)
    nms_plus: Amount = 0.0  # seconds added to lengths in the overlap (released: 1)
    q_r: Literal["learned", "oracle"] = "learned"  # oracle: each cluster's true foreground rate on the test split
    match: Literal["none", "quantile"] = "none"  # quantile: \hat P^A gets the distribution of P^A before it is fused


@dataclass(frozen=True)
class Metrics:
    """What is measured on the detections and snippet scores."""

    tiou: Overlaps = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # map/avg is the mean over these
    acc_threshold: Share = 0.5  # a snippet is foreground from this attention on


@dataclass(frozen=True)
class Source:
    """Where the videos come from."""

    name: str = "synthetic"  # "synthetic", or "folder" with a path
    path: str = ""  # folder in the field's layout; never part of a key (its fingerprint is)
    scale: Literal["default", "tiny", "paper"] = "default"  # scale of the embedded data set (BENCHMARK)
    seed: Natural = 0  # generator seed of the embedded data set
    knobs: Mapping[str, Any] = field(default_factory=dict)  # generator constants replaced, e.g. key_share
    split: Literal["test", "validation"] = "test"  # what is evaluated; validation holds out training videos
    validation_share: Between = 0.25  # share of the training videos held out per class
    streams: Names = ("rgb", "flow")  # sub-folders, in the order of axis M


@dataclass(frozen=True)
class Settings:
    """All that determines a run, with its seed."""

    case: CaseSettings = field(default_factory=CaseSettings)
    training: Training = field(default_factory=Training)
    localization: Localization = field(default_factory=Localization)
    metrics: Metrics = field(default_factory=Metrics)
    source: Source = field(default_factory=Source)
