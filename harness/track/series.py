"""What a tracker shows of a study: plain numbers under names that MLflow accepts, and digests that tell what is new."""

import hashlib
import json
import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.store import results
from harness.study import keys

if TYPE_CHECKING:
    from harness.study import Run, Study

POINTS = 50  # points kept of a per-step curve
SPOKEN = {"map": "mAP", "acc": "ACC", "auc": "AUC", "video_map": "video_mAP"}

Point = tuple[str, float, int]  # name, value, step


def legal(name: str) -> str:
    """A metric name that MLflow accepts everywhere: "map/0.1:0.5" -> "mAP_0.1-0.5", "mAP@0.5" -> "mAP_0.5"."""
    head, _, tail = name.partition("/")
    spoken = "_".join(part for part in (SPOKEN.get(head, head), tail.replace("/", "_")) if part)
    return re.sub(r"[^\w.\- ]", "_", spoken.replace(":", "-"))


def layer(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flattened settings as a layer that a study's ``set`` takes: infinity and lists as what they are, not as text."""

    def value(text: Any) -> Any:
        if text in {"inf", "-inf"}:
            return float(text)
        return json.loads(text) if isinstance(text, str) and text[:1] in {"[", "{"} else text

    return {path: value(text) for path, text in flat.items()}


def content(study: "Study", root: Path, report: Path | None) -> str:
    """Digest of what there is to mirror: which result stands at which run, and the report's files."""
    runs = [(run.row, run.seed, run.scoring_key, version(root, run)) for run in study.runs]
    texts = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files(report)]
    return keys.digest([runs, texts])


def files(report: Path | None) -> list[Path]:
    """Files of a report folder itself: its sub-folders are reports of other data."""
    return sorted(path for path in report.iterdir() if path.is_file()) if report else []


def version(root: Path, run: "Run") -> str:
    """What tells one result of a run from an older one; empty when it has not ended."""
    training = results.read_training(root, run.training_key)
    if training is None:
        return ""
    result = results.read_result(root, run.training_key, run.scoring_key) or {}
    return " ".join([training["status"], training["finished"], training["digest"], result.get("finished", "-")])


def summary(study: "Study", root: Path) -> dict[int, dict[str, float]]:
    """Per row: mean, standard deviation (n - 1) and n over seeds of every column."""
    frame = results.frame(study, root).dropna(subset=["value"])
    table = frame.groupby(["row", "column"])["value"].agg(["mean", "std", "count"]).reset_index()
    out: dict[int, dict[str, float]] = {}
    for line in table.to_dict("records"):
        values = {"mean": line["mean"], "std": line["std"], "n": line["count"]}
        named = {f"{what}/{legal(line['column'])}": float(value) for what, value in values.items() if isfinite(value)}
        out.setdefault(int(line["row"]), {}).update(named)
    return out


def points(root: Path, run: "Run") -> list[Point]:
    """Training curves thinned to ``POINTS``, metrics at evaluations, and what was measured only at the end."""
    training = results.read_training(root, run.training_key) or {}
    if training["status"] == "failed":
        return []
    curves = results.read_curves(root, run.training_key)
    steps = curves.pop("step").tolist()
    out = [(f"train/{legal(k)}", float(v[i]), steps[i]) for k, v in curves.items() for i in thinned(len(steps))]
    result = results.read_result(root, run.training_key, run.scoring_key)
    return out if result is None else out + scored(result)


def scored(result: Mapping[str, Any]) -> list[Point]:
    """Points of one stored scoring; the best of its evaluations is named for what it is."""
    curve = dict(result["curve"])
    steps = curve.pop("step")
    out = [(f"test/{legal(k)}", value, step) for k, v in curve.items() for value, step in zip(v, steps)]
    out += [(f"test/{legal(k)}", v, steps[-1]) for k, v in result["metrics"].items() if k not in curve]
    if best := result.get("best"):
        out.append(("best_on_test/mAP_avg", best["metrics"]["map/avg"], best["step"]))
    return out


def thinned(n: int) -> range:
    """At most about ``POINTS`` of ``n`` positions, the last one among them."""
    return range((n - 1) % max(1, n // POINTS), n, max(1, n // POINTS))
