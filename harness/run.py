"""``python -m harness.run STUDY``: load -> plan -> execute -> report -> mirror.

Exit codes: 0 every run is finished, 1 some run failed, 2 bad input (nothing was written), 130 interrupted (what is
finished is kept). Heavy imports are late: ``--help`` and ``--dry-run`` know no torch, mlflow or pandas.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.study import Study
    from rich.console import Console

    from harness.plan import Plan

HOME = Path(__file__).resolve().parent.parent


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
    p.add_argument("--executor", choices=("local", "ray", "print"), default="local", help="what runs the jobs")
    p.add_argument("--accept-stale", action="store_true", help="keep results of older sources, marked as such")
    p.add_argument("--no-mlflow", action="store_true", help="do not mirror to MLflow")
    return p


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
    try:
        return listing() if arguments.list else run(arguments)
    except KeyboardInterrupt:
        print("interrupted: finished runs are kept; the same command goes on from there", file=sys.stderr)
        return 130


def interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def run(arguments: argparse.Namespace) -> int:
    """Load, plan, execute, report and mirror what the command line names."""
    from harness import plan

    studies, errors = load(arguments)
    if errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    root: Path = arguments.output
    found = plan.plan(studies, root, arguments.accept_stale)
    if arguments.dry_run:
        return dry(found, studies, arguments)
    if errors := prepare(studies, root):
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    if (code := execute(found, studies, arguments)) or arguments.executor == "print":
        return code
    console = terminal()
    for study in studies:
        publish(study, arguments, console)
    return int(any(unfinished(study, root) for study in studies))


def load(arguments: argparse.Namespace) -> tuple[list["Study"], list[str]]:
    """The studies asked for and everything that is wrong with them."""
    from harness.config import ConfigError

    from harness import data, study

    root: Path = arguments.output
    studies: list[Study] = []
    errors: list[str] = [] if arguments.study else ["no study given; --list shows them"]
    if root.exists() and not root.is_dir():
        errors.append(f"--output: '{root}' is a file, not a folder")
    options = {name: getattr(arguments, name) for name in ("base", "data", "quick", "seeds")}
    for name in arguments.study:
        try:
            path = locate(name)
            studies.append(study.load(path, **options, sets=arguments.set, root=root))
        except (ConfigError, data.DataError) as error:
            errors += str(error).splitlines()
        except FileNotFoundError as error:
            errors.append(str(error))
    return studies, list(dict.fromkeys(errors))


def locate(name: str) -> Path:
    """Path of a study given as a path or as a name of ``studies/``; FileNotFoundError names the nearest."""
    from difflib import get_close_matches

    path = Path(name)
    if path.is_file():
        return path
    known = {found.stem: found for found in sorted((HOME / "studies").glob("*.yaml"))}
    if name in known:
        return known[name]
    near = get_close_matches(path.stem, known, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise FileNotFoundError(f"study '{name}' is neither a file nor a study's name; {hint}names: {', '.join(known)}")


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


def dry(plan: "Plan", studies: Sequence["Study"], arguments: argparse.Namespace) -> int:
    """Print the jobs: finished, and to do with the time they will take."""
    from harness.execute import describe, places
    from harness.live import duration
    from harness.plan import GUESS, seconds

    for job in plan.done:
        print(f"done  {job.training_key} {job.label}")
    for job in plan.todo:
        print(describe(job))
    slots = len(places(arguments.jobs, arguments.runs_per_gpu))
    time, known = seconds(plan, slots)
    basis = (
        "from earlier runs of this scale" if known else f"guessing {GUESS:.0f} s a run, nothing like it has been run"
    )
    rescored = len(plan.todo) - plan.trainings
    print(
        f"{', '.join(study.name for study in studies)}: {len(plan.done)} finished, {plan.trainings} to train,", end=" "
    )
    print(f"{rescored} to score again; about {duration(time)} on {slots} processes ({basis})")
    tell_stale(plan, arguments.accept_stale)
    return 0


def tell_stale(plan: "Plan", accepted: bool) -> None:
    """Never mix results of different sources silently."""
    if plan.stale:
        what = "kept and marked (--accept-stale)" if accepted else "trained again (--accept-stale keeps them)"
        print(f"{len(plan.stale)} trainings are from other sources: {what}", file=sys.stderr)


def execute(plan: "Plan", studies: Sequence["Study"], arguments: argparse.Namespace) -> int:
    """Do what is missing; returns 0, or 2 where the executor is not installed."""
    from harness import execute as executors
    from harness.live import Board

    tell_stale(plan, arguments.accept_stale)
    if not plan.todo:
        return 0
    chosen: Callable[..., None] = {"local": executors.local, "ray": executors.ray, "print": executors.show}[
        arguments.executor
    ]
    slots = executors.places(arguments.jobs, arguments.runs_per_gpu)
    board = Board(studies, plan, arguments.output, len(slots), terminal())
    try:
        if arguments.executor == "print":
            chosen(plan.todo, board, slots)
            return 0
        with board:
            chosen(plan.todo, board, slots)
    except ModuleNotFoundError as error:
        print(
            f"--executor {arguments.executor}: {error.name} is not installed; the extra '[ray]' has it", file=sys.stderr
        )
        return 2
    return 0


def publish(study: "Study", arguments: argparse.Namespace, console: "Console") -> None:
    """Write and show a study's report, then mirror it. Trouble with MLflow is told and costs no result."""
    from harness import report

    folder = report.write(study, arguments.output)
    report.show(study, arguments.output, console)
    print(f"report: {folder}")
    if arguments.no_mlflow:
        return
    from harness import track

    try:
        print(f"{track.mirror(study, arguments.output, folder, commit())}; look at it: {command(arguments.output)}")
    except Exception as error:
        print(f"MLflow could not be brought up to date: {type(error).__name__}: {error}", file=sys.stderr)


def command(root: Path) -> str:
    return "python -m harness.ui" + ("" if root == Path("mlruns") else f" --output {root}")


def unfinished(study: "Study", root: Path) -> bool:
    """Whether some run has no result; each training is named once, with its log."""
    from harness import results

    failed = {run.training_key for run in study.runs if results.status(root, run) not in {"ok", "stale"}}
    for key in sorted(failed):
        reason = (results.read_training(root, key) or {}).get("reason", "")
        log = results.training_folder(root, key) / "log.txt"
        print(f"no result: {study.name} {key}: {reason}; log: {log}", file=sys.stderr)
    return bool(failed)


def commit() -> str:
    """Commit of the sources; "unknown" in an unpacked archive."""
    if not (HOME / ".git").exists():
        return "unknown"
    try:
        done = subprocess.run(
            ["git", "-C", str(HOME), "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def terminal() -> "Console":
    from rich.console import Console

    return Console()


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
