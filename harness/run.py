"""``python -m harness.run STUDY``: load -> plan -> execute -> report -> mirror.

Exit codes: 0 every run is finished, 1 some run failed, 2 bad input (nothing was written), 130 interrupted, 143 ended by
SIGTERM (what is finished is kept). Imports are late: ``--help`` and ``--dry-run`` know no torch, mlflow or pandas.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli import Parser, check_output, duration, guard, make_output, positive, slots, terminal

if TYPE_CHECKING:
    from rich.console import Console

    from harness.execute.session import Session
    from harness.store.records import Records
    from harness.study import Study


def parser() -> argparse.ArgumentParser:
    """The command line."""
    from harness.execute.executors import EXECUTORS

    p = Parser("python -m harness.run", description="Train what a study is missing; show its table.")
    p.add_argument("study", nargs="*", help="a study file, or the name of one in studies/")
    p.add_argument("--seeds", type=positive, metavar="N", help="seeds per row (default: the study's)")
    p.add_argument("--data", metavar="NAME|DIR", help="a data set of studies/data, or a folder with features")
    p.add_argument("--base", metavar="NAME", help="preset that the study starts from: paper, released, repaired")
    p.add_argument("--quick", action="store_true", help="tiny scale: checks that everything works, shows nothing")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="replace a setting in every row")
    p.add_argument("--jobs", type=slots, metavar="N", help="runs at once (default: one per core, or per GPU)")
    p.add_argument("--runs-per-gpu", type=slots, default=1, metavar="N", help="runs that share a GPU (default 1)")
    p.add_argument("--dry-run", action="store_true", help="say what would run, what is finished, how long it takes")
    p.add_argument("--status", action="store_true", help="say what is finished, running and where, failed, to do")
    p.add_argument("--list", action="store_true", help="list studies, data sets, presets and baselines")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--executor", choices=tuple(EXECUTORS), default="local", help="what runs the jobs")
    p.add_argument("--address", metavar="HOST:PORT", help="of a running Ray cluster (default: one on 127.0.0.1)")
    p.add_argument("--accept-stale", action="store_true", help="keep results of older sources, marked as such")
    p.add_argument("--time-limit", type=duration, default=inf, metavar="TIME", help="end a run after 90s, 30m, 2h, 1d")
    p.add_argument(
        "--checkpoint-every", type=duration, metavar="TIME", help="how often a run is saved so that it can go on (5m)"
    )
    p.add_argument("--budget", type=duration, default=inf, metavar="TIME", help="begin no look that would end later")
    p.add_argument("--fail-fast", action="store_true", help="start no further run once one has failed")
    p.add_argument(
        "--rerun", choices=("failed",), help="repeat runs that were not finite, too (failed ones always are)"
    )
    p.add_argument("--no-mlflow", action="store_true", help="do not mirror to MLflow")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guard(lambda: answer(parser().parse_args(argv)))


def answer(arguments: argparse.Namespace) -> int:
    """Do what the command line asks."""
    if arguments.list:
        return listing()
    studies, errors = load(arguments)
    if errors:
        return refuse(errors)
    from harness.execute import session

    if arguments.dry_run:
        session.tell_plan(studies, make_session(arguments))
        return 0
    if arguments.status:
        session.tell_status(studies, make_session(arguments))
        return 0
    return run(studies, arguments)


def run(studies: list["Study"], arguments: argparse.Namespace) -> int:
    """Execute, report and mirror."""
    from harness.execute import session

    chosen = make_session(arguments)
    if chosen.executor.waits:
        errors = make_output(chosen.root) or session.prepare_data(studies, chosen.root)
        if errors:
            return refuse(errors)
    studies = session.run_studies(studies, chosen)
    if not chosen.executor.waits:
        return 0
    console = terminal()
    finished = [publish(study, chosen.root, console, not arguments.no_mlflow) for study in studies]
    return 0 if all(finished) else 1


def refuse(errors: Sequence[str]) -> int:
    """Say what is wrong with the input."""
    print(*errors, sep="\n", file=sys.stderr)
    return 2


def make_session(arguments: argparse.Namespace) -> "Session":
    """How the command line says that runs are done."""
    from harness.execute.events import Policy
    from harness.execute.executors import EXECUTORS
    from harness.execute.session import Session
    from harness.store.jobs import CHECKPOINT_EVERY

    executor = EXECUTORS[arguments.executor]
    if arguments.address:
        os.environ["RAY_ADDRESS"] = arguments.address
    return Session(
        root=arguments.output,
        executor=executor,
        policy=Policy(time_limit=arguments.time_limit, fail_fast=arguments.fail_fast),
        jobs=arguments.jobs,
        runs_per_gpu=arguments.runs_per_gpu,
        accept_stale=arguments.accept_stale,
        again=frozenset({"nan", "failed"}) if arguments.rerun else frozenset(),
        may_grow=executor.waits and not arguments.seeds,
        budget=arguments.budget,
        checkpoint_every=arguments.checkpoint_every or CHECKPOINT_EVERY,
    )


def publish(study: "Study", root: Path, console: "Console", mlflow: bool = True) -> bool:
    """Mirror a study's runs, then write and show its report with their addresses; returns whether all runs finished."""
    from harness.claims.reading import add_judged
    from harness.claims.wording import list_findings
    from harness.report.terminal import show_report
    from harness.report.writing import write_report
    from harness.sources import commit
    from harness.store import records
    from harness.track.pages import address_table, name_pages, read_addresses

    said = ""
    with console.status(f"reading {study.name}") as status:  # figures take seconds after the last training
        read = add_judged(records.read(study, root))
        if mlflow:
            status.update(f"mirroring {len(read.records)} runs")
            with tolerate_mlflow() as track:
                said = track.mirror_runs(read, commit())
        report = write_report(read, read_addresses(study, root), say=status.update)
    show_report(report, console)
    print(f"report: {report.folder}", flush=True)
    if said:
        with tolerate_mlflow() as track:
            track.mirror_report(read, report.folder, list_findings(report.verdicts))
            print(said, f"look at it: {name_pages(root)}", f"table: {address_table(study, root)}", sep="\n")
    return tell_lacking(read)


@contextlib.contextmanager
def tolerate_mlflow() -> Iterator[Any]:
    """Gives the module that mirrors. Trouble with MLflow is told and costs no result."""
    from harness.track import mirror
    from harness.track.database import tell_trouble

    try:
        yield mirror
    except Exception as error:
        tell_trouble(error)


def tell_lacking(read: "Records") -> bool:
    """Name each training without result once, with its log; returns whether there is none."""
    lacking = {record.run.training_key: record for record in read.records if not record.finished}
    tried = {key: record for key, record in lacking.items() if record.training or record.log().exists()}
    for key, record in sorted(tried.items()):
        reason = record.training.get("reason", "")
        print(f"no result: {read.study.name} {key}: {reason}; log: {record.log()}", file=sys.stderr)
    if left := len(lacking) - len(tried):
        print(f"not started: {left} trainings of {read.study.name}; the same command does them", file=sys.stderr)
    return not lacking


def load(arguments: argparse.Namespace) -> tuple[list["Study"], list[str]]:
    """The studies asked for and everything that is wrong with them."""
    from harness import study
    from harness.errors import ConfigError
    from harness.execute.executors import EXECUTORS

    root: Path = arguments.output
    studies: list[Study] = []
    errors: list[str] = [] if arguments.study else ["no study given; --list shows them"]
    errors += check_output(root)
    if lacking := EXECUTORS[arguments.executor].lacks:
        ready = ", ".join(f"'{name}'" for name, executor in EXECUTORS.items() if not executor.lacks)
        errors.append(f"--executor: {lacking} is not installed; the extra '[{lacking}]' brings it; ready: {ready}")
    options = {name: getattr(arguments, name) for name in ("base", "data", "quick", "seeds")}
    for name in dict.fromkeys(arguments.study):
        try:
            found = study.load(name, **options, sets=arguments.set, root=root)
            if found.space or found.search:
                errors.append(f"{found.path}: a search: python -m harness.search {name}")
            studies.append(found)
        except ConfigError as error:
            errors += error.errors
    return studies, list(dict.fromkeys(errors))


def listing() -> int:
    """Print studies with their titles, data sets, presets and baselines."""
    from harness.study.presets import list_known

    known = list_known()
    print("studies:")
    for name, title in known.pop("studies").items():
        print(f"  {name:14} {title}")
    for kind, names in known.items():
        print(f"{kind}: {', '.join(names)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
