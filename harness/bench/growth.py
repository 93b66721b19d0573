"""How the cost grows: times of small variations of one size after the other, and the exponent fitted to them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness import study
from harness.bench.generated import Form, make_dataset
from harness.bench.subject import Subject
from harness.bench.timing import Seconds, Work, summarise, time_in_turn
from harness.compute import score
from harness.settings import Settings
from harness.store.plan import make_plan
from harness.study.presets import load_preset

SMALL = {"videos": 16, "T": 200, "D": 128, "K": 16}  # sizes that are not varied
STEP_SIZES = {
    "videos": (8, 16, 32, 64),
    "T": (100, 200, 400, 800),
    "D": (512, 1024, 2048, 4096),
    "K": (16, 32, 64, 128),
}
TEST_SIZES = {"videos": (16, 32, 64, 128), "T": (100, 200, 400, 800)}
SEEDS = (10, 20, 40, 80)  # of Table 2 in a plan
REPEATS = 2  # positions of the grid that show a snippet


def fit_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of log seconds over log size: 1 where the cost is linear, 0 where it does not grow."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def measure_growth(rounds: int) -> dict[str, dict[str, Any]]:
    """Exponents of a step, an evaluation and a plan, each against the sizes that it depends on."""
    settings = load_preset("released", scale="tiny")
    steps = {name: vary(settings, name, sizes, make_step, rounds) for name, sizes in STEP_SIZES.items()}
    tests = {name: vary(settings, name, sizes, make_evaluation, rounds) for name, sizes in TEST_SIZES.items()}
    return {"step": steps, "evaluation": tests, "plan": {"runs": vary_runs(rounds)}}


def vary(
    settings: Settings, name: str, sizes: Sequence[int], make: Callable[[Subject], Work], rounds: int
) -> dict[str, Any]:
    """Times of what ``make`` gives for subjects of several sizes, in turn."""
    works = {str(size): make(make_subject(settings, SMALL | {name: size})) for size in sizes}
    return summarise_growth(sizes, time_in_turn(works, rounds))


def summarise_growth(sizes: Sequence[int], seconds: Seconds) -> dict[str, Any]:
    """The exponent of the least times, which other work on the machine disturbs least."""
    least = [min(values) for values in seconds.values()]
    medians = [summarise(values)["median"] for values in seconds.values()]
    return {"exponent": fit_exponent(sizes, least), "sizes": list(sizes), "seconds": medians}


def make_subject(settings: Settings, sizes: dict[str, int]) -> Subject:
    """A training on generated videos whose snippets stand twice on the grid."""
    form = Form(sizes["videos"], sizes["T"] // REPEATS, sizes["D"], classes=8)
    training = replace(settings.training, snippets=sizes["T"], batch=sizes["videos"])
    case = replace(settings.case, clusters=sizes["K"])
    return Subject.of(replace(settings, training=training, case=case), make_dataset(form, form))


def make_step(subject: Subject) -> Work:
    return lambda: subject.step(lambda: subject.compute_loss("fp32"))


def make_evaluation(subject: Subject) -> Work:
    """The network and everything after it."""
    return lambda: score.evaluate(subject.compute_scores(), subject.settings, subject.truth, subject.dataset.classes)


def vary_runs(rounds: int) -> dict[str, Any]:
    """Loading Table 2 with more and more seeds and planning what an empty store lacks, as ``--dry-run`` does."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        works: dict[str, Work] = {str(seeds): partial(plan_study, seeds, root) for seeds in SEEDS}
        seconds = time_in_turn(works, rounds)
    return summarise_growth(SEEDS, seconds)


def plan_study(seeds: int, root: Path) -> None:
    make_plan([study.load("table2", seeds=seeds, root=root)], root)
