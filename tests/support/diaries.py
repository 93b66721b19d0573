"""A worker that writes down where it works, for tests of executors on several machines."""

import os
import time
from dataclasses import replace
from pathlib import Path

from support import workers

SECONDS = 4.0  # of work, in which something can happen to the worker


def job(root: Path, diary: Path, name: str, seed: int = 0, rescore: bool = False):
    """A job whose label tells its worker where the diary is kept."""
    return replace(workers.job(root, name, seed, rescore=rescore), label=str(diary))


def work(job, tell) -> str:
    """Write process and node into the diary, work a while, finish; a seed of DIES kills the worker each time."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    diary = Path(job.label)
    with (diary / job.training_key).open("a") as stream:
        stream.write(f"{os.getpid()} {node} {job.root}\n")
    if job.seed == workers.DIES:
        os.kill(os.getpid(), 9)
    if job.rescore:
        workers.score(job, 43.0)
        return ""
    time.sleep(SECONDS)
    return workers.toy(job, tell)


def read(diary: Path, name: str) -> list[list[str]]:
    """What was written about a job, an entry (process, node, root of the store) for each attempt."""
    return [line.split() for line in (diary / name).read_text().splitlines()]
