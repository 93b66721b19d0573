"""What a tracker shows of a study: plain numbers under names that MLflow accepts, and digests that tell what is new."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
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
NOTE_LENGTH = 7900  # characters; MLflow takes 8000 in a run's tag
ADVICE = (
    "Of seeds, grouping by `row` shows each metric's mean over the seeds of a row, the seeds beneath it. "
    "The report's run holds page and figures (Artifacts)."
)

Point = tuple[str, float, int]  # name, value, step


def spell(name: str) -> str:
    """A metric name that MLflow accepts everywhere: "map/0.1:0.5" -> "mAP_0.1-0.5", "mAP@0.5" -> "mAP_0.5"."""
    head, _, tail = name.partition("/")
    metric = find_metric(name)
    spoken = "_".join(part for part in (metric.printed if metric else head, tail.replace("/", "_")) if part)
    return re.sub(r"[^\w.\- ]", "_", spoken.replace(":", "-"))


def layer(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flattened settings as a layer that a study's ``set`` takes: infinity and lists as what they are, not as text."""

    return {path: read_flat(text) for path, text in flat.items()}


def read_flat(text: Any) -> Any:
    """A flattened value as it was."""
    if text in {"inf", "-inf"}:
        return float(text)
    return json.loads(text) if isinstance(text, str) and text[:1] in {"[", "{"} else text


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


def summarise(records: "Records", row: "Row") -> dict[str, float]:
    """Mean, standard deviation (n - 1) and n over seeds of a row's columns, with one decimal more than reports have."""
    out: dict[str, float] = {}
    for column in records.study.columns:
        values = list_finite(records, row, column.name)
        found = {"n": float(len(values)), "mean": fmean(values) if values else nan}
        found["std"] = stdev(values) if len(values) > 1 else nan
        digits, name = count_decimals(column.metric), spell(column.name)
        out |= {f"{what}/{name}": round(value, digits) for what, value in found.items() if values and isfinite(value)}
    return out


def list_finite(records: "Records", row: "Row", column: str) -> list[float]:
    """A column's values under the seeds that have one."""
    return [value for value in records.values.get((row.number, column), {}).values() if isfinite(value)]


def count_decimals(name: str) -> int:
    """Decimals of a mean that MLflow shows: it cuts long numbers off."""
    metric = find_metric(name)
    return 1 + (metric.digits if metric else 2)


def measure_span(found: Iterable["Record"]) -> tuple[int | None, int | None]:
    """From the start of the first training to the end of the last one, in milliseconds; None where none has ended."""
    spans = [tell_times(record.training) for record in found if record.training]
    if not spans:
        return None, None
    starts, ends = zip(*spans)
    return min(starts), max(ends)


def tell_times(training: Mapping[str, Any]) -> tuple[int, int]:
    """When a training started and ended, in milliseconds."""
    end = int(datetime.fromisoformat(training["finished"]).timestamp() * 1000)
    return end - int(1000 * training.get("seconds", {}).get("total", 0)), end


def describe(records: "Records", findings: Sequence[str], links: Mapping[str, str]) -> str:
    """What a study found, as Markdown without tables (MLflow's pages draw none); ``links``: words -> address.

    What is said first is all that a list of runs shows: what became of the claims (``findings``).
    """
    study = records.study
    rows = [f"- **{row.number} {row.label}**: {describe_row(records, row)}" for row in study.rows]
    scope = f"Measured on {study.data}, preset {study.base}; mean ± standard deviation over seeds."
    places = " · ".join(f"[{words}]({address})" for words, address in links.items())
    head = f"**{study.title}**: {findings[0]}" if findings else f"**{study.title}**"
    claims = [f"- {finding}" for finding in findings[1:]]
    return "\n".join([head, "", places, "", scope, "", *rows, "", *claims, "", ADVICE])[:NOTE_LENGTH]


def describe_row(records: "Records", row: "Row") -> str:
    """A row's cells in words."""
    return ", ".join(describe_cell(records, row, column.name) for column in records.study.columns)


def describe_cell(records: "Records", row: "Row", column: str) -> str:
    """A cell in words: "mAP 41.20 ± 0.31 (paper 46.2)"."""
    values = list_finite(records, row, column)
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
