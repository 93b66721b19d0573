"""The report card: a front page of all studies, their claims, and how many of them hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import study
from harness.claims import verdicts as claims
from harness.errors import ConfigError
from harness.report import page
from harness.report import writing as report
from harness.store import files, records, results
from harness.study.presets import STUDIES

if TYPE_CHECKING:
    from harness.study import Study


def write(options: Mapping[str, Any]) -> Path:
    """Render every study (searches have their own report) and reports/index.html, or index-<scope>.html."""
    root: Path = options["root"]
    cards = [entry(one, root) for one in load(options)]
    place = root / "reports"
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{'-'.join(['index', *label(options)])}.html"
    shown = {card["link"] for card in cards}
    others = [other for other in found(place) if other["link"] not in shown]
    report.put(path, page.front(cards, described(cards), others))
    return path


def load(options: Mapping[str, Any]) -> list["Study"]:
    """Every study of ``studies/``, sequential ones with the seeds they have; ConfigError lists all that is wrong."""
    loaded, errors = [], []
    for path in sorted(STUDIES.glob("*.yaml"), key=lambda path: (len(path.stem) if "table" in path.stem else 99, path)):
        try:
            one = study.load(path, **options)
        except ConfigError as error:
            errors += error.errors
            continue
        loaded += [] if one.search else [report.grown(one, options["root"])]
    if errors:
        raise ConfigError(list(dict.fromkeys(errors)))
    return loaded


def entry(one: "Study", root: Path) -> dict[str, Any]:
    """One study on the front page, its own page written where it has results or reported rows."""
    states = [results.status(root, run) for run in one.runs]
    done = sum(state in report.FINISHED for state in states)
    verdicts = claims.judge(records.read(one, root)) if done else []
    place = report.write(one, root) if done or one.reported else None
    return {
        "study": one,
        "verdicts": verdicts,
        "counts": claims.counts(verdicts),
        "done": done,
        "runs": len(states),
        "link": (place / "report.html").relative_to(root / "reports").as_posix() if place else "",
    }


def label(options: Mapping[str, Any]) -> list[str]:
    """What tells the file of a card of other data, base or scale from the usual one."""
    data, base = Path(options.get("data") or "").resolve().name, Path(options.get("base") or "").stem
    parts = {data: options.get("data"), base: options.get("base"), "quick": options.get("quick")}
    return [part for part, asked in parts.items() if asked]


def described(cards: list[dict[str, Any]]) -> str:
    """Data, presets and numbers of seeds of a card."""
    measured = [card["study"] for card in cards if card["done"]]
    data = ", ".join(dict.fromkeys(one.data for one in measured)) or "nothing yet"
    bases = ", ".join(dict.fromkeys(Path(one.base).stem for one in measured))
    return f"Measured on {data}" + (f"; preset {bases}." if bases else ".")


def found(place: Path) -> list[dict[str, Any]]:
    """Reports that lie under ``place``, with what became of their claims."""
    out = []
    for path in sorted(place.glob("**/report.html")):
        verdicts = files.read_json(path.with_name("claims.json")) or []
        counts = {status: sum(v["status"] == status for v in verdicts) for status in claims.STATUSES}
        name = path.parent.relative_to(place).as_posix()
        out.append({"name": name, "link": f"{name}/report.html", "counts": counts})
    return out
