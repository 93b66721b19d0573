"""``python -m harness.verify STUDY [--runs N]``: train some finished runs of a study again and compare what comes out.

On a machine like the one that trained a run (processor, torch, numpy, device, threads) every stored array, metric and
detection must be the same bit for bit; on another, the first loss must agree to ``FIRST`` and each metric in percent to
``--tolerance`` points. The store is only read: what is trained goes to a temporary folder (``TMPDIR`` says where).
Exit codes: 0 all agree, 1 some do not or could not be trained, 2 bad input or nothing finished, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.cli import Parser, check_output, guard, positive, slots

if TYPE_CHECKING:
    from harness.execute.events import Event
    from harness.store.jobs import Job
    from harness.study import Study

FIRST = 1e-3  # relative difference of the first loss that rounding may make; later ones grow apart
POINTS = 2.0  # of metrics in percent: about what another seed's rounding makes of a short training
SHOWN = 5  # differences that are listed of a run


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser("python -m harness.verify", description="Train finished runs again and compare.")
    p.add_argument("study", help="a study file, or the name of one in studies/")
    p.add_argument("--runs", type=positive, default=3, metavar="N", help="trainings, spread over the rows (default 3)")
    p.add_argument("--tolerance", type=points, default=POINTS, metavar="POINTS", help="on another machine (default 2)")
    p.add_argument("--jobs", type=slots, metavar="N", help="runs at once (default: one per core, or per GPU)")
    for name, words in (("data", "data set"), ("base", "preset")):
        p.add_argument(f"--{name}", metavar="NAME", help=f"{words} that the study was run with")
    p.add_argument("--seeds", type=positive, metavar="N", help="seeds that the study was run with")
    p.add_argument("--quick", action="store_true", help="the study was run with --quick")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as the study was run with")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    return p


def points(text: str) -> float:
    """A difference of metrics in percent."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"'{text[:60]}' is not a number from 0 to 100")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return guard(lambda: answer(arguments))


def answer(arguments: argparse.Namespace) -> int:
    """Choose, train, compare, and say what was found."""
    from harness import study
    from harness.errors import ConfigError

    options = {name: getattr(arguments, name) for name in ("base", "data", "quick", "seeds")}
    try:
        errors = check_output(arguments.output)
        loaded = study.load(arguments.study, **options, sets=arguments.set, root=arguments.output)
    except ConfigError as error:
        errors += error.errors
    if errors:
        print(*errors, sep="\n", file=sys.stderr)
        return 2
    finished = find_finished(loaded, arguments.output)
    if not finished:
        print(f"{loaded.name}: no training of these sources is finished in '{arguments.output}'", file=sys.stderr)
        return 2
    chosen = choose(finished, arguments.runs)
    print(f"{loaded.name}: training {len(chosen)} of {len(finished)} finished runs again", flush=True)
    agree = verify(chosen, arguments.jobs, arguments.tolerance)
    print(f"{loaded.name}: {agree} of {len(chosen)} agree")
    return 0 if agree == len(chosen) else 1


def find_finished(study: "Study", root: Path) -> list["Job"]:
    """The trainings of a study that are finished and of these sources; row after row, each from another seed on."""
    from harness.store import results
    from harness.store.plan import make_plan

    if not root.exists():
        return []
    done = {job.training_key: job for job in make_plan([study], root).done}
    seeds = len({run.seed for run in study.runs})
    runs = sorted(study.runs, key=lambda run: (run.row, (run.seed - run.row) % seeds))
    order = dict.fromkeys(run.training_key for run in runs)
    jobs = [done[key] for key in order if key in done]
    return [job for job in jobs if (results.read_training(root, job.training_key) or {}).get("status") == "ok"]


def choose(finished: Sequence["Job"], number: int) -> list["Job"]:
    """``number`` of the trainings, evenly spread over them and so over rows and seeds; the same each time."""
    count = min(number, len(finished))
    return [finished[(2 * i + 1) * len(finished) // (2 * count)] for i in range(count)]


def verify(jobs: Sequence["Job"], number: int | None, tolerance: float) -> int:
    """Train jobs again in a temporary store, ``number`` at once; returns how many agree with what the store holds."""
    from harness import data
    from harness.execute.pool import run_local
    from harness.execute.slots import find_slots

    originals = {job.training_key: job for job in jobs}
    agreeing: list[bool] = []
    with TemporaryDirectory(prefix="case-verify-") as folder:
        root = Path(folder)
        for source in {repr(job.settings.source): job.settings.source for job in jobs}.values():
            data.load(source, root)

        def hear(event: "Event") -> None:
            original = originals[event.job.training_key]
            if event.kind == "failed":
                agreeing.append(tell(original, "it was not trained again", [event.reason]))
            elif event.kind == "ok":
                agreeing.append(judge(original, root, tolerance))

        run_local([prepare_job(job, root) for job in jobs], hear, find_slots(number))
    return sum(agreeing)


def prepare_job(job: "Job", root: Path) -> "Job":
    """The same training for another store: what was evaluated on the way is evaluated on the way again."""
    from harness.store import results

    curves = {key: results.read_result(job.root, job.training_key, key) for key in job.scorings}
    watched = frozenset(key for key, result in curves.items() if result and len(result["curve"]["step"]) > 1)
    return replace(job, root=root, watched=watched)


def judge(job: "Job", root: Path, tolerance: float) -> bool:
    """Compare what the store holds of a training with what the one at ``root`` holds; returns whether they agree."""
    from harness.verify.contents import compare_bits, compare_roughly, read_contents

    try:
        stored, again = (read_contents(place, job.training_key, job.scorings) for place in (job.root, root))
    except ValueError as error:
        return tell(job, "it cannot be compared", [str(error)])
    others = list_other(stored.machine, again.machine)
    if others:
        found = list(compare_roughly(stored, again, tolerance, FIRST))
        return tell(job, f"within {tolerance:g} points ({'; '.join(others)})", found)
    found = list(compare_bits(stored, again))
    count = f"{len(stored.arrays)} arrays, {len(stored.metrics)} metrics and the detections"
    return tell(job, f"bit for bit ({count})", found)


def list_other(stored: Mapping[str, str], again: Mapping[str, str]) -> list[str]:
    """What was different about the machine that trained a run, so that bits need not be equal."""
    if not stored:
        return ["the machine was not noted then"]
    return [f"{name} was {stored.get(name)}, is {here}" for name, here in again.items() if stored.get(name) != here]


def tell(job: "Job", how: str, found: Sequence[str]) -> bool:
    """Say how a run compares; returns whether nothing was found."""
    print(f"{'DIFFERS' if found else 'equal'}, {how}: {job.training_key} {job.label}", flush=True)
    for text in found[:SHOWN]:
        print(f"  {text}")
    if len(found) > SHOWN:
        print(f"  and {len(found) - SHOWN} more")
    return not found
