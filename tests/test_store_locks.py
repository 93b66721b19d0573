"""Locks of trainings: one owner at a time, taken over when the owner is gone, here or on another machine."""

import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from harness.execute.events import Policy
from harness.execute.queue import Queue
from harness.store import locks, results

from support import workers


@pytest.fixture
def held(tmp_path):
    """A lock that this process has."""
    mine = locks.Locks(tmp_path)
    assert mine.acquire("t0")
    return mine


def write_owner(root, host, pid, began, age=0.0):
    """Make somebody else the owner of t0, with a heartbeat ``age`` seconds ago."""
    path = locks.locate_lock(root, "t0")
    path.write_text(json.dumps({"host": host, "pid": pid, "began": began}))
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))


def test_a_second_driver_does_not_get_it(held, tmp_path):
    assert not locks.Locks(tmp_path).acquire("t0")
    assert locks.find_owner(tmp_path, "t0").pid == os.getpid()
    held.release("t0")
    assert locks.find_owner(tmp_path, "t0") is None
    assert locks.Locks(tmp_path).acquire("t0")


def test_dead_owner_of_this_machine(held, tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write_owner(tmp_path, socket.gethostname(), child.pid, 0.0)
    assert locks.Locks(tmp_path).acquire("t0")


def test_number_of_a_process_that_was_used_again(held, tmp_path):
    this = locks.Owner.this()
    write_owner(tmp_path, this.host, this.pid, this.began - 1000)
    assert locks.Locks(tmp_path).acquire("t0")


@pytest.mark.parametrize(("age", "gone"), [(0, False), (locks.STALE / 2, False), (locks.STALE + 5, True)])
def test_only_the_heartbeat_tells_of_another_machine(held, tmp_path, age, gone):
    write_owner(tmp_path, "elsewhere", 1, 0.0, age)
    assert locks.Locks(tmp_path).acquire("t0") is gone


@pytest.mark.parametrize("content", ["", "3", "{}", "[1, 2, 3]"])
def test_lock_being_written_is_held_until_it_is_old(held, tmp_path, content):
    path = locks.locate_lock(tmp_path, "t0")
    path.write_text(content)
    assert not locks.Locks(tmp_path).acquire("t0")
    os.utime(path, (0, 0))
    assert locks.Locks(tmp_path).acquire("t0")


OTHER = [
    *({"pid": pid} for pid in ("x", -1, 1.5, 10**30, None)),
    *({"since": time} for time in ("x", 1e300, -1e300)),
    *({"began": None}, {"host": 3}, {"more": 1}),
]


@pytest.mark.parametrize("changed", OTHER)
def test_lock_of_any_content_is_free_once_it_is_old(held, tmp_path, changed):
    path = locks.locate_lock(tmp_path, "t0")
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    os.utime(path, (0, path.stat().st_mtime - locks.WRITING - 1))
    assert locks.find_owner(tmp_path, "t0") is None
    assert locks.Locks(tmp_path).acquire("t0")


def test_of_many_that_see_a_dead_owner_one_takes_over(tmp_path):
    """Ten times ten threads at once, each a driver of its own."""
    for _ in range(10):
        assert locks.Locks(tmp_path).acquire("t0")
        write_owner(tmp_path, "elsewhere", 1, 0.0, locks.STALE + 5)
        start, won = threading.Barrier(10), []

        def compete(start=start, won=won):
            mine = locks.Locks(tmp_path)
            start.wait()
            if mine.acquire("t0"):
                won.append(mine)

        threads = [threading.Thread(target=compete) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        won[0].release("t0")


def test_heartbeat_and_release(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with locks.Locks(tmp_path) as mine:
        assert mine.acquire("t0")
        path = locks.locate_lock(tmp_path, "t0")
        os.utime(path, (0, 0))
        beaten = threading.Event()
        while path.stat().st_mtime == 0:
            beaten.wait(0.01)
    assert not path.exists()


def test_a_failure_elsewhere_ends_what_waits(tmp_path):
    """With --fail-fast: another driver's run failed meanwhile, nothing more is taken."""
    jobs = [workers.job(tmp_path, f"t{i}") for i in range(3)]
    heard = []
    with Queue(jobs, heard.append, Policy(fail_fast=True)) as queue:
        results.write_failure(jobs[0], "made to")
        assert queue.take() is None
        assert not queue.waiting
    assert [(event.job.training_key, event.kind) for event in heard] == [("t0", "failed")]
