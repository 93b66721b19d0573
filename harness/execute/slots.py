"""Run slots: how many runs fit on this machine at once, and the environment that the worker of each of them gets."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator

from harness.execute.events import Slot

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
KEEP_MEMORY = {  # glibc: reuse freed blocks instead of mapping each step's tensors anew; about 30 % of a step
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 29),
}
RUNS_PER_GPU = "CASE_RUNS_PER_GPU"  # tells executors how runs share GPUs that are not of this machine
REPRODUCIBLE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # what deterministic matrix products on a GPU ask for


def find_gpus() -> list[str]:
    """Identifiers of the GPUs this process may use, found without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name not in {"", "-1"}]
    if shutil.which("nvidia-smi") is None:
        return []
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    lines = [line for line in listing.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))]


def count_cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def find_slots(number: int | None = None, runs_per_gpu: int = 1) -> list[Slot]:
    """One environment per run slot: ``runs_per_gpu`` on each GPU, or one per core; ``number`` overrides how many."""
    gpus = find_gpus()
    count = number or len(gpus) * runs_per_gpu or count_cores()
    common = {**ONE_THREAD, **KEEP_MEMORY, **REPRODUCIBLE, RUNS_PER_GPU: str(runs_per_gpu)}
    if not gpus:
        return [common] * count
    return [{**common, "CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} for i in range(count)]


@contextlib.contextmanager
def environment(values: Slot) -> Iterator[None]:
    """Environment variables for a process started inside the block: before it imports numpy or torch."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
