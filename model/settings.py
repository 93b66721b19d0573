"""Appendix E.3 as frozen dataclasses: one commented line per symbol; no torch, so that a study validates without it.

The values here are the paper's text. ``studies/base/*.yaml`` restate them (paper) or replace them (released, repaired).
A field with ``metadata={"scoring": True}`` changes only how stored scores are read, never the weights: it belongs to
the scoring key and not to the training key (``harness/study/keys.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

SCORING: Mapping[str, Any] = {"scoring": True}


def steps(first: float, step: float, count: int) -> tuple[float, ...]:
    """``count`` thresholds from ``first`` on, as decimal numbers."""
    return tuple(round(first + step * i, 3) for i in range(count))


@dataclass(frozen=True)
class CoLabel:
    """Two-stream co-labeling (TSCL, Appendix E.2): which labellings see the mean of the streams."""

    select: bool = True  # Eq. 24: calibrated T-CAS, hence the top-k selection and Q^A
    classes: bool = True  # Eq. 22: P^R and beta, hence Q^R
    clusters: bool = True  # Eq. 20: P^C, the rank of P^A and the prior's Q^R, hence Q^C


@dataclass(frozen=True)
class ProposedOptions:
    """The paper's baseline: video branch and attention branch per stream (Section 3.1, Appendix E.1)."""

    lambda_a: float = 1.0  # lambda_A, Eq. 16 (released: 2 under a mean over streams)
    gamma: float = 0.7  # gamma of generalised BCE, Eq. 2; 0 is BCE (Table 9)
    per_video: bool = False  # L_A normalised per video instead of per batch (released), Eq. 2
    guard: float = 0.0  # added inside powers and denominators of L_A (released: 1e-7), Eq. 2
    label_norm: float = 0.0  # Y / sum(Y)^label_norm in L_V (released: 1), Eq. 1
    label_floor: float = 0.0  # added to the label of L_V (released: 1e-10), Eq. 1
    omega: float = 0.25  # omega of the calibrated T-CAS in training, Appendix E.1
    omega_test: float = field(default=0.25, metadata=SCORING)  # omega in testing (released: 0.2)
    topk: int = 8  # K = T // topk snippets are selected per class, Eq. 18
    kernel: int = 3  # temporal kernel of the embedding encoders (released: 1), Appendix E.3

    sets: ClassVar[Mapping[str, Any]] = {  # what choosing this baseline sets elsewhere
        "localization.thresholds": {"calibrated": steps(0.1, 0.1, 9)},
    }


@dataclass(frozen=True)
class AslOptions(ProposedOptions):
    """ASL (Ma et al., 2021): the fields of the paper's baseline with the values of ASL's release."""

    lambda_a: float = 2.0  # weight of the attention loss under a mean over streams (released: their sum)
    per_video: bool = True  # normalised per video
    guard: float = 1e-7  # added inside powers and denominators of L_A
    label_norm: float = 1.0  # video labels sum to 1
    label_floor: float = 1e-10  # added to the video labels
    omega: float = 1 / 3  # (softmax(cas) + A_rgb + A_flow) / 3 selects
    omega_test: float = field(default=1 / 3, metadata=SCORING)  # and is thresholded
    kernel: int = 1  # temporal kernel of all encoders

    sets: ClassVar[Mapping[str, Any]] = {
        "training.weight_decay": 5e-4,
        "localization.class_threshold": 0.25,
        "localization.class_fallback": "argmax",
        "localization.thresholds": {"calibrated": steps(0.1, 0.1, 9)},
        "localization.oic_lambda": 0.2,  # what its call amounts to (NOTES, table of differences, row 11)
        "localization.oic_gamma": 0.2,
        "localization.nms": "hard",  # the released default; "soft" behind a flag
        "localization.nms_threshold": 0.4,
        "localization.nms_alpha": 0.35,
        "localization.nms_plus": 1.0,
    }


@dataclass(frozen=True)
class BasnetOptions:
    """BaS-Net (Lee et al., 2020): base and suppression branch with shared weights."""

    alpha: float = 1e-4  # weight of the attention's sparsity, a sum over time
    for_snippets: int = 750  # T for which alpha is stated, carried over to the T of the data; 0: as it is
    topk: int = 8  # T // topk snippets are pooled per class
    dropout: float = 0.7  # before the last layer, its own mask per branch
    channels: int = 0  # hidden channels of the T-CAS module; 0: as many as features enter (released: 2048)
    lambda_a: float = 0.0  # weight of Eq. 2 on the attention, which the released baseline lacks
    gamma: float = 0.7  # gamma of that loss
    cat_gain: float = field(default=1.0, metadata=SCORING)  # how far CAT moves the thresholded sequence
    skip_only_class_zero: bool = field(default=True, metadata=SCORING)  # released: {class 0} alone gets no entry

    sets: ClassVar[Mapping[str, Any]] = {
        "training.weight_decay": 5e-4,
        "localization.class_threshold": 0.25,
        "localization.class_fallback": "none",
        "localization.thresholds": {"cas": steps(0.0, 0.025, 10)},
        "localization.oic_lambda": 0.25,
        "localization.oic_gamma": 0.2,
        "localization.nms": "hard",
        "localization.nms_threshold": 0.7,
        "localization.nms_plus": 1.0,
    }


@dataclass(frozen=True)
class WumOptions:
    """WUM (Lee et al., 2021): the length of a snippet's embedding tells action from background."""

    alpha: float = 5e-4  # weight of the uncertainty loss
    beta: float = 1.0  # weight of the background-entropy loss
    margin: float = 100.0  # length that the mean pseudo-action embedding should reach
    for_channels: int = 2048  # channels for which margin and alpha are stated: lengths grow as their root; 0: as is
    r_act: int = 9  # T // r_act pseudo-action snippets
    r_bkg: int = 4  # T // r_bkg pseudo-background snippets
    dropout: float = 0.7  # before the classifier, and of the mask over time
    channels: int = 0  # channels of the embedding; 0: as many as features enter (released: 2048)
    attention: Literal["ends", "margin"] = "ends"  # P^A of magnitudes: between video means, or min(m, margin) / margin

    sets: ClassVar[Mapping[str, Any]] = {
        "training.weight_decay": 5e-4,
        "localization.class_threshold": 0.2,
        "localization.class_fallback": "argmax",
        "localization.thresholds": {"cas": steps(0.0, 0.025, 10), "magnitude": steps(0.4, 0.025, 9)},
        "localization.oic_lambda": 0.25,
        "localization.oic_gamma": 0.2,
        "localization.nms": "hard",
        "localization.nms_threshold": 0.6,
        "localization.nms_plus": 1.0,
    }


@dataclass(frozen=True)
class UntrimmedOptions:
    """UntrimmedNets (Wang et al., 2017) with soft selection, on given features; localisation is the preset's."""

    topk: int = 8  # T // topk snippets per class are foreground (for CASE)
    kernel: int = 1  # temporal kernel of the encoder

    sets: ClassVar[Mapping[str, Any]] = {"localization.thresholds": {"weighted": steps(0.1, 0.1, 9)}}


@dataclass(frozen=True)
class WtalcOptions:
    """W-TALC (Paul et al., 2018): k-max MIL and co-activity similarity; localisation is the preset's."""

    share: float = 0.5  # lambda: weight of the MIL loss, 1 - lambda of co-activity similarity
    delta: float = 0.5  # margin of the similarity hinge
    s: int = 8  # ceil(T / s) snippets are pooled per class
    dropout: float = 0.5  # before the classifier
    channels: int = 0  # channels of the embedding; 0: as many as features enter (released: 2048)
    omega_test: float = field(default=0.5, metadata=SCORING)  # share of the T-CAS in what is thresholded

    sets: ClassVar[Mapping[str, Any]] = {
        "training.weight_decay": 5e-4,
        "localization.thresholds": {"calibrated": steps(0.1, 0.1, 9)},
    }


@dataclass(frozen=True)
class ColaOptions:
    """CoLA (Zhang et al., 2021): snippet contrast between easy and hard snippets."""

    weight: float = 0.01  # lambda: weight of the snippet contrast
    temperature: float = 0.07  # of the contrast
    r_easy: int = 5  # T // r_easy easy snippets, also pooled per class
    r_hard: int = 20  # T // r_hard hard snippets
    inner: int = 3  # m: smaller structure of erosion and dilation
    outer: int = 6  # M: larger structure
    dropout: float = 0.7  # before the classifier
    mask: float = 0.6  # share of the time line hidden from the easy mining
    channels: int = 0  # channels of the embedding; 0: as many as features enter (released: 2048)

    sets: ClassVar[Mapping[str, Any]] = {
        "training.weight_decay": 5e-4,
        "localization.class_threshold": 0.2,
        "localization.class_fallback": "argmax",
        "localization.thresholds": {"cas": steps(0.0, 0.025, 10), "actionness": steps(0.1, 0.025, 33)},
        "localization.oic_lambda": 0.25,
        "localization.oic_gamma": 0.2,
        "localization.nms": "hard",
        "localization.nms_threshold": 0.6,
        "localization.nms_plus": 1.0,
    }


@dataclass(frozen=True)
class AcmnetOptions:
    """ACM-Net (Qu et al., 2021): attention of action instance, action context and background."""

    guide: float = 2e-3  # weight of the guide loss
    separation: float = 5e-5  # weight of feature separation
    sparsity: float = 2e-4  # weight of attention sparsity; like the guide a sum over time
    margin: float = 50.0  # between the lengths of instance, context and background embeddings
    for_channels: int = 2048  # channels for which margin and separation are stated; 0: as they are
    r_instance: int = 8  # T // r snippets are pooled per class in each branch
    r_context: int = 3
    r_background: int = 3
    instance: float = 1.0  # weight of the instance loss (ActivityNet: 5)
    dropout: float = 0.7  # of the mask over time, and before the classifier
    early_dropout: float = 0.0  # of the features, and before the attention (ActivityNet: 0.7)
    channels: int = 0  # channels of the embedding; 0: as many as features enter (released: 2048)

    sets: ClassVar[Mapping[str, Any]] = {
        "training.weight_decay": 5e-5,
        "localization.class_threshold": 0.25,
        "localization.class_fallback": "argmax",
        "localization.upsampling": 20,
        "localization.thresholds": {"cas": steps(0.15, 0.05, 2), "attention": steps(0.15, 0.05, 17)},
        "localization.oic_lambda": 0.2,
        "localization.oic_gamma": 0.0,
        "localization.nms": "hard",
        "localization.nms_threshold": 0.55,
        "localization.nms_plus": 1.0,
    }


OPTIONS: Mapping[str, type] = {
    "proposed": ProposedOptions,
    "asl": AslOptions,
    "basnet": BasnetOptions,
    "wum": WumOptions,
    "untrimmed": UntrimmedOptions,
    "wtalc": WtalcOptions,
    "cola": ColaOptions,
    "acmnet": AcmnetOptions,
}


@dataclass(frozen=True)
class CaseSettings:
    """Everything that Section 3.2 and 3.3 add to a baseline; ``options`` are the baseline's own."""

    baseline: str = "proposed"  # file of model/baselines that hands over P^A, Z and Q^A
    options: Any = field(default_factory=ProposedOptions)  # the Options dataclass of that baseline
    width: int = 512  # channels of the embedding encoders, Appendix E.3
    clusters: int = 16  # K^C, 0: no clustering head (Table 3)
    lambda_c: float = 1.0  # lambda_C, Eq. 16; 0 drops only that loss
    lambda_r: float = 0.3  # lambda_R, Eq. 16; 0 drops only that loss
    rho: float = 10.0  # temperature of the cluster classifier, Eq. 10
    head_temperature: float = 10.0  # temperature of the cosine cluster head, Appendix E.3
    head: Literal["in_graph", "projected"] = "in_graph"  # where the head's weight rows get unit norm
    epsilon: float = 20.0  # epsilon of Eq. 6, 7, 15 on log-probabilities (released: 2 on logits)
    mean: Literal["probabilities", "logits"] = "probabilities"  # what labellings see and streams average, Eq. 20, 22
    sinkhorn_steps: int = 50  # rounds of Sinkhorn-Knopp for Q^C, Eq. 7, 15 (released: 3)
    sinkhorn_steps_r: int = 50  # rounds of Sinkhorn-Knopp for Q^R, Eq. 11 (released: 3)
    sigma: float = 10.0  # standard deviation of the prior, Eq. 13; inf: Eq. 15 becomes Eq. 7
    rank: Literal["exact", "argsort", "probability"] = "exact"  # R of Eq. 13 (released: argsort; Appendix F.2: P^A)
    initial_q_r: float | Literal["uniform"] = 0.5  # Q^R before step 1; "uniform" is 1 / K^C (released)
    project: Literal["sinkhorn", "rows"] = "sinkhorn"  # "rows" is PL of Table 4: Eq. 4 disabled for Q^C
    hard: bool = False  # one-hot Q^C (Table 4)
    class_marginal: float | Literal["foreground"] = "foreground"  # beta^R: Eq. 12, or a foreground share (Table 5: 0.5)
    co_label: CoLabel = CoLabel()  # TSCL, Appendix E.2
    cat: float = field(default=0.5, metadata=SCORING)  # weight of \hat P^A in testing, Section 3.3; 0: no CAT
