"""Records as reports and MLflow show them: all seeds that a study was given, and all that its verdicts rest on."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.claims.sequential import plan_look
from harness.claims.verdicts import judge_seeds, widen
from harness.store import records
from harness.store.records import Records

if TYPE_CHECKING:
    from harness.study import Study


def read_grown_records(study: "Study", root: Path) -> Records:
    """Records under the seeds of the last look that was taken, as ``harness.run`` went from look to look."""
    found = records.read(study, root)
    while (grown := plan_look(found)) is not None:
        ahead = records.read(grown, root)
        if "missing" in ahead.states:
            break
        found = ahead
    return add_judged(found)


def add_judged(found: Records) -> Records:
    """The records with those seeds of other studies that verdicts rest on: a table shows what its claims are read off.

    A row keeps the seeds of its study where no claim on it rests on more.
    """
    wide = widen(found)
    rests_on: dict[int, int] = {}
    for verdict in judge_seeds(wide):
        for row in verdict.rows:
            rests_on[row] = max(verdict.n, rests_on.get(row, 0))
    added = wide.records[len(found.records) :]
    return found.plus([record for record in added if record.run.seed < rests_on[record.run.row]])
