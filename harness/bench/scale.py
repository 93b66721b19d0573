"""How a harness of many runs grows: a dry worker finishes each in about a millisecond, the rest is ours.

Runs are rows of a sweep under ten seeds. Timed are loading and planning, the driver's own processor time while a pool
does the runs, planning and reading what is finished, the report, and the mirror in MLflow.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import study
from harness.bench.growth import fit_exponent
from harness.bench.processes import call_alone, read_peak
from harness.execute.board import Board
from harness.execute.events import Tell
from harness.execute.pool import run_local
from harness.report.writing import write_report
from harness.store import records, results
from harness.store.jobs import Job
from harness.store.plan import make_plan
from harness.study.metrics import list_names

if TYPE_CHECKING:
    from harness.study import Study

SEEDS = 10
SLOTS = 2
MEMORY = "memory above that of few runs"
POINTS = 120  # training steps of a run at tiny scale
CURVES = 28  # monitors of a step with clusters


def measure_scale(runs: Sequence[int], mirrored: bool = True) -> dict[str, Any]:
    """Processor seconds of each part against the number of runs, with its exponent; and memory (MB)."""
    found = [call_alone(measure_size, number, mirrored) for number in runs]
    sizes = list(runs)
    out: dict[str, Any] = {MEMORY: {"sizes": sizes, "mb": [one.pop(MEMORY) for one in found]}}
    for name in found[-1]:
        values = [one[name] for one in found]
        out[name] = {"exponent": fit_exponent(runs, values), "sizes": sizes, "seconds": values}
    return out


def measure_size(runs: int, mirrored: bool) -> dict[str, float]:
    """The parts in a process of its own; a first pass, which imports and caches, is not counted."""
    time_parts(SEEDS, mirrored)
    before = read_peak()
    return time_parts(runs, mirrored) | {MEMORY: read_peak() - before}


def time_parts(runs: int, mirrored: bool) -> dict[str, float]:
    """Each part once, with so many runs in a store of its own."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        path = write_study(root, runs // SEEDS)
        steps: dict[str, Callable[[Study], Any]] = {
            "plan of an empty store": lambda own: make_plan([own], root),
            "runs, driver alone": lambda own: drive(own, root),
            "plan of a full store": lambda own: make_plan([own], root),
            "report": lambda own: write_report(records.read(own, root)),
        }
        if mirrored:
            steps["mirror"] = lambda own: mirror(own, root)
        seconds = {"load": time_process(partial(load_study, path, root))}
        own = load_study(path, root)
        return seconds | {name: time_process(partial(work, own)) for name, work in steps.items()}


def time_process(work: Callable[[], Any]) -> float:
    """Processor seconds of this process alone: what else the machine does counts less."""
    began = time.process_time()
    work()
    return time.process_time() - began


def write_study(root: Path, rows: int) -> Path:
    """A sweep of so many rows."""
    path = root / "scale.yaml"
    rates = ", ".join(f"{1e-3 * (1 + i / rows):.9f}" for i in range(rows))
    path.write_text(
        f"title: Scale\nbase: paper\nseeds: {SEEDS}\nsweep: {{training.lr: [{rates}]}}\n"
        "columns: {mAP: map/avg, ACC: acc}\nfigures: [sweep]\n"
    )
    return path


def load_study(path: Path, root: Path) -> "Study":
    return study.load(str(path), quick=True, seeds=SEEDS, root=root)


def drive(own: "Study", root: Path) -> None:
    """Do all runs by a pool of dry workers, with the board of a plain output."""
    from rich.console import Console

    plan = make_plan([own], root)
    with Board([own], plan, root, SLOTS, Console(file=io.StringIO())) as board:
        run_local(plan.todo, board, [{}] * SLOTS, worker=finish)


def finish(job: Job, tell: Tell) -> str:
    """A dry worker: leave what a training and its scorings leave, with made-up numbers."""
    noise = np.random.default_rng(job.seed)
    record = {"status": "ok", "reason": "", "seed": job.seed, "seconds": {"total": 1.0, "evaluation": 0.1}}
    record |= {"peak_mb": 300, "torch": "none", "parameters": 1}
    steps = np.arange(1, POINTS + 1)
    curves: dict[str, np.ndarray] = {"step": steps}
    curves |= {f"loss/{i}": noise.random(POINTS, np.float32) for i in range(CURVES)}
    results.write_training(job.root, job.training_key, record, {"curves": curves}, {}, job.settings)
    for key, settings in job.scorings.items():
        numbers = make_metrics(noise)
        curve = {"step": [POINTS], **{name: [value] for name, value in numbers.items()}}
        result = {"metrics": numbers, "curve": curve, "best": None}
        results.write_result(job.root, job.training_key, key, result, {"results": {}}, settings)
    return ""


def make_metrics(noise: np.random.Generator) -> Mapping[str, float]:
    """A number for each metric."""
    return {name: float(100 * noise.random()) for name in list_names("result")}


def mirror(own: "Study", root: Path) -> None:
    from harness.track.mirror import mirror_runs

    mirror_runs(records.read(own, root))
