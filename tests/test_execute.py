"""The process pool: order, failures, dying workers, interruption, environment."""

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.context import SpawnProcess

import pytest

from harness.execute.events import Policy
from harness.execute.pool import run_local
from harness.execute.slots import environment, find_slots
from harness.execute.worker import redirect_output
from harness.store import results

from support import workers


def run(jobs, slots=2, worker=workers.toy, **policy):
    events = []
    run_local(jobs, events.append, find_slots(slots), Policy(**policy), worker)
    return events


def outcomes(events):
    """Seed -> how its job ended."""
    return {event.job.seed: event for event in events if event.kind in {"ok", "failed"}}


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
    ends = outcomes(events)
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


def test_a_signal_without_name_and_a_reason_that_cannot_be_shown_fail_only_their_job(tmp_path):
    seeds = [workers.ENDS_ODDLY, workers.MUMBLES, workers.GOOD]
    ends = outcomes(run([workers.job(tmp_path, f"t{seed}", seed) for seed in seeds], slots=1))
    assert ends[workers.ENDS_ODDLY].reason == f"worker died: signal {signal.SIGRTMIN + 3}"
    assert ends[workers.MUMBLES].reason == "ValueError: \\ud800"
    assert ends[workers.GOOD].kind == "ok"
    told = {seed: results.read_training(tmp_path, f"t{seed}")["status"] for seed in seeds}
    assert told == {workers.ENDS_ODDLY: "failed", workers.MUMBLES: "failed", workers.GOOD: "ok"}


@pytest.mark.parametrize("kind", [workers.STOPS, workers.HANGS], ids=["stopped", "hung"])
def test_worker_that_does_nothing_gives_its_slot_back(tmp_path, kind):
    events = run([workers.job(tmp_path, f"t{seed}", seed) for seed in (kind, workers.GOOD)], slots=1, stall=2.0)
    ends = outcomes(events)
    assert "hung or stopped" in ends[kind].reason
    assert ends[workers.GOOD].kind == "ok"
    assert results.read_training(tmp_path, f"t{kind}")["status"] == "failed"


def test_time_limit_ends_one_run(tmp_path):
    events = run([workers.job(tmp_path, f"t{seed}", seed) for seed in (workers.HANGS, 0)], slots=1, time_limit=3.0)
    ends = outcomes(events)
    assert ends[workers.HANGS].reason == "time limit of 3 s"
    assert ends[0].kind == "ok"


def test_fail_fast_starts_nothing_more(tmp_path):
    jobs = [workers.job(tmp_path, f"t{seed}", seed) for seed in (0, workers.RAISES, 1, 2)]
    assert set(outcomes(run(jobs, slots=1, fail_fast=True))) == {0, workers.RAISES}
    assert (tmp_path / "begun.txt").read_text().split() == ["t0", f"t{workers.RAISES}"]


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


def hear():
    """Undo what a shell does to a background process whose children then never hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


HEARING = {"preexec_fn": hear}
SCRIPT = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from support import workers
from harness.execute.events import Policy
from harness.execute.pool import run_local
from harness.execute.slots import find_slots
root = pathlib.Path({root!r})
if __name__ == "__main__":
    jobs = [workers.job(root, "quick"), workers.job(root, "slow", {seed})]
    run_local(jobs, lambda e: print(e.kind, e.job.training_key, flush=True), find_slots(1), Policy(), workers.toy)
"""


def driver(tmp_path, seed=workers.SLOW):
    """A driver process in a group of its own, returned while its worker is busy with the second job."""
    path = tmp_path / "driver.py"
    path.write_text(SCRIPT.format(tests=os.path.dirname(__file__), root=str(tmp_path), seed=seed))
    process = subprocess.Popen(
        [sys.executable, path], stdout=subprocess.PIPE, text=True, start_new_session=True, **HEARING
    )
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


def test_an_interrupt_while_a_worker_starts_waits_until_it_can_be_ended(tmp_path, monkeypatch):
    """It reaches a driver that blocks it by way of any other thread; half a worker could not be ended."""
    start, started = SpawnProcess.start, []

    def interrupt():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.raise_signal(signal.SIGINT)

    def start_interrupted(process):
        other = threading.Thread(target=interrupt)
        other.start()
        other.join()
        start(process)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", start_interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([workers.job(tmp_path, "t0", workers.SLOW)], slots=1)
    assert [process.is_alive() for process in started] == [False]


def test_ctrl_c_ends_the_workers_and_keeps_what_is_finished(tmp_path):
    process = driver(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(10) != 0
    assert results.read_training(tmp_path, "quick")["status"] == "ok"
    assert results.read_training(tmp_path, "slow") is None
    assert gone(process.pid)


def test_worker_of_a_killed_driver_ends_and_records_no_failure(tmp_path):
    """It watches its driver, so that it ends in the middle of a long sleep, too."""
    process = driver(tmp_path, workers.HANGS)
    process.kill()
    process.wait()
    assert gone(process.pid)
    assert results.read_training(tmp_path, "slow") is None


SHARED = """
import sys, pathlib
sys.path.insert(0, {tests!r})
from support import workers
from harness.execute.events import Policy
from harness.execute.pool import run_local
from harness.execute.slots import find_slots
root = pathlib.Path({root!r})
if __name__ == "__main__":
    jobs = [workers.job(root, f"t{{seed}}", seed) for seed in [0, workers.SLOW, 1, workers.RAISES, 2, 3]]
    def hear(event):
        if event.kind in ("ok", "failed"):
            print(event.kind, event.job.training_key, flush=True)
    run_local(jobs, hear, find_slots(1), Policy(), workers.toy)
"""


def test_two_drivers_share_the_work(tmp_path):
    """Each run begins once, both drivers hear how every run ended, and nothing is left locked."""
    path = tmp_path / "driver.py"
    path.write_text(SHARED.format(tests=os.path.dirname(__file__), root=str(tmp_path)))
    both = [subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [sorted(process.communicate(timeout=120)[0].splitlines()) for process in both]
    expected = sorted([f"ok t{seed}" for seed in (0, workers.SLOW, 1, 2, 3)] + [f"failed t{workers.RAISES}"])
    assert told == [expected, expected]
    begun = (tmp_path / "begun.txt").read_text().split()
    assert len(begun) == len(set(begun)) == 6
    assert not list(tmp_path.rglob("owner.json"))
    assert not list(tmp_path.rglob(".*"))


def test_run_of_a_killed_driver_is_taken_over(tmp_path):
    process = driver(tmp_path, workers.HANGS)
    process.kill()
    process.wait()
    assert (tmp_path / "store/slow/owner.json").exists()
    assert outcomes(run([workers.job(tmp_path, "slow", 5)]))[5].kind == "ok"
