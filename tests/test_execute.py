"""The process pool: order, failures, dying workers, interruption, environment."""

import os
import signal
import subprocess
import sys
import time

from harness.execute.pool import run_local
from harness.execute.slots import environment, find_slots
from harness.execute.worker import redirect_output
from harness.store import results

from support import workers


def run(jobs, slots=2, worker=workers.toy):
    events = []
    run_local(jobs, events.append, find_slots(slots), worker)
    return events


def test_every_job_is_done_and_reports_progress(tmp_path):
    jobs = [workers.job(tmp_path, f"t{i}", seed=i) for i in range(5)]
    events = run(jobs)
    for job in jobs:
        kinds = [event.kind for event in events if event.job.training_key == job.training_key]
        assert kinds == ["started", "progress", "ok"]
        assert results.read_training(tmp_path, job.training_key)["status"] == "ok"


def test_raising_and_dying_workers_fail_only_their_job(tmp_path):
    seeds = [workers.DIES, workers.GOOD, workers.RAISES, 2]
    events = run([workers.job(tmp_path, f"t{seed}", seed) for seed in seeds], slots=1)
    ends = {event.job.seed: event for event in events if event.kind in {"ok", "failed"}}
    assert {seed: event.kind for seed, event in ends.items()} == {
        workers.DIES: "failed",
        workers.GOOD: "ok",
        workers.RAISES: "failed",
        2: "ok",
    }
    assert "SIGKILL" in ends[workers.DIES].reason
    assert results.read_training(tmp_path, f"t{workers.DIES}")["status"] == "failed"
    assert "worker died" in (tmp_path / f"store/t{workers.DIES}/log.txt").read_text()
    assert ends[workers.RAISES].reason == "ValueError: planted"


def test_workers_live_long_and_have_one_thread(tmp_path):
    events = run([workers.job(tmp_path, f"t{i}") for i in range(4)], slots=1, worker=workers.threads)
    said = {event.reason for event in events if event.kind == "failed"}
    assert len(said) == 1, "one process serves all jobs of a slot"
    assert said.pop().split()[1] == "1"


def test_gpu_slots(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    assert [place["CUDA_VISIBLE_DEVICES"] for place in find_slots(None, 2)] == ["2", "5", "2", "5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" not in find_slots(3)[2]
    assert len(find_slots(3)) == 3


def test_environment_is_restored(monkeypatch):
    monkeypatch.setenv("A", "1")
    monkeypatch.delenv("B", raising=False)
    with environment({"A": "2", "B": "3"}):
        assert (os.environ["A"], os.environ["B"]) == ("2", "3")
    assert (os.environ["A"], "B" in os.environ) == ("1", False)


def test_log_holds_everything_that_is_written(tmp_path, capfd):
    with capfd.disabled(), redirect_output(tmp_path / "log.txt", append=False):
        os.write(1, b"from python\n")
        os.write(2, b"from below\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    assert (tmp_path / "log.txt").read_text().splitlines() == ["from python", "from below", "from a child"]


SCRIPT = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from support import workers
from harness.execute.pool import run_local
from harness.execute.slots import find_slots
root = pathlib.Path({root!r})
if __name__ == "__main__":
    jobs = [workers.job(root, "quick"), workers.job(root, "slow", workers.SLOW)]
    run_local(jobs, lambda e: print(e.kind, e.job.training_key, flush=True), find_slots(1), workers.toy)
"""


def driver(tmp_path):
    """A driver process in a group of its own, returned while its worker is busy with the second job."""
    path = tmp_path / "driver.py"
    path.write_text(SCRIPT.format(tests=os.path.dirname(__file__), root=str(tmp_path)))
    process = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == ["started", "slow"]:
            return process
    raise AssertionError("the driver ended early")


def gone(group):
    """Whether every process of a group ends within ten seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path):
    process = driver(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(10) != 0
    assert results.read_training(tmp_path, "quick")["status"] == "ok"
    assert results.read_training(tmp_path, "slow") is None
    assert gone(process.pid)


def test_worker_of_a_killed_driver_records_no_failure(tmp_path):
    """Its next word has no listener: it stops there."""
    process = driver(tmp_path)
    process.kill()
    process.wait()
    assert gone(process.pid)
    assert results.read_training(tmp_path, "slow") is None
