"""The executor "ray": the same worker on the machines of a Ray cluster, which need no folder in common.

A job goes to a machine with the sources and what the store holds of it, is done there in a scratch store, and what it
wrote comes back to the driver, which alone writes to the run store. Runs of a lost machine or of a killed worker are
done again elsewhere while the others go on.

Without ``RAY_ADDRESS`` a cluster of this machine alone is started, on 127.0.0.1, and ends with the driver.
"""

import contextlib
import io
import os
import shutil
import signal
import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

from harness.execute.events import DIED, LENIENT, Event, OnEvent, Policy, Slot, Worker
from harness.execute.queue import Queue
from harness.execute.slots import RUNS_PER_GPU
from harness.execute.worker import work
from harness.sources import HOME
from harness.store import results
from harness.store.checkpoints import locate_checkpoint
from harness.store.files import landing
from harness.store.jobs import Job, Progress

RETRIES = 3  # of a run whose worker or machine was lost
SILENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}  # no reports, no warning
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # on Linux, too: Ray listens on 127.0.0.1 then, else everywhere
LISTEN = 0.5  # seconds between two looks at how runs are getting on
SHIPPED = ("harness", "model", "studies")  # folders of this project that a worker needs
DRIVERS = ("owner.json", "log.txt")  # files of a training that stay with the driver
LAST = ("result.json", "training.json")  # in this order: what makes a scoring, and then a training, finished
News = tuple[str, Progress | None]  # training key; None: it began


@dataclass(frozen=True)
class Outcome:
    """What a machine sends back: why the job failed or "", seconds of wall time, and the files it wrote."""

    reason: str
    seconds: float
    archive: bytes


@dataclass
class Flight:
    """A job on its way: when it began, by the driver's clock, and why it was called back."""

    job: Job
    began: float = inf
    reason: str = ""


def run_on_ray(
    jobs: Sequence[Job],
    on_event: OnEvent,
    slots: Sequence[Slot],
    policy: Policy = LENIENT,
    worker: Worker = work,
) -> None:
    """Run ``jobs`` on a Ray cluster; on its own machine's, one per slot. ModuleNotFoundError without the extra.

    Of the policy, ``stall`` is left to Ray, which looks after the health of its workers itself.
    """
    if not jobs:
        return
    connect(slots)
    import ray

    ear = start_ear()
    task = ray.remote(num_cpus=1, num_gpus=share_gpu(slots[0]), max_retries=RETRIES)(work_away)
    flights: dict[Any, Flight] = {}
    with Queue(jobs, on_event, policy) as queue:
        try:
            while flights or queue.waiting:
                for job in take_jobs(queue, len(flights)):
                    flights[task.remote(job, worker, pack_known(job), os.getcwd(), ear)] = Flight(job)
                attend(flights, queue, ray.get(ear.tell_news.remote()))
        finally:
            for reference in flights:  # after Ctrl-C
                ray.cancel(reference, force=True)


def take_jobs(queue: Queue, busy: int) -> Iterator[Job]:
    """Jobs for the cores that nothing runs on: those of machines that joined meanwhile, too."""
    import ray

    for _ in range(int(ray.cluster_resources().get("CPU", 1)) - busy):
        job = queue.take()
        if job is None:
            return
        yield job


def attend(flights: dict[Any, Flight], queue: Queue, news: Sequence[News]) -> None:
    """Pass on what the workers said, call back those over the time limit, and take in what ended."""
    import ray

    by_key = {flight.job.training_key: flight for flight in flights.values()}
    for key, progress in news:
        if key in by_key:
            by_key[key].began = time.monotonic() if progress is None else by_key[key].began
            queue.on_event(Event(by_key[key].job, "progress" if progress else "started", progress))
    for reference, flight in flights.items():
        if time.monotonic() - flight.began > queue.policy.time_limit:
            flight.reason = f"time limit of {queue.policy.time_limit:g} s"
            ray.cancel(reference, force=True)
    if not flights:  # what is left is with other drivers
        time.sleep(LISTEN)
        return
    ready, _ = ray.wait(list(flights), timeout=LISTEN)
    for reference in ready:
        queue.end(take_in(flights.pop(reference), reference))


def connect(slots: Sequence[Slot]) -> None:
    """Join the cluster at ``RAY_ADDRESS``, or start one on this machine that nobody else can reach."""
    address = os.environ.get("RAY_ADDRESS")
    os.environ.update(SILENT if address else SILENT | LOOPBACK)  # read when ray is imported
    import ray

    if ray.is_initialized():
        return
    environment = {name: value for name, value in slots[0].items() if name != "CUDA_VISIBLE_DEVICES"}
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    options["runtime_env"] = {"env_vars": environment, **ship_sources()}
    with keep_signals():
        if address:
            ray.init(address=address, **options)
        else:
            ray.init(address="local", num_cpus=len(slots), include_dashboard=False, **options)


@contextlib.contextmanager
def keep_signals() -> Iterator[None]:
    """Ray installs a handler of SIGTERM: the commands' own stays."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def ship_sources() -> dict[str, Any]:
    """This project's sources as Ray ships them; an installed package is expected on each machine."""
    if not (HOME / "pyproject.toml").exists():
        return {}
    return {"working_dir": str(HOME), "excludes": ["/*", *(f"!/{name}" for name in SHIPPED), "*.png", "__pycache__"]}


def share_gpu(slot: Slot) -> float:
    """The share of a GPU that a run asks for; 0 on a cluster without GPUs."""
    import ray

    gpus = ray.cluster_resources().get("GPU", 0)
    return 1 / int(slot.get(RUNS_PER_GPU, 1)) if gpus else 0.0


class Ear:
    """An actor beside the driver: workers speak to it, the driver fetches what is new."""

    def __init__(self) -> None:
        self.news: list[News] = []

    def hear(self, key: str, progress: Progress | None) -> None:
        self.news.append((key, progress))

    def tell_news(self) -> list[News]:
        news, self.news = self.news, []
        return news


def start_ear() -> Any:
    """An ear on the driver's machine: it is not lost with another one."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=here)(Ear).remote()


def work_away(job: Job, worker: Worker, known: bytes, place: str, ear: Any) -> Outcome:
    """Do ``job`` in a scratch store of this machine; ``place`` is the driver's working directory."""
    began = time.perf_counter()
    ear.hear.remote(job.training_key, None)
    if Path(place).is_dir():  # relative paths of data are meant from there
        os.chdir(place)
    away = replace(job, root=find_scratch())
    folder = results.training_folder(away.root, job.training_key)
    try:
        unpack(known, folder)
        reason = worker(away, lambda progress: ear.hear.remote(job.training_key, progress))
        return Outcome(reason, time.perf_counter() - began, pack(folder, list_written(away, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find_scratch() -> Path:
    """A folder of this user on this machine; data sets made there serve its later runs, too."""
    path = Path(tempfile.gettempdir()) / f"case-wtal-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    return path


def take_in(flight: Flight, reference: Any) -> Event:
    """Store what came back of a job; where nothing came back, that it failed."""
    import ray

    job = flight.job
    try:
        outcome: Outcome = ray.get(reference)
    except ray.exceptions.RayError as error:
        reason = flight.reason or explain(error)
        results.write_failure(job, reason)
        return Event(job, "failed", reason=reason)
    if not job.rescore:
        results.remove_training(job.root, job.training_key)
        locate_checkpoint(job.root, job.training_key).unlink(missing_ok=True)  # a run that failed sends its own
    unpack(outcome.archive, results.training_folder(job.root, job.training_key))
    return Event(job, "failed" if outcome.reason else "ok", None, outcome.reason, outcome.seconds)


def explain(error: Any) -> str:
    """Why nothing came back: what was raised outside of what ``work`` catches, else that each worker died."""
    import ray

    if isinstance(error, ray.exceptions.RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    return f"{DIED} {RETRIES + 1} times: {str(error).strip().splitlines()[0]}"


def pack_known(job: Job) -> bytes:
    """What a machine needs of the store: a checkpoint to go on from, or a finished training's files to score again."""
    folder, checkpoint = (
        results.training_folder(job.root, job.training_key),
        locate_checkpoint(job.root, job.training_key),
    )
    if not job.rescore:
        return pack(folder, [checkpoint] if checkpoint.exists() else [])
    return pack(folder, [path for path in folder.glob("[!.]*.*") if path.is_file() and path.name not in DRIVERS])


def list_written(job: Job, folder: Path) -> list[Path]:
    """What a job wrote: all of a training, the scorings and the log of a re-scoring."""
    places = [folder / key for key in job.scorings] if job.rescore else [folder]
    written = {path for place in places for path in place.rglob("*") if path.is_file()}
    return [*written, *(set(folder.glob("log.txt")) - written)]


def pack(folder: Path, paths: Iterable[Path]) -> bytes:
    """Files below ``folder`` as an archive; those that make a result finished come last."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path in sorted(paths, key=lambda path: (LAST.index(path.name) + 1 if path.name in LAST else 0, path)):
            archive.add(path, str(path.relative_to(folder)))
    return out.getvalue()


def unpack(content: bytes, folder: Path) -> None:
    """Write an archive's files, each whole or not at all, in the archive's order."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            safe = tarfile.data_filter(member, str(folder))
            source = archive.extractfile(safe)
            if source is not None:
                with landing(folder / safe.name) as temporary:
                    temporary.write_bytes(source.read())
