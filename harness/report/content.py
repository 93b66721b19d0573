"""What a report holds, for every format it is shown in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.claims.verdicts import Verdict
from harness.report.figures import Drawn
from harness.report.layout import Cell
from harness.store.records import Records


@dataclass(frozen=True)
class Report:
    """A written report: its folder, and what stands in it."""

    records: Records
    folder: Path
    cells: Sequence[Cell]
    verdicts: Sequence[Verdict]
    notes: Sequence[str]
    drawn: Sequence[Drawn]
    troubles: Sequence[str]  # figures that could not be drawn, with their errors
    overall: str = ""  # what rows gain over their partners, in a line
