"""``python -m harness.search STUDY``: search on held-out training videos, then compare honestly on the test split.

Exit codes: 0 the search and its comparison are finished, 1 no trial or not the whole comparison has a result, 2 bad
input (nothing was written), 130 interrupted (what is finished is kept; the same command goes on from there).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli import guard, positive, terminal
from harness.sources import commit

if TYPE_CHECKING:
    from harness.search.findings import Findings
    from harness.search.task import Task
    from harness.search.trials import Measured, Say, Trained

VALIDATION, DEFAULT, WINNER = -3, -2, -1  # numbers of the runs that are no trials


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser("python -m harness.search", description="Tune settings on held-out training videos.")
    p.add_argument("study", help="a study file with {tune: [...]} in its 'set', or the name of one in studies/")
    p.add_argument("--trials", type=positive, metavar="N", help="trials in all (default: the study's)")
    p.add_argument("--jobs", type=positive, metavar="N", help="runs at once (default: one per core, or per GPU)")
    p.add_argument("--base", metavar="NAME", help="preset that the search starts from, as for harness.run")
    p.add_argument("--data", metavar="NAME|DIR", help="data set, as for harness.run")
    p.add_argument("--quick", action="store_true", help="tiny scale, 2 seeds, few trials: checks mechanics")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--no-mlflow", action="store_true", help="do not mirror to MLflow")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    return guard(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Load, search, compare, report."""
    from filelock import FileLock, Timeout

    from harness.search.task import journal

    task, errors = load(arguments)
    if task is None or errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    path = journal(task.study, arguments.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_suffix(".busy"), timeout=0):
            return searched(task, arguments, path)
    except Timeout:
        print(f"{path.parent}: another search is at work there", file=sys.stderr)
        return 2


def load(arguments: argparse.Namespace) -> "tuple[Task | None, list[str]]":
    """The search asked for, or everything that is wrong with it."""
    from harness import data, study
    from harness.errors import ConfigError
    from harness.search.task import held_out, task

    root: Path = arguments.output
    if root.exists() and not root.is_dir():
        return None, [f"--output: '{root}' is a file, not a folder"]
    try:
        options = {name: getattr(arguments, name) for name in ("base", "data", "quick")}
        found = task(study.load(arguments.study, **options, root=root), arguments.trials)
        for settings in (found.default, held_out(found.default)):
            data.load(settings.source, root)
        return found, []
    except (ConfigError, data.DataError) as error:
        return None, list(error.errors)


def searched(task: "Task", arguments: argparse.Namespace, path: Path) -> int:
    """Search, compare the winner with the default, write the report."""
    from harness.execute.slots import find_slots
    from harness.search import proposals as suggest
    from harness.search import reading
    from harness.search.findings import show, verdict, write
    from harness.search.trials import evaluator

    console = terminal()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    evaluate, trained = evaluator(task, arguments.output, find_slots(arguments.jobs), say)
    try:
        study = suggest.search(task, evaluate, path, lambda trial: say(told(task, trial)))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if close := getattr(evaluate, "close", None):
            close()
    best = reading.winner(task, study)
    if best is None:
        reasons = {str(trial.user_attrs.get("reason", "violates a constraint")) for trial in study.trials}
        print("no trial can be chosen:", *sorted(reasons), sep="\n  ", file=sys.stderr)
        return 1
    found = compared(task, study, best, trained, path, say)
    place = write(found, arguments.output)
    show(found, console)
    say(f"report: {place}")
    if not arguments.no_mlflow:
        mirror(found, arguments.output, place, say)
    return int(verdict(found).startswith("Not decided"))


def told(task: "Task", trial: Any) -> str:
    """A line per trial: "trial 12: 93.41 video_map"."""
    if trial.state.name == "COMPLETE":
        values = ", ".join(f"{value:.4g} {name}" for value, name in zip(trial.values, task.metrics))
        return f"trial {trial.number}: {values}"
    return f"trial {trial.number}: {trial.state.name.lower()} {trial.user_attrs.get('reason', '')}".rstrip()


def compared(task: "Task", study: Any, best: Any, trained: "Trained", path: Path, say: "Say") -> "Findings":
    """Retrain winner and default on all training videos under fresh seeds, and score both once on the test split."""
    from harness.report import writing as report
    from harness.search import reading
    from harness.search.findings import Findings
    from harness.search.proposals import params_of
    from harness.search.task import applied, held_out

    params = params_of(task, best.params)
    tuned = applied(task.default, params)
    say(f"best: trial {best.number}; now {len(task.fresh)} fresh seeds on all training videos, and the test split")
    wanted = [(VALIDATION, held_out(task.default), seed) for seed in task.seeds]
    wanted += [(n, s, seed) for seed in task.fresh for n, s in ((DEFAULT, task.default), (WINNER, tuned))]
    runs = trained.all(wanted)

    def of(number: int) -> "dict[int, Measured]":
        return {seed: measured for (n, seed), measured in runs.items() if n == number}

    place = report.folder(task.study, trained.root)
    place.mkdir(parents=True, exist_ok=True)
    drawn, said = reading.figures(task, study, place)
    return Findings(
        task=task,
        trials=reading.rows(task, study),
        best=best.number,
        params=params,
        validation=of(VALIDATION),
        own=of(DEFAULT),
        tuned=of(WINNER),
        front=reading.front(task, study),
        objectives=best.values,
        importances=reading.importances(task, study),
        drawn=drawn,
        said=said,
        journal=path,
    )


def mirror(found: "Findings", root: Path, place: Path, say: "Say") -> None:
    """Mirror to MLflow; trouble there is told and costs no result."""
    from harness.track.searches import mirror_search

    try:
        say(mirror_search(found, root, place, commit()))
    except Exception as error:
        print(f"MLflow could not be brought up to date: {type(error).__name__}: {error}", file=sys.stderr)
