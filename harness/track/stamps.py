"""What a study's mirror is known by, without mlflow: identities of runs, and the stamp that says where they are shown.

A stamp is a file of ``<root>/reports/.mirrored/``: digests of what was mirrored, and the place of each run among
MLflow's pages. Reports read their links from it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.files import read_json, write_json
from harness.study import keys

if TYPE_CHECKING:
    from harness.study import Row, Run, Study


@dataclass(frozen=True)
class Stamp:
    """What was mirrored (``runs`` and ``report`` are digests), where (``server``), and where each run is shown."""

    server: str = ""
    runs: str = ""
    report: str = ""
    experiment: str = ""  # its name
    table: str = ""  # place of the view that shows the study's table
    places: Mapping[str, str] = field(default_factory=dict)  # identity of a run -> place of its page


def identify_row(row: "Row") -> str:
    """The identity of a row's run: other settings under the same number are another run."""
    return f"row {row.number} {keys.digest(keys.flat(row.settings))}"


def identify_run(run: "Run") -> str:
    """The identity of the run of one row under one seed."""
    return f"run {run.row} {run.seed} {run.scoring_key}"


def identify_report(study: "Study") -> str:
    """The identity of the run that holds the report."""
    return f"report {name_variant(study)}"


def name_variant(study: "Study") -> str:
    """Preset and settings of the command line: they tell the studies of one experiment apart."""
    return " ".join([study.base_name, *study.sets])


def locate_stamp(study: "Study", root: Path) -> Path:
    """The stamp's file; a digest keeps presets and data of one name apart."""
    variant = keys.digest([study.data_name, study.base_name, list(study.sets)])
    return root / "reports" / ".mirrored" / f"{study.name}-{variant}.json"


def read_stamp(study: "Study", root: Path) -> Stamp:
    """The stamp of a study; an empty one where nothing was mirrored."""
    return open_stamp(locate_stamp(study, root))


def open_stamp(path: Path) -> Stamp:
    """The stamp in a file; an empty one where that is absent or of another form."""
    try:
        return Stamp(**read_json(path))
    except TypeError:
        return Stamp()


def write_stamp(study: "Study", root: Path, stamp: Stamp) -> None:
    write_json(locate_stamp(study, root), asdict(stamp))
