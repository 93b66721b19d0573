"""Reports as self-contained HTML pages: no network, readable on a laptop and in print."""

import base64
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, select_autoescape

from harness import claims, keys, presets, results, tables

if TYPE_CHECKING:
    from harness.study import Study

LIBRARIES = ("torch", "numpy", "scipy", "pandas", "mlflow", "optuna")


def environment() -> Environment:
    out = Environment(loader=PackageLoader("harness", "templates"), autoescape=select_autoescape(), trim_blocks=True)
    out.filters["evidence"] = claims.evidence_text
    out.filters["png"] = inline
    return out


def dumps(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def inline(path: Path) -> str:
    """A PNG as a data address."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def caption(path: Path) -> Mapping[str, str]:
    """Title and caption that a figure left beside it."""
    found = results.read_json(path.with_suffix(".json")) or {}
    return {"title": found.get("title", path.stem), "caption": found.get("caption", "")}


def report(
    study: "Study",
    table: Sequence[tables.Cell],
    verdicts: Sequence[claims.Verdict],
    notes: Sequence[str],
    drawn: Sequence[Path],
    provenance: Mapping[str, Any],
) -> str:
    """The page of one study."""
    head, body = tables.grid(study, table)
    pictures = [{"path": p, **caption(p)} for p in drawn if p.suffix == ".png"]
    return environment().get_template("report.html").render(
        study=study, head=head, body=body, verdicts=verdicts, notes=notes, pictures=pictures,
        provenance=provenance, differences=table, settings=settings_table(study),
    )  # fmt: skip


def settings_table(study: "Study") -> list[dict[str, Any]]:
    """Every setting that some row or the data set changes, with its value per distinct row; the base's value first."""
    flat = [keys.flat(row.settings) for row in study.rows]
    names = list(dict.fromkeys(name for values in flat for name in values))
    preset = keys.flat(presets.preset(study.base))
    out = []
    for name in names:
        found = ["" if name not in values else str(values[name]) for values in flat]
        base = preset.get(name)
        varies = len(set(found)) > 1
        out.append({"name": name, "base": "" if base is None else str(base), "values": found, "varies": varies})
    return [entry for entry in out if entry["varies"] or entry["values"][0] != entry["base"]]


def provenance(study: "Study", root: Path) -> dict[str, Any]:
    """Where the numbers come from: versions, machine, data, time, seeds, digests."""
    from harness import data
    from harness.run import commit

    records = [results.read_training(root, key) or {} for key in dict.fromkeys(run.training_key for run in study.runs)]
    seconds = sum(record.get("seconds", {}).get("total", 0) for record in records)
    sources = list(dict.fromkeys(repr(row.settings.source) for row in study.rows))
    first = [next(row.settings.source for row in study.rows if repr(row.settings.source) == s) for s in sources[:8]]
    out = {
        "commit": commit(),
        "sources": ", ".join(sorted({record["digest"] for record in records if "digest" in record})) or "no results",
        "versions": f"Python {platform.python_version()}, " + ", ".join(f"{n} {version(n)}" for n in LIBRARIES),
        "machine": f"{platform.system()} {platform.machine()}",
        "data": ", ".join(fingerprint(source, root, data) for source in first),
        "trainings": f"{sum(r.get('status') == 'ok' for r in records)} of {len(records)} finished, {seconds:.0f} s in all",
        "seeds": ", ".join(map(str, sorted({run.seed for run in study.runs}))),
    }
    return out


def fingerprint(source: Any, root: Path, data: Any) -> str:
    try:
        return str(data.fingerprint(source, root))
    except data.DataError:
        return "absent"


def front(cards: Sequence[Mapping[str, Any]], root: Path, place: Path) -> str:
    """The report card: all studies, their claims and how many hold."""
    from harness.report import folder

    entries = [{**card, "link": (folder(card["study"], root) / "report.html").relative_to(place)} for card in cards]
    total = {s: sum(card["counts"][s] for card in cards) for s in (cards[0]["counts"] if cards else {})}
    return environment().get_template("index.html").render(cards=entries, total=total, python=sys.version.split()[0])
