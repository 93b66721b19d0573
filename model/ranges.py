"""What a field of settings may hold, as its type, and two marks: no torch, so that a study validates without it.

A field with ``metadata=SCORING`` changes only how stored scores are read, never the weights: it belongs to the scoring
key and not to the training key (``harness/study/keys.py``).
"""

from collections.abc import Mapping
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
