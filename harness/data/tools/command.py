"""The command line of ``python -m harness.data``.

Exit codes: 0 done (check: nothing changes results), 1 check found what does, 2 bad input, 130 interrupted.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.cli import guard, terminal
from harness.data.tools.naming import find_source
from harness.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser("python -m harness.data", description="Check, draw, convert and make data sets.")
    commands = out.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="read everything once and list all that is wrong")
    check.add_argument("data", metavar="NAME|PATH", help="a data set of studies/data, or a folder")
    check.add_argument("--json", action="store_true", help="print JSON")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return guard(lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Run one command; what is wrong with its input goes to stderr."""
    try:
        return COMMANDS[arguments.command](arguments)
    except ConfigError as error:
        print(*error.errors, sep="\n", file=sys.stderr)
        return 2


def check(arguments: argparse.Namespace) -> int:
    """List all that is wrong with a data set."""
    from harness.data.tools.checking import check_source
    from harness.data.tools.showing import show_check

    with show_progress("reading") as tick:
        checked = check_source(find_source(arguments.data), tick)
    if arguments.json:
        print(json.dumps(checked.as_json(), indent=1))
    else:
        show_check(checked, terminal())
    return 0 if checked.sound else 1


@contextmanager
def show_progress(words: str) -> Iterator["Callable[[int, int], None]"]:
    """A progress bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


COMMANDS = {"check": check}
