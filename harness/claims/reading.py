"""Records as reports and MLflow show them: a sequential study with the seeds that it has been given so far."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.claims.sequential import plan_look
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
            return found
        found = ahead
    return found
