"""``python -m harness.search STUDY``: search on held-out training videos, then compare honestly on the test split.

Exit codes: 0 the search and its comparison are finished, 1 no trial or not the whole comparison has a result, 2 bad
input (nothing was written), 130 interrupted (what is finished is kept; the same command goes on from there).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import Parser, check_output, guard, positive, slots, terminal
from harness.execute.executors import EXECUTORS
from harness.sources import commit

if TYPE_CHECKING:
    import optuna

    from harness.search.findings import Findings
    from harness.search.task import Task
    from harness.search.trials import Evaluate, Say, TrainingEvaluator, Trial

WAITING = tuple(name for name, executor in EXECUTORS.items() if executor.waits)
VALIDATION, DEFAULT, WINNER = -3, -2, -1  # numbers of the runs that are no trials


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser("python -m harness.search", description="Tune settings on held-out training videos.")
    p.add_argument("study", help="a study file with {tune: [...]} in its 'set', or the name of one in studies/")
    p.add_argument("--trials", type=positive, metavar="N", help="trials in all (default: the study's)")
    p.add_argument("--jobs", type=slots, metavar="N", help="runs at once (default: one per core, or per GPU)")
    p.add_argument("--runs-per-gpu", type=slots, default=1, metavar="N", help="runs that share a GPU (default 1)")
    p.add_argument("--executor", choices=WAITING, default="local", help="what runs the trainings")
    p.add_argument("--address", metavar="HOST:PORT", help="of a running Ray cluster, as for harness.run")
    p.add_argument("--base", metavar="NAME", help="preset that the search starts from, as for harness.run")
    p.add_argument("--data", metavar="NAME|DIR", help="data set, as for harness.run")
    p.add_argument("--quick", action="store_true", help="tiny scale, 2 seeds, few trials: checks mechanics")
    p.add_argument("--dry-run", action="store_true", help="say what would be searched, and how much it trains")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    p.add_argument("--no-mlflow", action="store_true", help="do not mirror to MLflow")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = parser().parse_args(argv)
    return guard(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Load, search, compare, report; one search at a time in a folder."""
    from filelock import FileLock, Timeout

    from harness.search.task import locate_journal

    task, errors = load_task(arguments)
    if task is None:
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    if arguments.dry_run:
        print(*describe_task(task), sep="\n")
        return 0
    journal = locate_journal(task.study, arguments.output)
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(journal.with_suffix(".busy"), timeout=0):
            return search(task, arguments, journal)
    except Timeout:
        print(f"{journal.parent}: another search is at work there", file=sys.stderr)
        return 2


def load_task(arguments: argparse.Namespace) -> "tuple[Task | None, list[str]]":
    """The search asked for, or everything that is wrong with it."""
    from harness import data, study
    from harness.errors import ConfigError
    from harness.search.task import hold_out, read_task

    root: Path = arguments.output
    if unusable := check_output(root):
        return None, unusable
    if lacking := EXECUTORS[arguments.executor].lacks:
        return None, [f"--executor: {lacking} is not installed; the extra '[{lacking}]' brings it"]
    try:
        options = {name: getattr(arguments, name) for name in ("base", "data", "quick")}
        task = read_task(study.load(arguments.study, **options, root=root), arguments.trials)
        for settings in () if arguments.dry_run else (task.default, hold_out(task.default)):
            data.load(settings.source, root)
    except ConfigError as error:  # of the data, too
        return None, list(error.errors)
    return task, []


def describe_task(task: "Task") -> list[str]:
    """What a search would do: the space, and the trainings at most."""
    trials, seeds = task.rules.trials, len(task.seeds)
    compared = 2 * len(task.fresh) + seeds  # default and winner on test videos, and the default on held-out ones
    trained = f"at most {trials * seeds} trainings"
    if task.rescores:
        trained = f"{seeds} trainings whose scores are read anew"
    lines = [f"{path}: {kind} {', '.join(map(str, values))}" for path, (kind, *values) in task.space.items()]
    head = f"{task.study.name}: {trials} trials by {task.rules.sampler}, {', '.join(task.metrics)} over {seeds} seeds"
    return [*lines, f"{head}: {trained}, then {compared} for the comparison on the test split"]


def search(task: "Task", arguments: argparse.Namespace, journal: Path) -> int:
    """Search, compare the winner with the default, write the report."""
    from harness.execute.slots import find_slots
    from harness.search.findings import decide
    from harness.search.report import show_findings, write_report
    from harness.search.trials import TrainingEvaluator

    console = terminal()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if arguments.address:
        os.environ["RAY_ADDRESS"] = arguments.address
    places = find_slots(arguments.jobs, arguments.runs_per_gpu)
    run_jobs = EXECUTORS[arguments.executor].run
    with console.status("starting") as status:  # a batch of trials takes minutes
        trainer = TrainingEvaluator(task, arguments.output, places, say, run_jobs, status.update)
        found = find_best(trainer, journal)
        if found is None:
            return 1
        status.update("drawing figures")
        place, notes = write_report(found, arguments.output, journal)
    show_findings(found, notes, console)
    say(f"report: {place}")
    if not arguments.no_mlflow:
        mirror(found, arguments.output, place, notes, say)
    return int(decide(found) == "undecided")


def find_best(trainer: "TrainingEvaluator", journal: Path) -> "Findings | None":
    """Try all settings, and compare the best ones with the default; None, and why, where there are none."""
    from harness.search import proposals
    from harness.search.findings import choose_winner
    from harness.search.trials import ScoringEvaluator

    task = trainer.task
    evaluate: Evaluate = ScoringEvaluator(trainer) if task.rescores else trainer
    try:
        study = proposals.search(task, evaluate, journal, lambda trial: trainer.say(describe(task, trial)))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return None
    finally:
        if isinstance(evaluate, ScoringEvaluator):
            evaluate.close()
    trials = proposals.read_trials(task, study)
    best = choose_winner(task, trials)
    if best is None:
        reasons = {trial.reason or "violates a constraint" for trial in trials}
        print("no trial can be chosen:", *sorted(reasons), sep="\n  ", file=sys.stderr)
        return None
    return compare(study, best, trials, trainer)


def describe(task: "Task", trial: "Trial") -> str:
    """A line per trial: "trial 12: 93.41 video_map"."""
    if trial.state != "complete":
        return f"trial {trial.number}: {trial.state} {trial.reason}".rstrip()
    values = [f"{value:.4g} {name}" for value, name in zip(trial.objectives, task.metrics)]
    return f"trial {trial.number}: {', '.join(values)}"


def compare(
    study: "optuna.Study", best: "Trial", trials: "Sequence[Trial]", trainer: "TrainingEvaluator"
) -> "Findings":
    """Retrain winner and default on all training videos under fresh seeds, and score both once on the test split."""
    from harness.search import proposals
    from harness.search.findings import Findings
    from harness.search.task import hold_out
    from harness.study.tune import set_values

    task = trainer.task
    tuned = set_values(task.default, best.values)
    trainer.say(
        f"best: trial {best.number}; now {len(task.fresh)} fresh seeds on all training videos, on the test split"
    )
    wanted = [(VALIDATION, hold_out(task.default), seed) for seed in task.seeds]
    for seed in task.fresh:
        wanted += [(DEFAULT, task.default, seed), (WINNER, tuned, seed)]
    measured = trainer.train(wanted)
    validation = {seed: measured[VALIDATION, seed] for seed in task.seeds}
    default = {seed: measured[DEFAULT, seed] for seed in task.fresh}
    winner = {seed: measured[WINNER, seed] for seed in task.fresh}
    return Findings(
        task=task,
        done=trials,
        best=best,
        validation=validation,
        default=default,
        tuned=winner,
        front=proposals.find_front(study),
        importances=proposals.measure_importances(task, study),
    )


def mirror(found: "Findings", root: Path, place: Path, notes: "Sequence[str]", say: "Say") -> None:
    """Mirror to MLflow; trouble there is told and costs no result."""
    from harness.search.report import format_summary
    from harness.track.searches import mirror_search

    try:
        say("\n".join(mirror_search(found, root, place, format_summary(found, notes), commit())))
    except Exception as error:
        print(f"MLflow could not be brought up to date: {type(error).__name__}: {error}", file=sys.stderr)
