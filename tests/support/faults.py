"""Faults: the command line, killed at a chosen phase by a chosen signal, and what must hold afterwards."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

HOME = Path(__file__).resolve().parents[2]
STUDY = """
title: A toy
base: paper
seeds: 1
set:
  training: {steps: 60, evaluate_every: 30, snippets: 16, warm_up: 2}
rows:
  - {label: first, paper: {mAP: 38.3}, set: {case.cat: 0}}
  - {label: same training, set: {case.cat: 0.5}}
  - {label: other, set: {case.lambda_c: 0}}
columns: {mAP: map/avg, ACC: acc}
"""
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TARGETS = ("driver", "group", "worker")
SLOW = float(os.environ.get("FAULTS_SLOW", "1"))  # how many times slower than a quiet core this machine is
PATIENCE = 60.0 * SLOW  # seconds that any wait may take before something hangs
TICK = 0.005 * SLOW  # seconds between two looks


@dataclass(frozen=True)
class Fault:
    """A kill: when, ``delay`` seconds after the phase began, of what, by which signal."""

    phase: str
    delay: float
    target: str
    signal: signal.Signals


def draw(rng: random.Random, phase: str) -> Fault:
    """A random fault of a phase."""
    target = rng.choice(TARGETS if phase == "training" else TARGETS[:2])
    return Fault(phase, rng.uniform(0, 0.5) * SLOW, target, rng.choice(SIGNALS))


def newer(paths: "list[Path]", since: float) -> bool:
    """Whether one of the paths changed after ``since``; those that vanish meanwhile did not."""
    for path in paths:
        try:
            if path.stat().st_mtime >= since:
                return True
        except OSError:
            continue
    return False


def list_unfinished(root: Path) -> list[Path]:
    """Notes of trainings that run."""
    return list(root.glob("store/*/unfinished.json"))


PHASES: Mapping[str, Callable[[Path, float], bool]] = {  # has it begun in the call that started then?
    "start": lambda root, since: True,
    "data": lambda root, since: newer(
        [*root.glob("data*/*"), *list_unfinished(root)], since
    ),  # it may be there already
    "training": lambda root, since: newer(list_unfinished(root), since),
    "mirror": lambda root, since: newer([root / "mlflow.lock"], since),
    "report": lambda root, since: newer([p for p in root.glob("reports/toy/**/*") if p.is_file()], since),
}


def hear() -> None:
    """Undo what a shell does to a background process, and ``nohup``: their children are deaf to these signals."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


HEARING = {"preexec_fn": hear}  # no threads here


def environment() -> dict[str, str]:
    """What the command line is started with."""
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return env | {"OMP_NUM_THREADS": "1", "COLUMNS": "120", "PYTHONPATH": str(HOME)}


def start(
    folder: Path, study: str = STUDY, options: Sequence[str] = (), prepare: Callable[[], None] = hear
) -> subprocess.Popen:
    """The toy study as a process of its own group, in which ``prepare`` ran; results go to ``folder``/mlruns."""
    path = folder / "toy.yaml"
    path.write_text(study)
    command = [sys.executable, "-m", "harness.run", path.name, "--data", "tiny", "--jobs", "1", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    kind = {**pipes, "preexec_fn": prepare}  # no threads here
    return subprocess.Popen(command, cwd=folder, env=environment(), start_new_session=True, **kind)


def inject(folder: Path, fault: Fault) -> tuple[bool, list[str]]:
    """Run the toy study and kill it; returns whether the fault came before the end, and what was wrong then."""
    root, since = folder / "mlruns", time.time() - 0.05
    before = finished(root)
    process = start(folder)
    while process.poll() is None and not PHASES[fault.phase](root, since):
        time.sleep(TICK)
    time.sleep(fault.delay)
    hit = process.poll() is None and strike(process, fault)
    try:
        out, errors = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
        return hit, [f"hangs: {errors[-300:]}"]
    aimed = fault.target != "worker"  # a driver ends well without its worker
    late = hit and aimed and "look at it" in out  # all is done: Python itself was ending, or had ended
    if late and process.returncode in {0, -fault.signal}:
        process.returncode = 128 + fault.signal
    return hit, list(complaints(folder, process, fault if hit else None, errors, before))


def strike(process: subprocess.Popen, fault: Fault) -> bool:
    """Send the signal; False where its target is gone already."""
    try:
        if fault.target == "group":
            os.killpg(process.pid, fault.signal)
        elif fault.target == "driver":
            process.send_signal(fault.signal)
        else:
            children = psutil.Process(process.pid).children()
            (worker,) = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            worker.send_signal(fault.signal)
    except (ProcessLookupError, psutil.NoSuchProcess, ValueError):
        return False
    return True


def complaints(folder: Path, process: subprocess.Popen, fault: Fault | None, errors: str, before: Mapping[Path, bytes]):
    """What must not be after a fault: a traceback, a wrong exit code, processes or files left, finished work lost."""
    root = folder / "mlruns"
    code = process.returncode
    if not wait_until(lambda: is_gone(process.pid)):
        yield "processes are left"
    if "Traceback" in errors and (fault is None or fault.phase != "start" or f"{HOME}/" in errors):  # not Python's own
        yield f"traceback: {errors[-600:]}"
    if code not in allowed_codes(fault):
        yield f"exit code {code}: {errors[-300:]}"
    after = finished(root)
    if lost := sorted(path.parent.name for path in before.keys() - after.keys()):
        yield f"finished work is lost: {lost}"
    if again := sorted(path.parent.name for path in before.keys() & after.keys() if before[path] != after[path]):
        yield f"finished work was done again: {again}"
    leftovers = [path for path in root.rglob(".*") if path.is_file()]
    if (fault is None or fault.signal != signal.SIGKILL) and leftovers:
        yield f"temporary files are left: {leftovers}"


def allowed_codes(fault: Fault | None) -> set[int]:
    """How the command may end: a dying Python that has not come to our code yet ends by the signal itself."""
    if fault is None:
        return {0, 1}
    if fault.target == "worker":
        return {0, 1}
    if fault.phase == "start":
        return {0, 128 + fault.signal, -fault.signal, 1}
    return {128 + fault.signal, -fault.signal} if fault.signal == signal.SIGKILL else {128 + fault.signal}


def finished(root: Path) -> dict[Path, bytes]:
    """Records of what is finished, as they are; those of failed runs are made again."""
    paths = [*root.glob("store/*/training.json"), *root.glob("store/*/*/result.json")]
    texts = {path: path.read_bytes() for path in paths}
    return {path: text for path, text in texts.items() if b'"status": "failed"' not in text}


def is_gone(group: int) -> bool:
    """Whether every process of a group has ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE / 4) -> bool:
    """Whether a condition comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(4 * TICK)
    return True


def complete(folder: Path, study: str = STUDY, options: Sequence[str] = ()) -> str:
    """Run the toy study to its end; returns the table's file."""
    process = start(folder, study, options)
    _, errors = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 0, errors
    (table,) = (folder / "mlruns/reports/toy").rglob("table.csv")
    return table.read_text()
