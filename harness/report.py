"""``python -m harness.report STUDY``: render a study again from the run store, without training and without torch.

``--all`` renders the front page: every study that has results, its claims and how many of them hold.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from harness.claims import Verdict
    from harness.study import Study
    from harness.tables import Cell

HOME_BASE = "paper"  # reports of this preset on the embedded data set have no sub-folder
COLOURS = {"supported": "green", "contradicted": "red", "undecided": "yellow", "not judged": "dim"}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser("python -m harness.report", description="Render a study's report from the run store.")
    p.add_argument("study", nargs="*", help="a study file, or the name of one in studies/")
    p.add_argument("--all", action="store_true", help="every study with results, and the front page")
    p.add_argument("--data", metavar="NAME|DIR", help="as for harness.run")
    p.add_argument("--base", metavar="NAME", help="as for harness.run")
    p.add_argument("--quick", action="store_true", help="results of --quick runs")
    p.add_argument("--seeds", type=int, metavar="N", help="seeds per row (default: the study's)")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as for harness.run")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--videos", metavar="ID,...", help="draw the time lines of these videos")
    return p


def folder(study: "Study", root: Path) -> Path:
    """Where a study's report lies: reports/<study>/, with a sub-folder for other data or another base."""
    place = root / "reports" / study.name
    other = study.base != HOME_BASE
    parts = [study.data] if study.data != "synthetic" or other else []
    parts += [Path(study.base).stem] if other else []
    return place / "-".join(parts) if parts else place


def notes(study: "Study", states: Sequence[str]) -> list[str]:
    """What must be said beside a table."""
    from harness import claims

    if study.missing:
        return [f"Not measured: {study.missing}.", *_said(study)]
    out = [f"Measured on {study.data}, preset {study.base}; mean ± sample standard deviation over seeds."]
    if claims.synthetic(study):
        out.append("The embedded data set is a test bed, calibrated on the baseline rows: no evidence about THUMOS14.")
    if study.quick:
        out.append("Quick run at tiny scale: it checks mechanics, never findings.")
    if warm := sorted({row.settings.training.warm_up for row in study.rows} - {0}):
        out.append(
            f"In the first {'/'.join(map(str, warm))} steps snippets are selected by P^V alone (selection warm-up): "
            "a deviation from the paper that small features need."
        )
    if any(column.selection == "best" for column in study.columns):
        out.append("Columns 'best on test' are selected on the split they are reported on, as the released code does.")
    missing = sum(state not in {"ok", "stale"} for state in states)
    if missing:
        out.append(f"{missing} of {len(states)} runs have no result; n/N marks the cells.")
    if "stale" in states:
        out.append(f"{states.count('stale')} results are of other sources (--accept-stale).")
    return out + _said(study)


def _said(study: "Study") -> list[str]:
    """Notes of the study file: of reported rows, of rows, of the study."""
    out = [f"{entry['label']}: {entry['note']}." for entry in study.reported if entry.get("note")]
    out += [f"Row {row.number}: {row.note}." for row in study.rows if row.note]
    return out + ([study.notes] if study.notes else [])


def write(study: "Study", root: Path, videos: Sequence[str] = ()) -> Path:
    """Write table, claims, figures and page of a study; returns the folder."""
    from harness import claims, page, results, tables

    place = folder(study, root)
    place.mkdir(parents=True, exist_ok=True)
    frame = results.frame(study, root)
    table = tables.cells(study, frame)
    verdicts = claims.judge(study, frame, root)
    said = notes(study, [results.status(root, run) for run in study.runs])
    texts = {
        "table.csv": tables.write_csv(study, table),
        "table.md": tables.markdown(study, table, said),
        "table.tex": tables.latex(study, table, said),
    }
    if study.claims:
        texts |= {"claims.json": page.dumps(claims.as_json(verdicts)), "claims.md": claims.markdown(verdicts)}
    drawn = figures(study, root, place, videos)
    texts["report.html"] = page.report(study, table, verdicts, said, drawn, page.provenance(study, root))
    for name, text in texts.items():
        replace(place / name, text)
    return place


def figures(study: "Study", root: Path, place: Path, videos: Sequence[str]) -> list[Path]:
    """Draw what the study asks for, beside what --videos asks for."""
    names = [*study.figures, *(["timelines"] if videos and "timelines" not in study.figures else [])]
    if not names:
        return []
    from harness import figures as drawing

    return drawing.draw(study, root, place, names, videos)


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def show(study: "Study", root: Path, console: "Console") -> None:
    """Print the table as the paper prints it, measured beside published, and the verdicts."""
    from harness import claims, results, tables

    frame = results.frame(study, root)
    table = tables.cells(study, frame)
    console.print(tables.terminal(study, table))
    for note in notes(study, [results.status(root, run) for run in study.runs]):
        console.print(f"[dim]{note}[/dim]", highlight=False)
    for verdict in claims.judge(study, frame, root):
        colour = COLOURS[verdict.status]
        console.print(
            f"[{colour}]{verdict.words}[/{colour}]: {verdict.asserted} — {claims.evidence_text(verdict)}",
            highlight=False,
            markup=True,
        )


def cards(studies: Sequence["Study"], root: Path) -> list[dict[str, Any]]:
    """One entry of the front page per study: its claims and what became of them."""
    from harness import claims, results

    out = []
    for study in studies:
        frame = results.frame(study, root)
        verdicts = claims.judge(study, frame, root)
        counts = {status: sum(v.status == status for v in verdicts) for status in COLOURS}
        done = sum(results.status(root, run) in {"ok", "stale"} for run in study.runs)
        out.append({"study": study, "verdicts": verdicts, "counts": counts, "done": done, "runs": len(study.runs)})
    return out


def front(arguments: argparse.Namespace) -> Path:
    """Write the report of every study with results and reports/index.html."""
    from harness import page, results, study

    root: Path = arguments.output
    loaded = [study.load(path, **options(arguments)) for path in study.files()]
    kept = [s for s in loaded if s.reported or any(results.status(root, run) in {"ok", "stale"} for run in s.runs)]
    for s in kept:
        write(s, root)
    place = root / "reports"
    place.mkdir(parents=True, exist_ok=True)
    name = "index-quick.html" if arguments.quick else "index.html"
    replace(place / name, page.front(cards(kept, root), root, place))
    return place / name


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("base", "data", "quick", "seeds")
    return {n: getattr(arguments, n) for n in names} | {"sets": arguments.set, "root": arguments.output}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0, or 2 for bad input."""
    arguments = parser().parse_args(argv)
    if not arguments.study and not arguments.all:
        parser().error("name a study, or --all")
    from rich.console import Console

    from harness import study
    from harness.config import ConfigError
    from harness.data import DataError
    from harness.run import locate

    try:
        if arguments.all:
            print(f"report card: {front(arguments)}")
        for name in arguments.study:
            loaded = study.load(locate(name), **options(arguments))
            place = write(loaded, arguments.output, (arguments.videos or "").split(",") if arguments.videos else ())
            show(loaded, arguments.output, Console())
            print(f"report: {place}")
    except (ConfigError, DataError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
