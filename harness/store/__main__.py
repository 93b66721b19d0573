"""``python -m harness.store``: what takes the space of a run store, what may go, and whether its files are whole.

Exit codes: 0 well, 1 damage was found or something could not be removed, 2 bad input; signals as of harness.run.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from harness.cli import guard
from harness.store.pruning import Waste, find_waste, remove_waste
from harness.store.requests import read_requests
from harness.store.sizes import measure_kinds, write_size
from harness.store.verifying import verify_store

MOST = 20  # lines of one kind that are shown


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("python -m harness.store", description="Care for the store of finished runs.")
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--size", action="store_true", help="what takes the space")
    what.add_argument("--prune", action="store_true", help="list what no study asks for or other sources made; remove")
    what.add_argument("--verify", action="store_true", help="compare every file with its digest")
    p.add_argument("--yes", action="store_true", help="with --prune: remove without asking")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guard(lambda: answer(build_parser().parse_args(argv)))


def answer(arguments: argparse.Namespace) -> int:
    """Do what the command line asks."""
    root: Path = arguments.output
    if arguments.yes and not arguments.prune:
        print("--yes: goes with --prune alone", file=sys.stderr)
        return 2
    try:
        there = root.is_dir()
    except (OSError, ValueError):
        there = False
    if not there:
        print(f"--output: '{str(root)[:200]}' holds no results; harness.run writes them", file=sys.stderr)
        return 2
    if arguments.size:
        return tell_sizes(root)
    return verify(root) if arguments.verify else prune(root, arguments.yes)


def tell_sizes(root: Path) -> int:
    """Print each kind of file, and how much of it may go."""
    sizes = measure_kinds(root)
    for size in sizes:
        print(f"{write_size(size.bytes):>10}  {size.files:>6} files  {size.kind}")
    total = sum(size.bytes for size in sizes)
    print(f"{write_size(total):>10}  {sum(size.files for size in sizes):>6} files  in all")
    asked, waste = read_requests(root), find_waste(root)
    print(f"{asked.notes} notes ask for {len(asked.scorings)} trainings.", end=" ")
    print(f"{write_size(sum(one.bytes for one in waste))} may go: python -m harness.store --prune")
    return 0


def prune(root: Path, confirmed: bool) -> int:
    """List what may go, ask, and remove it."""
    found = find_waste(root)
    tell_waste(found)
    if not read_requests(root).notes:
        print("no study was run here since studies note what they ask for: only other sources were looked for")
    if not found:
        print("nothing to remove")
        return 0
    if not confirmed and not confirm():
        print("nothing removed; --yes removes it")
        return 0
    try:
        kept = remove_waste(root, found)
    except OSError as error:
        print(f"{error.filename}: cannot be removed ({error.strerror or error})", file=sys.stderr)
        return 1
    for waste in kept:
        print(f"kept, as it is in use: {waste.path}")
    removed = sum(waste.bytes for waste in found if waste not in kept)
    print(f"removed {write_size(removed)}")
    return 0


def tell_waste(found: Sequence[Waste]) -> None:
    """One line for each kind and reason, and the first few of them."""
    ordered = sorted(found, key=lambda waste: (waste.kind, waste.reason, str(waste.path)))
    for (kind, reason), group in groupby(ordered, lambda waste: (waste.kind, waste.reason)):
        own = list(group)
        print(f"{kind}: {reason}: {len(own)}, {write_size(sum(waste.bytes for waste in own))}")
        for waste in own[:MOST]:
            print(f"  {write_size(waste.bytes):>10}  {waste.path}")
        if len(own) > MOST:
            print(f"  and {len(own) - MOST} more")


def confirm() -> bool:
    """Ask at a terminal; nobody else can answer."""
    if not sys.stdin.isatty():
        return False
    try:
        return input("remove all of it? [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def verify(root: Path) -> int:
    """Say which files are not those that were written."""
    found = verify_store(root)
    for path, reason in found.wrong:
        print(f"{path}: {reason}")
    print(
        f"{found.trainings} trainings, {found.scorings} scorings, {found.files} files, {write_size(found.bytes)}:",
        end=" ",
    )
    print(f"{len(found.wrong)} damaged" if found.wrong else "all as they were written")
    if found.busy or found.unfinished:
        print(f"left out: {found.busy} that somebody works on, {found.unfinished} unfinished")
    if found.wrong:
        print("what is damaged counts as missing: python -m harness.run STUDY makes it again")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
