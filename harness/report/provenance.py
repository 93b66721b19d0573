"""Where the numbers of a report come from: code, versions, machine, data, time; and where MLflow shows the runs."""

import os
import platform
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import sources
from harness.sources import git
from harness.store import results
from harness.study import keys

if TYPE_CHECKING:
    from harness.study import Study

LIBRARIES = ("numpy", "scipy", "pandas", "mlflow")
CHANGES = 400  # lines of uncommitted changes that a page shows
SERVER = "http://127.0.0.1:5000"  # where ``python -m harness.ui`` listens
IDENTITIES = """
select tags.value, runs.experiment_id, runs.run_uuid from tags
join runs on runs.run_uuid = tags.run_uuid
join experiments on experiments.experiment_id = runs.experiment_id
where tags.key = 'identity' and runs.lifecycle_stage = 'active' and experiments.name = ?
"""


def facts(study: "Study", root: Path) -> dict[str, str]:
    """What a reader needs to believe the numbers, or to make them again."""
    records = [results.read_training(root, key) or {} for key in dict.fromkeys(run.training_key for run in study.runs)]
    done = [record for record in records if record.get("status") == "ok"]
    seconds = sum(record.get("seconds", {}).get("total", 0) for record in done)
    ends = sorted(record["finished"] for record in done)
    return {
        "commit": git("describe", "--always", "--dirty", "--abbrev=12") or "unknown",
        "source digest of the results": listed({record["digest"] for record in done}) or "no results",
        "source digest now": listed({sources.digest(row.settings.case.baseline) for row in study.rows}),
        "trained with": "torch " + (listed({str(record.get("torch")) for record in done}) or "(no results)"),
        "rendered with": f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in LIBRARIES),
        "machine": machine(),
        "data fingerprint": listed({row.fingerprint for row in study.rows if row.fingerprint}) or "absent",
        "trainings": f"{len(done)} of {len(records)} finished; {len(study.runs)} results share them",
        "wall time": f"{seconds:.0f} s of training, {seconds / max(1, len(done)):.1f} s each",
        "finished": " to ".join(dict.fromkeys((ends[0], ends[-1]))) if ends else "-",
        "seeds": listed({str(run.seed) for run in study.runs}) or "none",
    }


def listed(values: set[str]) -> str:
    """Values in order; numbers by size."""
    return ", ".join(sorted(values, key=lambda v: v.zfill(4) if v.isdigit() else v))


def machine() -> str:
    """System, processor and number of cores of the machine that renders; no name of it."""
    model = ""
    if (about := Path("/proc/cpuinfo")).exists():
        lines = (line.partition(":")[2].strip() for line in about.read_text().splitlines() if "model name" in line)
        model = next(lines, "")
    return f"{platform.system()} {platform.machine()}, {model or 'processor unknown'}, {os.cpu_count()} cores"


def changes() -> list[str]:
    """Uncommitted changes of tracked files, cut to ``CHANGES`` lines."""
    lines = git("diff", "HEAD", "--no-color").splitlines()
    more = [f"... and {len(lines) - CHANGES} lines more"] if len(lines) > CHANGES else []
    return [*islice(lines, CHANGES), *more]


def links(study: "Study", root: Path) -> list[dict[str, Any]]:
    """Per row the address of its MLflow run and of its seeds' runs, as far as they are mirrored to the database."""
    known = dict(identities(root / "mlflow.db", f"{study.name}/{study.data}"))
    out = []
    for row in study.rows:
        own = known.get(f"row {row.number} {keys.digest(keys.flat(row.settings))}", "")
        runs = [run for run in study.runs if run.row == row.number]
        seeds = [(run.seed, known.get(f"run {run.row} {run.seed} {run.scoring_key}", "")) for run in runs]
        out.append({"row": row, "link": own, "seeds": [(seed, link) for seed, link in seeds if link]})
    return out if any(entry["link"] for entry in out) else []


def identities(database: Path, experiment: str) -> Iterator[tuple[str, str]]:
    """(identity, address) of the runs that harness.track mirrored; read from the file, without importing mlflow."""
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            for identity, number, run in connection.execute(IDENTITIES, (experiment,)):
                yield identity, f"{SERVER}/#/experiments/{number}/runs/{run}"
    except sqlite3.Error:
        return
