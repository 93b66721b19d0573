"""Stand-ins for a worker: importable by spawned processes, without torch. A job's seed says how it behaves."""

import os
import signal
import time
from types import SimpleNamespace

import numpy as np

from harness.settings import Settings
from harness.store import results
from harness.store.jobs import Job, Progress

GOOD, RAISES, DIES, SLOW, STOPS, HANGS, ENDS_ODDLY, MUMBLES = 0, 1001, 1002, 1003, 1004, 1005, 1006, 1007


def job(root, key, seed=GOOD, scorings=("s1",), rescore=False):
    settings = Settings()
    return Job(key, settings, seed, dict.fromkeys(scorings, settings), root, f"toy row 1, seed {seed}", rescore)


def study(seeds=(0, 1), rows=(1, 2)):
    """A study whose rows share one training per seed and differ in scoring."""
    settings = Settings()
    runs = [
        SimpleNamespace(
            row=r,
            seed=s,
            settings=settings,
            training_key=f"t{s}",
            scoring_key=f"s{r}",
            columns=("mAP@0.5",),
            watched=False,
        )
        for r in rows
        for s in seeds
    ]
    columns = (SimpleNamespace(name="mAP@0.5", metric="map/avg", scoring={}, selection="last"),)
    paper = {"mAP@0.5": 38.3}
    labels = [
        SimpleNamespace(number=r, label=f"label {r}", settings=settings, paper=paper, fingerprint="f1") for r in rows
    ]
    names = {"name": "toy", "title": "A toy", "data": "synthetic-tiny", "base": "paper", "sets": ()}
    names |= {"data_name": "synthetic-tiny", "base_name": "paper"}
    return SimpleNamespace(runs=runs, columns=columns, rows=labels, **names)


def finish(job: Job, value: float = 40.0, status: str = "ok") -> None:
    """Write what a training and its scorings leave in the store."""
    record = {"status": status, "reason": "loss not finite at step 3" if status == "nan" else "", "seed": job.seed}
    record |= {"seconds": {"total": 2.0, "evaluation": 0.5}, "peak_mb": 300, "torch": "2.6.0", "parameters": 7}
    steps = np.arange(1, 301)
    curves = {"step": steps, "loss": 1 / steps, "loss/video": 2 / steps, "P_A/min": 0 * steps}
    results.write_training(
        job.root,
        job.training_key,
        record,
        {"curves": curves, "scores": {"attention": np.full((2, 2, 3), 0.25)}},
        {"checkpoint.pt": lambda path: path.write_bytes(b"weights")},
        job.settings,
    )
    if status == "ok":
        score(job, value)


def score(job: Job, value: float) -> None:
    metrics = {"map/avg": value, "map/0.50": value / 2, "map/0.1:0.5": value, "acc": 75.0, "entropy/P_C": 0.5}
    curve = {"step": [150, 300]} | {name: [number / 2, number] for name, number in metrics.items()}
    result = {"metrics": metrics, "curve": curve, "best": {"step": 300, "metrics": metrics}}
    predictions = {"version": "VERSION 1.3", "external_data": {}, "results": {"v1": []}}
    for key, settings in job.scorings.items():
        results.write_result(job.root, job.training_key, key, result, predictions, settings)


def toy(job: Job, tell) -> str:
    """Finish, raise, die, stop, hang or mumble, as the job's seed says; a line of begun.txt says that it began."""
    with (job.root / "begun.txt").open("a") as stream:
        stream.write(f"{job.training_key}\n")
    if job.seed == RAISES:
        results.write_failure(job, "ValueError: planted")
        return "ValueError: planted"
    if job.seed == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    if job.seed == ENDS_ODDLY:
        os.kill(os.getpid(), signal.SIGRTMIN + 3)  # a signal without a name
    if job.seed == MUMBLES:
        results.write_failure(job, "ValueError: \ud800")  # what no terminal can show
        return "ValueError: \ud800"
    if job.seed == STOPS:
        os.kill(os.getpid(), signal.SIGSTOP)
    if job.seed == HANGS:
        time.sleep(600)
    if job.seed == SLOW:
        time.sleep(1)
    tell(Progress(job.training_key, 150, 300, 20.0, 0.5))
    finish(job, value=40.0 + job.seed)
    return ""


def threads(job: Job, tell) -> str:
    """Report the process and its environment through the outcome."""
    return f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('CUDA_VISIBLE_DEVICES')}"
