"""What a worker does with a job. It writes to the run store itself; the driver only hears about it."""

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from harness import sources
from harness.execute.events import Tell
from harness.store import results
from harness.store.checkpoints import locate_checkpoint
from harness.store.jobs import Job, Progress


def work(job: Job, tell: Tell) -> str:
    """Train or re-score ``job`` in this process, its output going to its log. Returns why it failed, or ""."""
    sources.digest(job.settings.case.baseline)  # of the sources as this process imports them; kept for all its jobs
    going_on = job.rescore or locate_checkpoint(job.root, job.training_key).exists()
    with redirect_output(results.training_folder(job.root, job.training_key) / "log.txt", append=going_on):
        began = time.perf_counter()
        print(f"{'score' if job.rescore else 'train'} {job.label} ({job.training_key})", flush=True)
        try:
            rescore(job) if job.rescore else train(job, tell)
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            results.write_failure(job, reason)
            return reason
        print(f"ended after {time.perf_counter() - began:.1f} s", flush=True)
    record = results.read_training(job.root, job.training_key) or {}
    return "" if record.get("status") == "ok" else str(record.get("reason", "wrote no training record"))


def rescore(job: Job) -> None:
    """Score a finished training again; no torch."""
    from harness.compute.score import rescore

    rescore(job)


def train(job: Job, tell: Tell) -> None:
    """Train on one thread: two threads on two busy cores are many times slower than one. torch is imported here."""
    import torch

    from harness.compute.train import fit

    torch.set_num_threads(1)

    def tell_and_log(progress: Progress) -> None:
        evaluated = "" if progress.value is None else f" map/avg {progress.value:.2f}"
        print(f"step {progress.step}/{progress.steps} loss {progress.loss:.4f}{evaluated}", flush=True)
        tell(progress)

    with results.mark_unfinished(job):
        fit(job, tell_and_log)


@contextlib.contextmanager
def redirect_output(path: Path, append: bool) -> Iterator[None]:
    """Send what this process writes to its standard streams, C libraries included, to the file ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    with path.open("a" if append else "w") as stream:
        try:
            for descriptor in saved:
                os.dup2(stream.fileno(), descriptor)
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for descriptor, copy in saved.items():
                os.dup2(copy, descriptor)
                os.close(copy)
