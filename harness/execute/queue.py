"""Jobs that wait for a run slot, shared with other drivers of the same folder by a lock per training."""

from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from harness.execute.events import Event, OnEvent, Policy
from harness.store import results
from harness.store.jobs import Job
from harness.store.locks import Locks
from harness.store.plan import find_rest

Version = tuple[int, ...]  # times of change of what is stored of a job


class Queue:
    """Jobs still to start, in order. One that another driver has is passed over until that driver is done with it.

    A context manager: what was taken and not given back is released at its end.
    """

    def __init__(self, jobs: Sequence[Job], on_event: OnEvent, policy: Policy) -> None:
        self.waiting = deque(jobs)
        self.on_event, self.policy = on_event, policy
        self.planned = {job.training_key: tell_version(job) for job in jobs}
        self.locks = Locks(jobs[0].root)

    def take(self) -> Job | None:
        """The next job that nobody else has; None where there is none now (``waiting`` says whether to ask again)."""
        for _ in range(len(self.waiting)):
            if not self.waiting:  # one that failed elsewhere ended all others
                return None
            job = self.waiting.popleft()
            try:
                taken = self.locks.acquire(job.training_key)
            except OSError as error:  # a full disk, a folder that cannot be written
                self.end(Event(job, "failed", reason=f"{type(error).__name__}: {error}"))
                continue
            if not taken:
                self.waiting.append(job)
                continue
            rest = self.find_rest(job)
            if rest is not None:
                return rest
        return None

    def find_rest(self, job: Job) -> Job | None:
        """What is left of a job just taken; what another driver did meanwhile is told as its end."""
        if tell_version(job) == self.planned[job.training_key]:
            return job
        record = results.read_training(job.root, job.training_key) or {}
        if record.get("status") == "failed":
            self.end(Event(job, "failed", reason=f"elsewhere: {record.get('reason', '')}"))
            return None
        rest = find_rest(job, record, accept_stale=job.rescore)
        if rest is None:
            self.end(Event(job, "failed" if record["status"] == "nan" else "ok", reason=record.get("reason", "")))
        return rest

    def end(self, event: Event) -> None:
        """Give back a job that ended, and tell how; after a failure nothing more starts where the policy says so."""
        self.locks.release(event.job.training_key)
        if event.kind == "failed" and self.policy.fail_fast:
            self.waiting.clear()
        self.on_event(event)

    def __enter__(self) -> Self:
        self.locks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.locks.__exit__(kind, error, trace)


def tell_version(job: Job) -> Version:
    """When what is stored of a job last changed; it tells whether somebody else did something meanwhile."""
    folder = results.training_folder(job.root, job.training_key)
    paths = [folder / "training.json", *(folder / key / "result.json" for key in job.scorings)]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)
