"""``python -m harness.report STUDY``: render a study again from the run store, without training and without torch.

``--all`` renders the report card: every study, its claims and how many of them hold.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from harness.study import Study

HOME_BASE, HOME_DATA = "paper", "synthetic"  # reports of these have no sub-folder
COLOURS = {"supported": "green", "contradicted": "red", "undecided": "yellow", "not judged": "dim"}
FINISHED = frozenset({"ok", "stale"})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("python -m harness.report", description="Render a study's report from the run store.")
    p.add_argument("study", nargs="*", help="a study file, or the name of one in studies/")
    p.add_argument("--all", action="store_true", help="every study, and the report card")
    p.add_argument("--data", metavar="NAME|DIR", help="as for harness.run")
    p.add_argument("--base", metavar="NAME", help="as for harness.run")
    p.add_argument("--quick", action="store_true", help="results of --quick runs")
    p.add_argument("--seeds", type=int, metavar="N", help="seeds per row (default: the study's)")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as for harness.run")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--videos", metavar="ID,...", help="draw the time lines of these videos")
    return p


def folder(study: "Study", root: Path) -> Path:
    """Where a study's report lies: reports/<study>/, in a sub-folder for other data, another base or --set."""
    parts = [study.data] if study.data != HOME_DATA or study.base != HOME_BASE else []
    parts += [Path(study.base).stem] if study.base != HOME_BASE else []
    parts += [re.sub(r"[^\w.=+-]", "_", text) for text in study.sets]
    place = root / "reports" / study.name
    return place / "-".join(parts) if parts else place


def notes(study: "Study", states: Sequence[str]) -> list[str]:
    """What must be said beside a table; ``states`` are those of its runs."""
    from harness.claims import verdicts as claims

    if study.missing:
        return [f"Not measured: {study.missing}.", *said(study)]
    scope = claims.scope(study, [row.number for row in study.rows])
    out = [f"Measured {scope}; mean ± sample standard deviation over seeds."]
    if claims.synthetic(study):
        out.append("The embedded data set is a test bed, not evidence about THUMOS14.")
    if claims.mechanics(study):
        out.append("Tiny scale: it checks mechanics, never findings.")
    if study.until:
        most = study.until.at_most
        out.append(f"Sequential: seeds are added to rows of undecided claims, up to {most}, at looks fixed beforehand.")
    if warm := sorted({row.settings.training.warm_up for row in study.rows} - {0}):
        steps = "/".join(map(str, warm))
        out.append(f"Deviation from the paper: for the first {steps} steps P^V alone selects snippets (warm-up).")
    if any(column.selection == "best" for column in study.columns):
        out.append("Test-selected columns show the checkpoint that is best on the split it is reported on.")
    if study.sets:
        out.append(f"Set on the command line: {', '.join(study.sets)}.")
    return [*out, *gaps(states), *said(study)]


def gaps(states: Sequence[str]) -> list[str]:
    """Notes on runs without result and on results of older sources."""
    missing, stale = sum(state not in FINISHED for state in states), states.count("stale")
    out = [f"{missing} of {len(states)} runs have no result: n/N marks their cells."] if missing else []
    return out + ([f"{stale} of {len(states)} results are of other sources than these (stale)."] if stale else [])


def said(study: "Study") -> list[str]:
    """Notes of the study file: of reported rows, of rows, of the study."""
    out = [f"{entry['label']}: {entry['note'].rstrip('.')}." for entry in study.reported if entry.get("note")]
    out += [f"Row {row.number}: {row.note.rstrip('.')}." for row in study.rows if row.note]
    return out + ([study.notes] if study.notes else [])


def write(study: "Study", root: Path, videos: Sequence[str] = ()) -> Path:
    """Write table, claims, figures and page of a study; returns the folder."""
    from harness.claims import verdicts as claims
    from harness.report import page, tables
    from harness.store import records, results

    place = folder(study, root)
    place.mkdir(parents=True, exist_ok=True)
    frame = results.frame(study, root)
    table = tables.cells(study, frame)
    verdicts = claims.judge(records.read(study, root))
    text = notes(study, [results.status(root, run) for run in study.runs])
    drawn, trouble = figures(study, root, place, videos)
    files = {
        "table.csv": tables.write_csv(study, table),
        "table.md": tables.markdown(study, table, text),
        "table.tex": tables.latex(study, table, text),
        "claims.json": page.dumps(claims.as_json(verdicts)),
        "claims.md": claims.markdown(verdicts),
        "report.html": page.report(study, table, verdicts, [*text, *trouble], drawn, root),
    }
    for name, content in files.items():
        put(place / name, content)
    return place


def put(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    from harness.store.files import write_text

    write_text(path, text)


def figures(study: "Study", root: Path, place: Path, videos: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Draw what the study asks for, and the time lines of ``videos``: (files, notes on what could not be drawn)."""
    from importlib import import_module

    names = [*study.figures, *(["timelines"] if videos and "timelines" not in study.figures else [])]
    if not names or study.missing:
        return [], []
    try:
        return list(import_module("harness.report.figures").draw(study, root, place, names, videos)), []
    except Exception as error:  # a figure costs no table
        drawn = [path for kind in ("png", "svg") for path in place.glob(f"*.{kind}")]
        return sorted(drawn), [f"Figures could not be drawn ({type(error).__name__}: {error}); old ones may be shown."]


def show(study: "Study", root: Path, console: "Console") -> None:
    """Print the table as the paper prints it, measured beside published, and the verdicts."""
    from rich.text import Text

    from harness.claims import verdicts as claims
    from harness.report import tables
    from harness.store import records, results

    frame = results.frame(study, root)
    cells = tables.cells(study, frame)
    table = whole(tables.terminal(study, cells), console)
    if study.reported and (table.width or 0) > console.width:
        table = whole(tables.terminal(study, cells, spread=False), console)
    console.print(table, crop=False)  # a line that wraps is better than a number cut off
    for note in notes(study, [results.status(root, run) for run in study.runs]):
        console.print(Text(note, style="dim"))
    verdicts = claims.judge(records.read(study, root))
    for verdict in verdicts:
        line = Text.assemble((verdict.words, COLOURS[verdict.status]), f": {verdict.asserted}")
        line.append(f" ({claims.evidence_text(verdict)}; {verdict.scope})", style="dim")
        console.print(line)


def whole(table: "Table", console: "Console") -> "Table":
    """The table as wide as its content."""
    from rich.measure import Measurement

    table.width = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    return table


def grown(study: "Study", root: Path) -> "Study":
    """A sequential study with the seeds that its runs have been given so far."""
    from harness.claims.sequential import further
    from harness.store import results

    while (new := further(study, root)) is not None:
        if any(results.status(root, run) == "missing" for run in new.runs):
            return study
        study = new
    return study


def render(arguments: argparse.Namespace) -> None:
    """Write and show each study that the command line names."""
    from rich.console import Console

    from harness import study

    loaded = [grown(study.load(name, **options(arguments)), arguments.output) for name in arguments.study]
    for one in loaded:
        place = write(one, arguments.output, arguments.videos.split(",") if arguments.videos else ())
        show(one, arguments.output, Console())
        print(f"report: {place}")


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line says about how to load a study."""
    names = ("base", "data", "quick", "seeds")
    return {n: getattr(arguments, n) for n in names} | {"sets": arguments.set, "root": arguments.output}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0, or 2 for bad input."""
    arguments = parser().parse_args(argv)
    if not arguments.study and not arguments.all:
        parser().error("name a study, or --all")
    from harness.errors import ConfigError
    from harness.report import card

    try:
        render(arguments)
        if arguments.all:
            print(f"report card: {card.write(options(arguments))}")
    except ConfigError as error:
        print(*error.errors, sep="\n", file=sys.stderr)
        return 2
    return 0
