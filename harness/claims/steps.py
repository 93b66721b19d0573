"""What a claim compares in few words: which part of the method tells its two rows apart."""

from typing import TYPE_CHECKING

from harness.study.claims import Beats

if TYPE_CHECKING:
    from harness.study import Row, Study
    from harness.study.claims import AnyClaim

MOST = 3  # parts that are named one by one where a row has all of them


def name_claim(study: "Study", claim: "AnyClaim") -> str:
    """'SCC on mAP (row 2 over 1)'; a claim that compares no two rows is named by its own words."""
    if not isinstance(claim, Beats):
        return claim.words
    step = name_step(study, study.rows[claim.row - 1], study.rows[claim.beats - 1])
    return f"{step} on {claim.on} (row {claim.row} over {claim.beats})"


def name_step(study: "Study", row: "Row", other: "Row") -> str:
    """What ``row`` has and ``other`` has not: 'SCC', 'all parts'; else what both are called."""
    added = [part for part in study.toggles if part in row.on and part not in other.on]
    if not added or not set(other.on) <= set(row.on):
        return row.label if row.label.startswith(other.label) else f"{row.label} over {other.label}"
    return "all parts" if len(added) == len(study.toggles) > MOST else " + ".join(added)
