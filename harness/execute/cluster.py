"""The executor "ray": the same worker on the machines of a Ray cluster."""

import time
from collections.abc import Sequence

from harness.execute.events import LENIENT, Event, OnEvent, Policy, Slot
from harness.execute.slots import ONE_THREAD, REPRODUCIBLE, find_gpus
from harness.execute.worker import work
from harness.store import results
from harness.store.jobs import Job, Progress


def run_on_ray(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Slot], policy: Policy = LENIENT) -> None:
    """Run ``jobs`` on a Ray cluster, whose machines share the folder of results.

    ``slots`` only say how many runs share a GPU. Raises ModuleNotFoundError where the extra is not installed.
    """
    import ray as cluster

    cluster.init(ignore_reinit_error=True, log_to_driver=False, runtime_env={"env_vars": ONE_THREAD | REPRODUCIBLE})
    share = len(find_gpus()) / len(slots)  # of a GPU per run; 0 without GPUs
    task = cluster.remote(num_cpus=1, num_gpus=share, max_retries=0)(work)
    waiting = {task.remote(job, ignore_progress): job for job in jobs}
    began = time.perf_counter()
    for job in jobs:
        on_event(Event(job, "started"))
    while waiting:
        (ready,), _ = cluster.wait(list(waiting))
        job = waiting.pop(ready)
        try:
            reason = cluster.get(ready)
        except cluster.exceptions.RayError as error:
            reason = f"worker died: {error}"
            results.write_failure(job, reason)
        on_event(Event(job, "failed" if reason else "ok", None, reason, time.perf_counter() - began))


def ignore_progress(progress: Progress) -> None:
    """A Ray task speaks only by its result."""
