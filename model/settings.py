"""Appendix E.3 as frozen dataclasses: one commented line per symbol; no torch, so that a study validates without it.

The values here are the paper's text. ``studies/base/*.yaml`` restate them (paper) or replace them (released, repaired);
``studies/baselines/*.yaml`` say what choosing a baseline sets beside its options. A field's type holds its range.
A field with ``metadata={"scoring": True}`` changes only how stored scores are read, never the weights: it belongs to
the scoring key and not to the training key (``harness/study/keys.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

SCORING: Mapping[str, Any] = {"scoring": True}
DIVIDES, ODD = "T // n must leave a snippet", "an odd number keeps the length of time"  # rules beside a range

Count = Annotated[int, Ge(1)]
Rounds = Count | Literal["converged"]
Natural = Annotated[int, Ge(0)]
Divisor = Annotated[int, Ge(1), DIVIDES]
Odd = Annotated[int, Ge(1), ODD]
Amount = Annotated[float, Ge(0), Lt(inf)]
Positive = Annotated[float, Gt(0), Lt(inf)]
UpToInf = Annotated[float, Gt(0)]  # .inf is allowed, too
Share = Annotated[float, Ge(0), Le(1)]
Between = Annotated[float, Gt(0), Lt(1)]
BelowOne = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class CoLabel:
    """Two-stream co-labeling (TSCL, Appendix E.2): which labellings see the mean of the streams."""

    select: bool = True  # Eq. 24: calibrated T-CAS, hence the top-k selection and Q^A
    classes: bool = True  # Eq. 22: P^R and beta, hence Q^R
    clusters: bool = True  # Eq. 20: P^C, the rank of P^A and the prior's Q^R, hence Q^C


@dataclass(frozen=True)
class ProposedOptions:
    """The paper's baseline: video branch and attention branch per stream (Section 3.1, Appendix E.1)."""

    lambda_a: Amount = 1.0  # lambda_A, Eq. 16 (released: 2 under a mean over streams)
    gamma: Share = 0.7  # gamma of generalised BCE, Eq. 2; 0 is BCE (Table 9)
    per_video: bool = False  # L_A normalised per video instead of per batch (released), Eq. 2
    guard: Amount = 0.0  # added inside powers and denominators of L_A (released: 1e-7), Eq. 2
    label_norm: Amount = 0.0  # Y / sum(Y)^label_norm in L_V (released: 1), Eq. 1
    label_floor: Amount = 0.0  # added to the label of L_V (released: 1e-10), Eq. 1
    omega: Share = 0.25  # omega of the calibrated T-CAS in training, Appendix E.1
    omega_test: Share = field(default=0.25, metadata=SCORING)  # omega in testing (released: 0.2)
    topk: Divisor = 8  # K = T // topk snippets are selected per class, Eq. 18
    kernel: Odd = 3  # temporal kernel of the embedding encoders (released: 1), Appendix E.3


@dataclass(frozen=True)
class AslOptions(ProposedOptions):
    """ASL (Ma et al., 2021): the fields of the paper's baseline with the values of ASL's release."""

    lambda_a: Amount = 2.0  # weight of the attention loss under a mean over streams (released: their sum)
    per_video: bool = True  # normalised per video
    guard: Amount = 1e-7  # added inside powers and denominators of L_A
    label_norm: Amount = 1.0  # video labels sum to 1
    label_floor: Amount = 1e-10  # added to the video labels
    omega: Share = 1 / 3  # (softmax(cas) + A_rgb + A_flow) / 3 selects
    omega_test: Share = field(default=1 / 3, metadata=SCORING)  # and is thresholded
    kernel: Odd = 1  # temporal kernel of all encoders


@dataclass(frozen=True)
class BasnetOptions:
    """BaS-Net (Lee et al., 2020): base and suppression branch with shared weights."""

    alpha: Amount = 1e-4  # weight of the attention's sparsity, a sum over time
    for_snippets: Natural = 750  # T for which alpha is stated, carried over to the T of the data; 0: as it is
    topk: Divisor = 8  # T // topk snippets are pooled per class
    dropout: BelowOne = 0.7  # before the last layer, its own mask per branch
    channels: Natural = 0  # hidden channels of the T-CAS module; 0: as many as features enter (released: 2048)
    lambda_a: Amount = 0.0  # weight of Eq. 2 on the attention, which the released baseline lacks
    gamma: Share = 0.7  # gamma of that loss
    cat_gain: Amount = field(default=1.0, metadata=SCORING)  # how far CAT moves the thresholded sequence
    skip_only_class_zero: bool = field(default=True, metadata=SCORING)  # released: {class 0} alone gets no entry


@dataclass(frozen=True)
class WumOptions:
    """WUM (Lee et al., 2021): the length of a snippet's embedding tells action from background."""

    alpha: Amount = 5e-4  # weight of the uncertainty loss
    beta: Amount = 1.0  # weight of the background-entropy loss
    margin: Amount = 100.0  # length that the mean pseudo-action embedding should reach
    for_channels: Natural = 2048  # channels for which margin and alpha are stated: lengths grow as their root; 0: as is
    r_act: Divisor = 9  # T // r_act pseudo-action snippets
    r_bkg: Divisor = 4  # T // r_bkg pseudo-background snippets
    dropout: BelowOne = 0.7  # before the classifier, and of the mask over time
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)
    attention: Literal["ends", "margin"] = "ends"  # P^A of magnitudes: between video means, or min(m, margin) / margin


@dataclass(frozen=True)
class UntrimmedOptions:
    """UntrimmedNets (Wang et al., 2017) with soft selection, on given features; localisation is the preset's."""

    topk: Divisor = 8  # T // topk snippets per class are foreground (for CASE)
    kernel: Odd = 1  # temporal kernel of the encoder


@dataclass(frozen=True)
class WtalcOptions:
    """W-TALC (Paul et al., 2018): k-max MIL and co-activity similarity; localisation is the preset's."""

    share: Share = 0.5  # lambda: weight of the MIL loss, 1 - lambda of co-activity similarity
    delta: Amount = 0.5  # margin of the similarity hinge
    s: Count = 8  # ceil(T / s) snippets are pooled per class
    dropout: BelowOne = 0.5  # before the classifier
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)
    omega_test: Share = field(default=0.5, metadata=SCORING)  # share of the T-CAS in what is thresholded


@dataclass(frozen=True)
class ColaOptions:
    """CoLA (Zhang et al., 2021): snippet contrast between easy and hard snippets."""

    weight: Amount = 0.01  # lambda: weight of the snippet contrast
    temperature: Positive = 0.07  # of the contrast
    r_easy: Divisor = 5  # T // r_easy easy snippets, also pooled per class
    r_hard: Divisor = 20  # T // r_hard hard snippets
    inner: Count = 3  # m: smaller structure of erosion and dilation
    outer: Count = 6  # M: larger structure
    dropout: BelowOne = 0.7  # before the classifier
    mask: Share = 0.6  # share of the time line hidden from the easy mining
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)


@dataclass(frozen=True)
class AcmnetOptions:
    """ACM-Net (Qu et al., 2021): attention of action instance, action context and background."""

    guide: Amount = 2e-3  # weight of the guide loss
    separation: Amount = 5e-5  # weight of feature separation
    sparsity: Amount = 2e-4  # weight of attention sparsity; like the guide a sum over time
    margin: Amount = 50.0  # between the lengths of instance, context and background embeddings
    for_channels: Natural = 2048  # channels for which margin and separation are stated; 0: as they are
    r_instance: Divisor = 8  # T // r snippets are pooled per class in each branch
    r_context: Divisor = 3
    r_background: Divisor = 3
    instance: Amount = 1.0  # weight of the instance loss (ActivityNet: 5)
    dropout: BelowOne = 0.7  # of the mask over time, and before the classifier
    early_dropout: BelowOne = 0.0  # of the features, and before the attention (ActivityNet: 0.7)
    channels: Natural = 0  # channels of the embedding; 0: as many as features enter (released: 2048)


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
    width: Count = 512  # channels of the embedding encoders, Appendix E.3
    clusters: Natural = 16  # K^C, 0: no clustering head (Table 3)
    lambda_c: Amount = 1.0  # lambda_C, Eq. 16; 0 drops only that loss
    lambda_r: Amount = 0.3  # lambda_R, Eq. 16; 0 drops only that loss
    rho: Positive = 10.0  # temperature of the cluster classifier, Eq. 10
    head_temperature: Positive = 10.0  # temperature of the cosine cluster head, Appendix E.3
    head: Literal["in_graph", "projected"] = "in_graph"  # where the head's weight rows get unit norm
    epsilon: Positive = 20.0  # epsilon of Eq. 6, 7, 15 on log-probabilities (released: 2 on logits)
    mean: Literal["probabilities", "logits"] = "probabilities"  # what labellings see and streams average, Eq. 20, 22
    sinkhorn_steps: Rounds = "converged"  # rounds of Sinkhorn-Knopp for Q^C, Eq. 7, 15 (released: 3), or all it takes
    sinkhorn_steps_r: Rounds = "converged"  # the same for Q^R, Eq. 11 (released: 3)
    sigma: UpToInf = 10.0  # standard deviation of the prior, Eq. 13; inf: Eq. 15 becomes Eq. 7
    rank: Literal["exact", "argsort", "probability"] = "exact"  # R of Eq. 13 (released: argsort; Appendix F.2: P^A)
    initial_q_r: Share | Literal["uniform"] = 0.5  # Q^R before step 1; "uniform" is 1 / K^C (released)
    project: Literal["sinkhorn", "rows"] = "sinkhorn"  # "rows" is PL of Table 4: Eq. 4 disabled for Q^C
    hard: bool = False  # one-hot Q^C (Table 4)
    class_marginal: Between | Literal["foreground"] = "foreground"  # beta^R: Eq. 12, or a share (Table 5: 0.5)
    co_label: CoLabel = CoLabel()  # TSCL, Appendix E.2
    cat: Share = field(default=0.5, metadata=SCORING)  # weight of \hat P^A in testing, Section 3.3; 0: no CAT

    @property
    def clustered(self) -> bool:
        """Whether anything reads clusters; without their losses and CAT a row is its baseline alone, without a head."""
        return self.clusters > 0 and bool(self.lambda_c or self.lambda_r or self.cat)
