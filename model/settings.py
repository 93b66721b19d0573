"""Appendix E.3 as frozen dataclasses: one commented line per symbol; no torch, so that a study validates without it.

The values here are the paper's text. ``studies/base/*.yaml`` restate them (paper) or replace them (released, repaired);
``studies/baselines/*.yaml`` say what choosing a baseline sets beside its options. A field's type holds its range.
A field with ``metadata={"scoring": True}`` changes only how stored scores are read, never the weights: it belongs to
the scoring key and not to the training key (``harness/study/keys.py``).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from model.options import ProposedOptions
from model.ranges import SCORING, Amount, Between, Count, Natural, Positive, Rounds, Share, UpToInf


@dataclass(frozen=True)
class CoLabel:
    """Two-stream co-labeling (TSCL, Appendix E.2): which labellings see the mean of the streams."""

    select: bool = True  # Eq. 24: calibrated T-CAS, hence the top-k selection and Q^A
    classes: bool = True  # Eq. 22: P^R and beta, hence Q^R
    clusters: bool = True  # Eq. 20: P^C, the rank of P^A and the prior's Q^R, hence Q^C


@dataclass(frozen=True)
class CaseSettings:
    """Everything that Section 3.2 and 3.3 add to a baseline; ``options`` are the baseline's own."""

    baseline: str = "proposed"  # file of model/baselines that hands over P^A, Z and Q^A
    options: Any = field(default_factory=ProposedOptions)  # the Options dataclass of that baseline
    width: Count = 512  # channels of the embedding encoders, Appendix E.3
    clusters: Natural = 16  # K^C, 0: no clustering head (Table 3)
    lambda_c: Amount = 1.0  # lambda_C, Eq. 16, per Losses.unit; 0 drops only that loss
    lambda_r: Amount = 0.3  # lambda_R, Eq. 16, per Losses.unit; 0 drops only that loss
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
