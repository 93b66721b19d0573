"""Where the numbers of a report come from: code, versions, machine, data, time; and where MLflow shows the runs."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import data, sources
from harness.sources import git
from harness.store.records import Records
from harness.track.stamps import identify_row, identify_run

if TYPE_CHECKING:
    from harness.study import Run, Study

LIBRARIES = ("numpy", "scipy", "pandas", "mlflow")
CHANGES = 400  # lines of uncommitted changes that a page shows


def list_facts(records: Records) -> dict[str, str]:
    """What a reader needs to believe the numbers, or to make them again."""
    study, trainings, root = records.study, records.trainings, records.root
    done = [training for training in trainings.values() if training.get("status") == "ok"]
    seconds = sum(training.get("seconds", {}).get("total", 0) for training in done)
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    stored, torches = list_values(done, "digest"), list_values(done, "torch")
    now = {sources.digest(row.settings.case.baseline) for row in study.rows}
    prints = {row.fingerprint for row in study.rows}
    streams = {data.describe_streams(fingerprint, root) for fingerprint in prints}
    seeds = {str(run.seed) for run in study.runs}
    return {
        "commit": git("describe", "--always", "--dirty", "--abbrev=12") or "unknown",
        "source digest of the results": join_sorted(stored) or "no results",
        "source digest now": join_sorted(now),
        "trained with": "torch " + (join_sorted(torches) or "(no results)"),
        "rendered with": f"Python {platform.python_version()}, {libraries}",
        "machine": describe_machine(),
        "streams": join_sorted(streams - {""}) or "unknown",
        "data fingerprint": join_sorted(prints - {""}) or "absent",
        "trainings": f"{len(done)} of {len(trainings)} finished; {len(study.runs)} results share them",
        "wall time": f"{seconds:.0f} s of training, {seconds / max(1, len(done)):.1f} s each",
        "finished": span_times(sorted(training["finished"] for training in done)),
        "seeds": join_sorted(seeds) or "none",
    }


def list_values(trainings: Sequence[Mapping[str, Any]], name: str) -> set[str]:
    """What the trainings say under a name."""
    return {str(training.get(name)) for training in trainings}


def span_times(times: Sequence[str]) -> str:
    """The first and the last of times in order."""
    return " to ".join(dict.fromkeys((times[0], times[-1]))) if times else "-"


def join_sorted(values: set[str]) -> str:
    """Values in order; numbers by size."""
    return ", ".join(sorted(values, key=lambda v: v.zfill(4) if v.isdigit() else v))


def describe_machine() -> str:
    """System, processor and number of cores of the machine that renders; no name of it."""
    model = ""
    if (about := Path("/proc/cpuinfo")).exists():
        lines = (line.partition(":")[2].strip() for line in about.read_text().splitlines() if "model name" in line)
        model = next(lines, "")
    return f"{platform.system()} {platform.machine()}, {model or 'processor unknown'}, {os.cpu_count()} cores"


def list_changes() -> list[str]:
    """Uncommitted changes of tracked files, cut to ``CHANGES`` lines."""
    lines = git("diff", "HEAD", "--no-color").splitlines()
    more = [f"... and {len(lines) - CHANGES} lines more"] if len(lines) > CHANGES else []
    return [*islice(lines, CHANGES), *more]


def list_links(study: "Study", addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Per row the address of its MLflow run and of its seeds' runs, as far as they are mirrored (``track.stamps``)."""
    out = []
    runs: dict[int, list[Run]] = {row.number: [] for row in study.rows}
    for run in study.runs:
        runs[run.row].append(run)
    for row in study.rows:
        seeds = [(run.seed, addresses.get(identify_run(run), "")) for run in runs[row.number]]
        own = addresses.get(identify_row(row), "")
        out.append({"row": row, "link": own, "seeds": [(seed, link) for seed, link in seeds if link]})
    return out if any(entry["link"] for entry in out) else []
