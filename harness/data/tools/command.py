"""The command line of ``python -m harness.data``.

Exit codes: 0 done (check: nothing changes results), 1 check found what does, 2 bad input, 130 interrupted.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.cli import Parser, check_file, check_output, guard, terminal, whole
from harness.data.knobs import SCALES
from harness.data.tools.converting import LAYOUTS, convert, write_synthetic
from harness.data.tools.importing import RECORDINGS, import_recordings
from harness.data.tools.naming import find_source
from harness.errors import ConfigError

DATA = "a data set of studies/data, or a folder"
NEW = "a new folder"
PICTURES = (".png", ".pdf", ".svg", ".jpg")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    out = Parser("python -m harness.data", description="Check, draw, convert, make and import data sets.")
    commands = out.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="read everything once and list all that is wrong")
    check.add_argument("data", metavar="NAME|PATH", help=DATA)
    check.add_argument("--json", action="store_true", help="print JSON")
    describe = commands.add_parser("describe", help="draw lengths, instances and classes as one picture")
    describe.add_argument("data", metavar="NAME|PATH", help=DATA)
    describe.add_argument("--out", type=Path, metavar="FILE", help="the picture (default: NAME.png)")
    other = commands.add_parser("convert", help="write a data set in another layout, with checksums")
    other.add_argument("data", metavar="NAME|PATH", help=DATA)
    other.add_argument("out", type=Path, metavar="OUT", help=NEW)
    other.add_argument("--to", choices=LAYOUTS, default=LAYOUTS[0], help="layout (default: %(default)s)")
    other.add_argument("--fp16", action="store_true", help="features as float16: half the size")
    other.add_argument("--allow-pickle", action="store_true", help="read W-TALC's arrays, which can run code")
    seconds = "W-TALC's seconds per snippet (0: the duration, shared out)"
    other.add_argument("--snippet-seconds", type=float, default=0.0, metavar="S", help=seconds)
    synthetic = commands.add_parser("synthetic", help="write the embedded data set as a folder")
    synthetic.add_argument("--out", type=Path, required=True, metavar="DIR", help=NEW)
    synthetic.add_argument("--scale", choices=tuple(SCALES), default="default", help="default: %(default)s")
    synthetic.add_argument("--seed", type=whole, default=0, help="generator seed (default: 0)")
    published = commands.add_parser("import", help="make a data set of published recordings")
    published.add_argument("recordings", choices=tuple(RECORDINGS), help="which")
    published.add_argument("source", type=Path, metavar="SRC", help="the files as published")
    published.add_argument("out", type=Path, metavar="OUT", help=NEW)
    published.add_argument("--bounds", type=Path, metavar="FILE", help="actrectut: cut clips as this gt.json says")
    published.add_argument("--seed", type=whole, default=0, help="actrectut: of the clips' lengths (default: 0)")
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return guard(lambda: run_command(arguments))


def run_command(arguments: argparse.Namespace) -> int:
    """Run one command; what is wrong with its input goes to stderr."""
    try:
        if errors := check_out(arguments):
            raise ConfigError(errors)
        with show_progress() as tick:
            show = COMMANDS[arguments.command](arguments, tick)
        return show()
    except ConfigError as error:
        print(*error.errors, sep="\n", file=sys.stderr)
        return 2


def check_out(arguments: argparse.Namespace) -> list[str]:
    """What is wrong with where a command is to write, before any work."""
    out: Path | None = getattr(arguments, "out", None)
    if out is None:
        return check_output(Path(), "--out") if arguments.command == "describe" else []
    if arguments.command != "describe":
        return check_output(out, NEW)
    errors = check_file(out, "--out")
    if out.suffix and out.suffix not in PICTURES:
        errors.append(f"--out: a picture as '{out.suffix[:20]}'; allowed: {', '.join(PICTURES)}")
    return errors


def run_check(arguments: argparse.Namespace, tick: Callable[[int, int], None]) -> Callable[[], int]:
    """List all that is wrong with a data set."""
    from harness.data.tools.checking import check_source
    from harness.data.tools.showing import show_check

    checked = check_source(find_source(arguments.data), tick)

    def show() -> int:
        if arguments.json:
            print(json.dumps(checked.as_json(), indent=1))
        else:
            show_check(checked, terminal())
        return 0 if checked.sound else 1

    return show


def run_describe(arguments: argparse.Namespace, tick: Callable[[int, int], None]) -> Callable[[], int]:
    """Draw a data set as one picture."""
    from harness.data.tools.checking import check_source
    from harness.data.tools.drawing import draw_facts

    checked = check_source(find_source(arguments.data), tick)
    path = arguments.out or Path(f"{checked.name}.png")
    draw_facts(checked, path)
    return lambda: say(str(path))


def run_convert(arguments: argparse.Namespace, tick: Callable[[int, int], None]) -> Callable[[], int]:
    """Write a data set in another layout."""
    done = convert(arguments.data, arguments.out, arguments.to, arguments, tick)
    return lambda: say(done)


def run_synthetic(arguments: argparse.Namespace, tick: Callable[[int, int], None]) -> Callable[[], int]:
    """Write the embedded data set as a folder."""
    done = write_synthetic(arguments.out, arguments.scale, arguments.seed, tick)
    return lambda: say(done)


def run_import(arguments: argparse.Namespace, tick: Callable[[int, int], None]) -> Callable[[], int]:
    """Make a data set of published recordings."""
    chosen = arguments.recordings, arguments.source, arguments.out
    done = import_recordings(*chosen, arguments.bounds, arguments.seed, tick)
    return lambda: say(done)


def say(text: str) -> int:
    """Print what was done."""
    print(text)
    return 0


@contextmanager
def show_progress() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, where that is a terminal; a total of 0 is not known."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("videos", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total or None)


COMMANDS = {
    "check": run_check,
    "describe": run_describe,
    "convert": run_convert,
    "synthetic": run_synthetic,
    "import": run_import,
}
