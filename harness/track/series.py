"""What a tracker shows of a study: plain numbers under names that MLflow accepts, and digests that tell what is new."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain
from math import isfinite, nan
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from harness.study import keys
from harness.study.metrics import find_metric

if TYPE_CHECKING:
    from harness.store.records import Record, Records
    from harness.study import Row

POINTS = 8  # points kept of a per-step curve
CURVES = ("map/avg", "acc")  # metrics of which every evaluation is shown, of others the last
NOTE_LENGTH = 5000  # characters

Point = tuple[str, float, int]  # name, value, step


def spell(name: str) -> str:
    """A metric name that MLflow accepts everywhere: "map/0.1:0.5" -> "mAP_0.1-0.5", "mAP@0.5" -> "mAP_0.5"."""
    head, _, tail = name.partition("/")
    metric = find_metric(name)
    spoken = "_".join(part for part in (metric.printed if metric else head, tail.replace("/", "_")) if part)
    return re.sub(r"[^\w.\- ]", "_", spoken.replace(":", "-"))


def layer(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flattened settings as a layer that a study's ``set`` takes: infinity and lists as what they are, not as text."""

    def value(text: Any) -> Any:
        if text in {"inf", "-inf"}:
            return float(text)
        return json.loads(text) if isinstance(text, str) and text[:1] in {"[", "{"} else text

    return {path: value(text) for path, text in flat.items()}


def digest_runs(records: "Records") -> str:
    """Digest of which result stands at which run."""
    runs = [
        (record.run.row, record.run.seed, record.run.scoring_key, tell_version(record)) for record in records.records
    ]
    return keys.digest(runs)


def digest_files(report: Path) -> str:
    """Digest of a report's files."""
    return keys.digest([(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in list_files(report)])


def list_files(report: Path) -> list[Path]:
    """Files of a report folder itself: its sub-folders are reports of other data."""
    return sorted(path for path in report.iterdir() if path.is_file())


def tell_version(record: "Record") -> str:
    """What tells one result of a run from an older one; empty when it has not ended."""
    training = record.training
    if not training:
        return ""
    return " ".join([training["status"], training["finished"], training["digest"], record.result.get("finished", "-")])


def summarise(records: "Records") -> dict[int, dict[str, float]]:
    """Per row: mean, standard deviation (n - 1) and n over seeds of every column."""
    out: dict[int, dict[str, float]] = {}
    for (row, column), seeds in records.values.items():
        values = [value for value in seeds.values() if isfinite(value)]
        found = {"n": float(len(values)), "mean": fmean(values) if values else nan}
        found["std"] = stdev(values) if len(values) > 1 else nan
        named = {f"{what}/{spell(column)}": value for what, value in found.items() if isfinite(value)}
        out.setdefault(row, {}).update(named if values else {})
    return out


def list_varied(rows: Sequence["Row"]) -> list[str]:
    """Paths of the settings that differ between rows: the others stand in each run's settings.yaml."""
    flat = [keys.flat(row.settings) for row in rows]
    varied = []
    for name in dict.fromkeys(chain.from_iterable(flat)):
        if len({values.get(name) for values in flat}) > 1:
            varied.append(name)
    return varied


def describe(records: "Records") -> str:
    """What a study found, as Markdown without tables (MLflow's pages draw none)."""
    study, lines = records.study, []
    for row in study.rows:
        cells = [describe_cell(records, row, column.name) for column in study.columns]
        lines.append(f"- **{row.number} {row.label}**: {', '.join(cells)}")
    head = f"{study.title}. Measured on {study.data}, preset {study.base}; mean ± standard deviation over seeds."
    advice = "Group by `row` and sort by a `mean/` column to see this table; the report's run holds pages and figures."
    return "\n".join([head, "", *lines, "", advice])[:NOTE_LENGTH]


def describe_cell(records: "Records", row: "Row", column: str) -> str:
    """A cell in words: "mAP 41.20 ± 0.31 (paper 46.2)"."""
    seeds = records.values.get((row.number, column), {})
    values = [value for value in seeds.values() if isfinite(value)]
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    measured = f"{fmean(values):.2f}{spread}" if values else "-"
    paper = row.paper.get(column)
    return f"{column} {measured}" + (f" (paper {paper:g})" if paper is not None else "")


def list_points(values: Mapping[str, float]) -> list[Point]:
    """Points of numbers that have no step."""
    return [(name, value, 0) for name, value in values.items()]


def list_curves(record: "Record") -> list[Point]:
    """Training curves thinned to ``POINTS``, metrics at evaluations, and what was measured only at the end."""
    if record.training["status"] == "failed":
        return []
    steps = record.curves["step"].tolist()
    kept = thin(len(steps))
    out: list[Point] = []
    for name, values in record.curves.items():
        if name != "step":
            out += [(f"train/{spell(name)}", float(values[i]), steps[i]) for i in kept]
    return out + list_scored(record.result) if record.result else out


def list_scored(result: Mapping[str, Any]) -> list[Point]:
    """Points of one stored scoring; the best of its evaluations is named for what it is."""
    curve = result["curve"]
    steps = curve["step"]
    out: list[Point] = []
    for name, value in result["metrics"].items():
        values = curve.get(name) if name in CURVES else None
        points = zip(values, steps) if values else [(value, steps[-1])]
        out += [(f"test/{spell(name)}", point, step) for point, step in points]
    best = result.get("best")
    if best:
        out.append(("best_on_test/mAP_avg", best["metrics"]["map/avg"], best["step"]))
    return out


def thin(n: int) -> range:
    """At most about ``POINTS`` of ``n`` positions, the last one among them."""
    return range((n - 1) % max(1, n // POINTS), n, max(1, n // POINTS))
