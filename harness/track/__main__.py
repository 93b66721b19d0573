"""``python -m harness.track sync STUDY ...``: mirror what the run store holds of studies to MLflow, without training.

``--rebuild`` moves the database aside first. Exit codes: 0 all is there, 1 MLflow could not be reached or written,
2 bad input, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.cli import Parser, check_results, guard, positive


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser("python -m harness.track", description="Mirror the run store to MLflow.")
    p.add_argument("command", choices=("sync",), help="bring MLflow up to date with the run store")
    p.add_argument("study", nargs="+", help="a study file, or the name of one in studies/")
    p.add_argument("--data", metavar="NAME|DIR", help="as for harness.run")
    p.add_argument("--base", metavar="NAME", help="as for harness.run")
    p.add_argument("--quick", action="store_true", help="results of --quick runs")
    p.add_argument("--seeds", type=positive, metavar="N", help="seeds per row (default: the study's)")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as for harness.run")
    p.add_argument("--rebuild", action="store_true", help="move the database aside and make it anew")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guard(lambda: synchronise(build_parser().parse_args(argv)))


def synchronise(arguments: argparse.Namespace) -> int:
    """Mirror each study that the command line names."""
    from harness import study
    from harness.claims.reading import read_grown_records
    from harness.errors import ConfigError
    from harness.sources import commit
    from harness.track import database
    from harness.track.mirror import mirror_runs

    root: Path = arguments.output
    if unusable := check_results(root):
        print(*unusable, sep="\n", file=sys.stderr)
        return 2
    options = {name: getattr(arguments, name) for name in ("base", "data", "quick", "seeds")}
    try:
        studies = [study.load(name, **options, sets=arguments.set, root=root) for name in arguments.study]
    except ConfigError as error:
        print(*error.errors, sep="\n", file=sys.stderr)
        return 2
    if arguments.rebuild and (root / "mlflow.db").exists():
        print(f"moved aside: {database.move_aside(root)}")
    for one in studies:
        try:
            print(mirror_runs(read_grown_records(one, root), commit()))
        except Exception as error:
            database.tell_trouble(error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
