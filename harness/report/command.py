"""``python -m harness.report STUDY``: render a study again from the run store, without training and without torch.

``--all`` renders the report card: every study, its claims and how many of them hold.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.cli import Parser, check_results, guard, positive


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser("python -m harness.report", description="Render a study's report from the run store.")
    p.add_argument("study", nargs="*", help="a study file, or the name of one in studies/")
    p.add_argument("--all", action="store_true", help="every study, and the report card")
    p.add_argument("--data", metavar="NAME|DIR", help="as for harness.run")
    p.add_argument("--base", metavar="NAME", help="as for harness.run")
    p.add_argument("--quick", action="store_true", help="results of --quick runs")
    p.add_argument("--seeds", type=positive, metavar="N", help="seeds per row (default: the study's)")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as for harness.run")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--videos", metavar="ID,...", help="draw the time lines of these videos")
    return p


def render_studies(arguments: argparse.Namespace) -> None:
    """Write and show each study that the command line names."""
    from harness import study
    from harness.claims.reading import read_grown_records
    from harness.cli import terminal
    from harness.report.terminal import show_report
    from harness.report.writing import write_report
    from harness.track.pages import read_addresses

    root: Path = arguments.output
    videos = arguments.videos.split(",") if arguments.videos else []
    loaded = [study.load(name, **collect_options(arguments)) for name in arguments.study]
    console = terminal()
    for one in loaded:
        with console.status(f"reading {one.name}") as status:
            grown = read_grown_records(one, root)
            report = write_report(grown, read_addresses(grown.study, root), videos, status.update)
        show_report(report, console)
        print(f"report: {report.folder}")


def render_card(arguments: argparse.Namespace) -> None:
    """Write the report card, and show how many claims of each study became what."""
    from harness.cli import terminal
    from harness.report.card import write_card
    from harness.report.terminal import show_cards

    console = terminal()
    with console.status("reading studies") as status:
        path, cards = write_card(collect_options(arguments), status.update)
    show_cards(cards, console)
    print(f"report card: {path}")


def collect_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the command line says about how to load a study."""
    names = ("base", "data", "quick", "seeds")
    given = {name: getattr(arguments, name) for name in names}
    return given | {"sets": arguments.set, "root": arguments.output}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0, or 2 for bad input; signals as of harness.run."""
    return guard(lambda: answer(make_parser(), argv))


def answer(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Render what the command line names; nothing is written where there are no results."""
    arguments = parser.parse_args(argv)
    if not arguments.study and not arguments.all:
        parser.error("name a study, or --all")
    from harness.errors import ConfigError

    try:
        if unusable := check_results(arguments.output):
            raise ConfigError(unusable)
        render_studies(arguments)
        if arguments.all:
            render_card(arguments)
    except ConfigError as error:
        print(*error.errors, sep="\n", file=sys.stderr)
        return 2
    return 0
