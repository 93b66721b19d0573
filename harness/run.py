"""``python -m harness.run STUDY``: load -> plan -> execute -> report -> mirror.

Exit codes: 0 every run is finished, 1 some run failed, 2 bad input (nothing was written), 130 interrupted (what is
finished is kept). Heavy imports are late: ``--help`` and ``--dry-run`` know no torch, mlflow or pandas.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli import guard, positive, terminal
from harness.execute.executors import EXECUTORS
from harness.sources import HOME, commit

if TYPE_CHECKING:
    from rich.console import Console

    from harness.store.plan import Plan
    from harness.study import Study


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("python -m harness.run", description="Train what a study is missing; show its table.")
    p.add_argument("study", nargs="*", help="a study file, or the name of one in studies/")
    p.add_argument("--seeds", type=positive, metavar="N", help="seeds per row (default: the study's)")
    p.add_argument("--data", metavar="NAME|DIR", help="a data set of studies/data, or a folder with features")
    p.add_argument("--base", metavar="NAME", help="preset that the study starts from: paper, released, repaired")
    p.add_argument("--quick", action="store_true", help="tiny scale: checks that everything works, shows nothing")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="replace a setting in every row")
    p.add_argument("--jobs", type=positive, metavar="N", help="runs at once (default: one per core, or per GPU)")
    p.add_argument("--runs-per-gpu", type=positive, default=1, metavar="N", help="runs that share a GPU (default 1)")
    p.add_argument("--dry-run", action="store_true", help="say what would run, what is finished, how long it takes")
    p.add_argument("--list", action="store_true", help="list studies, data sets, presets and baselines")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--executor", choices=tuple(EXECUTORS), default="local", help="what runs the jobs")
    p.add_argument("--address", metavar="HOST:PORT", help="of a running Ray cluster (default: one on 127.0.0.1)")
    p.add_argument("--accept-stale", action="store_true", help="keep results of older sources, marked as such")
    p.add_argument("--no-mlflow", action="store_true", help="do not mirror to MLflow")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    return guard(lambda: listing() if arguments.list else run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Load, plan, execute, report and mirror what the command line names."""
    studies, errors = load(arguments)
    if not errors and arguments.dry_run:
        return dry(studies, arguments)
    if not errors and EXECUTORS[arguments.executor].waits:
        errors = prepare(studies, arguments.output)
    if errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    studies = execute(studies, arguments)
    if not EXECUTORS[arguments.executor].waits:
        return 0
    console = terminal()
    for study in studies:
        publish(study, arguments, console)
    lacking = [study.name for study in studies if unfinished(study, arguments.output)]
    return int(bool(lacking))


def load(arguments: argparse.Namespace) -> tuple[list["Study"], list[str]]:
    """The studies asked for and everything that is wrong with them."""
    from harness import study
    from harness.errors import ConfigError

    root: Path = arguments.output
    studies: list[Study] = []
    errors: list[str] = [] if arguments.study else ["no study given; --list shows them"]
    if root.exists() and not root.is_dir():
        errors.append(f"--output: '{root}' is a file, not a folder")
    if lacking := EXECUTORS[arguments.executor].lacks:
        ready = ", ".join(f"'{name}'" for name, executor in EXECUTORS.items() if not executor.lacks)
        errors.append(f"--executor: {lacking} is not installed; the extra '[{lacking}]' brings it; ready: {ready}")
    options = {name: getattr(arguments, name) for name in ("base", "data", "quick", "seeds")}
    for name in arguments.study:
        try:
            found = study.load(name, **options, sets=arguments.set, root=root)
            if found.space or found.search:
                errors.append(f"{found.path}: a search: python -m harness.search {name}")
            studies.append(found)
        except ConfigError as error:
            errors += error.errors
    return studies, list(dict.fromkeys(errors))


def prepare(studies: Sequence["Study"], root: Path) -> list[str]:
    """Make or check each data set once, before any worker starts; returns everything that is wrong."""
    from harness import data

    errors: list[str] = []
    seen: set[str] = set()
    for run in (run for study in studies for run in study.runs):
        source = run.settings.source
        if repr(source) in seen:
            continue
        seen.add(repr(source))
        try:
            data.load(source, root)
        except data.DataError as error:
            errors += error.errors
    return list(dict.fromkeys(errors))


def dry(studies: Sequence["Study"], arguments: argparse.Namespace) -> int:
    """Print the jobs: finished, and to do with the time they will take."""
    from harness.execute.board import duration
    from harness.execute.executors import describe
    from harness.execute.slots import find_slots
    from harness.store.plan import GUESS, estimate_seconds, make_plan

    found = make_plan(studies, arguments.output, arguments.accept_stale)
    for job in found.done:
        print(f"done  {job.training_key} {job.label}")
    for job in found.todo:
        print(describe(job))
    slots = len(find_slots(arguments.jobs, arguments.runs_per_gpu))
    time, known = estimate_seconds(found, slots)
    basis = "from earlier runs of this scale" if known else f"guessing {GUESS:.0f} s a run, none of this scale is here"
    rescored = len(found.todo) - found.trainings
    print(f"{', '.join(study.name for study in studies)}: {len(found.done)} finished,", end=" ")
    print(f"{found.trainings} to train, {rescored} to score again;", end=" ")
    print(f"about {duration(time)} on {slots} processes ({basis})")
    notice(studies, found, arguments.accept_stale)
    return 0


def notice(studies: Sequence["Study"], plan: "Plan", accepted: bool) -> None:
    """Say which studies lack their data, and never mix results of different sources silently."""
    for study in studies:
        if study.missing:
            print(f"{study.name}: not run: {study.missing}", file=sys.stderr)
    for path in plan.damaged:
        print(f"{path}: damaged; it counts as missing and is made again", file=sys.stderr)
    if plan.stale:
        what = "kept and marked (--accept-stale)" if accepted else "trained again (--accept-stale keeps them)"
        print(f"{len(plan.stale)} trainings are from other sources: {what}", file=sys.stderr)


def execute(studies: list["Study"], arguments: argparse.Namespace) -> list["Study"]:
    """Do what is missing, look after look for sequential studies; returns them with the seeds they ended with."""
    from harness.claims.sequential import plan_look
    from harness.store import records
    from harness.store.plan import make_plan

    root: Path = arguments.output
    may_grow = EXECUTORS[arguments.executor].waits and not arguments.seeds
    while True:
        found = make_plan(studies, root, arguments.accept_stale)
        notice(studies, found, arguments.accept_stale)
        if found.todo:
            hand_over(found, studies, arguments)
        grown = [plan_look(records.read(study, root)) for study in studies] if may_grow else []
        if not any(grown):
            return studies
        studies = [new or old for new, old in zip(grown, studies)]


def hand_over(plan: "Plan", studies: Sequence["Study"], arguments: argparse.Namespace) -> None:
    """Give the jobs to the executor."""
    from harness.execute.board import Board
    from harness.execute.slots import find_slots

    slots = find_slots(arguments.jobs, arguments.runs_per_gpu)
    executor = EXECUTORS[arguments.executor]
    if arguments.address:
        os.environ["RAY_ADDRESS"] = arguments.address
    if not executor.waits:
        return executor.run(plan.todo, print, slots)
    with Board(studies, plan, arguments.output, len(slots), terminal()) as board:
        executor.run(plan.todo, board, slots)


def publish(study: "Study", arguments: argparse.Namespace, console: "Console") -> None:
    """Mirror a study's runs, then write and show its report with their addresses."""
    from harness.report.terminal import show_report
    from harness.report.writing import write_report
    from harness.store import records
    from harness.track.stamps import read_addresses

    root: Path = arguments.output
    found = records.read(study, root)
    said = ""
    if not arguments.no_mlflow:
        with tolerate_mlflow() as track:
            _, said = track.mirror_runs(found, commit())
    report = write_report(found, read_addresses(study, root))
    show_report(report, console)
    print(f"report: {report.folder}", flush=True)
    if said:
        with tolerate_mlflow() as track:
            track.mirror_report(study, root, report.folder)
            print(f"{said}; look at it: {command(root)}")


@contextlib.contextmanager
def tolerate_mlflow() -> Iterator[Any]:
    """Gives the module that mirrors. Trouble with MLflow is told and costs no result."""
    from harness.track import mirror

    try:
        yield mirror
    except Exception as error:
        print(f"MLflow could not be brought up to date: {type(error).__name__}: {error}", file=sys.stderr)


def command(root: Path) -> str:
    """How to look at tracked runs."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return "at MLFLOW_TRACKING_URI"
    return "python -m harness.ui" + ("" if root == Path("mlruns") else f" --output {root}")


def unfinished(study: "Study", root: Path) -> bool:
    """Whether some run has no result; each training is named once, with its log."""
    from harness.store import results

    failed = {run.training_key for run in study.runs if results.status(root, run) not in {"ok", "stale"}}
    for key in sorted(failed):
        reason = (results.read_training(root, key) or {}).get("reason", "")
        log = results.training_folder(root, key) / "log.txt"
        print(f"no result: {study.name} {key}: {reason}; log: {log}", file=sys.stderr)
    return bool(failed)


def listing() -> int:
    """Print studies with their titles, data sets, presets and baselines."""
    from model.settings import OPTIONS

    print("studies:")
    for path in sorted((HOME / "studies").glob("*.yaml")):
        titles = (line.removeprefix("title:").strip() for line in path.read_text().splitlines() if "title:" in line)
        print(f"  {path.stem:14} {next(titles, '')}")
    for name, folder in (("data sets", "data"), ("presets", "base")):
        print(f"{name}: {', '.join(path.stem for path in sorted((HOME / 'studies' / folder).glob('*.yaml')))}")
    print(f"baselines: {', '.join(OPTIONS)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
