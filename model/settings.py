"""Appendix E.3 as frozen dataclasses: one commented line per symbol; no torch, so that a study validates without it.

The values here are the paper's text. ``studies/base/*.yaml`` restate them (paper) or replace them (released, repaired).
A field with ``metadata={"scoring": True}`` changes only how stored scores are read, never the weights: it belongs to the
scoring key and not to the training key (``harness/study.py``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

SCORING: Mapping[str, Any] = {"scoring": True}


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
        "localization.thresholds": {"calibrated": tuple(round(0.1 * i, 1) for i in range(1, 10))},
    }


OPTIONS: Mapping[str, type] = {"proposed": ProposedOptions}


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
    rank: Literal["true", "argsort", "probability"] = "true"  # R of Eq. 13 (released: argsort; Appendix F.2: P^A)
    initial_q_r: float | Literal["uniform"] = 0.5  # Q^R before step 1; "uniform" is 1 / K^C (released)
    project: Literal["sinkhorn", "rows"] = "sinkhorn"  # "rows" is PL of Table 4: Eq. 4 disabled for Q^C
    hard: bool = False  # one-hot Q^C (Table 4)
    class_marginal: float | Literal["foreground"] = "foreground"  # beta^R: Eq. 12, or a foreground share (Table 5: 0.5)
    co_label: CoLabel = CoLabel()  # TSCL, Appendix E.2
    cat: float = field(default=0.5, metadata=SCORING)  # weight of \hat P^A in testing, Section 3.3; 0: no CAT
