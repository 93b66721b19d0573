"""The executor "ray", on a cluster of two nodes: nothing shared, killed workers, a lost node, a killed driver."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harness.execute import cluster
from harness.execute.events import DIED, LENIENT, Policy
from harness.execute.slots import RUNS_PER_GPU, find_slots
from harness.store import results

from support import diaries, workers

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray
HOME = Path(__file__).resolve().parent.parent


@pytest.fixture
def nodes(monkeypatch):
    """Two nodes with a core each; the second one can be taken away."""
    from ray.cluster_utils import Cluster

    for module in (diaries, workers):
        ray.cloudpickle.register_pickle_by_value(module)
    own = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = own.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", own.address)
    yield own, second
    ray.shutdown()
    own.shutdown()


@pytest.fixture
def diary(tmp_path):
    path = tmp_path / "diary"
    path.mkdir()
    return path


def run(jobs, on_event=lambda event: None, worker=diaries.work, policy=LENIENT):
    events = []

    def hear(event):
        events.append(event)
        on_event(event)

    cluster.run_on_ray(jobs, hear, find_slots(2), policy, worker)
    return {event.job.training_key: event for event in events if event.kind in {"ok", "failed"}}


def wait_for(condition, seconds=30):
    """Whether ``condition`` comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not condition():
        time.sleep(0.1)
    return condition()


def test_results_come_back_without_a_folder_in_common(nodes, tmp_path, diary):
    names = ["t0", "t1", "t2", "t3"]
    ends = run([diaries.job(tmp_path, diary, name, seed) for seed, name in enumerate(names)])
    assert {name: event.kind for name, event in ends.items()} == dict.fromkeys(names, "ok")
    entries = [entry for name in names for entry in diaries.read(diary, name)]
    assert len({node for _, node, _ in entries}) == 2, "both nodes work"
    assert all(root != str(tmp_path) for _, _, root in entries), "no worker writes to the driver's store"
    for seed, name in enumerate(names):
        assert results.read_training(tmp_path, name)["status"] == "ok"
        assert results.read_result(tmp_path, name, "s1")["metrics"]["map/avg"] == 40.0 + seed
        np.testing.assert_array_equal(results.read_scores(tmp_path, name)["attention"], np.full((2, 2, 3), 0.25))


def test_stored_training_travels_to_be_scored_again(nodes, tmp_path, diary):
    workers.finish(workers.job(tmp_path, "t0"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "store/t0").iterdir() if path.is_file()}
    job = diaries.job(tmp_path, diary, "t0", rescore=True)
    assert run([job])["t0"].kind == "ok"
    assert results.read_result(tmp_path, "t0", "s1")["metrics"]["map/avg"] == 43.0
    after = {path.name: path.read_bytes() for path in (tmp_path / "store/t0").iterdir() if path.is_file()}
    assert {name: after[name] for name in before if name != "log.txt"} == before


def test_run_of_a_killed_worker_is_done_again(nodes, tmp_path, diary):
    killed = []

    def kill_first(event):
        if event.kind == "started" and event.job.training_key == "t1" and not killed:
            killed.append(int(diaries.read(diary, "t1")[0][0]))
            os.kill(killed[0], signal.SIGKILL)

    ends = run([diaries.job(tmp_path, diary, f"t{i}", i) for i in range(3)], kill_first)
    assert [ends[f"t{i}"].kind for i in range(3)] == ["ok", "ok", "ok"]
    assert [len(diaries.read(diary, f"t{i}")) for i in range(3)] == [1, 2, 1]
    assert results.read_result(tmp_path, "t1", "s1")["metrics"]["map/avg"] == 41.0


def test_runs_of_a_lost_node_are_done_elsewhere(nodes, tmp_path, diary):
    own, second = nodes
    lost = []

    def lose_node(event):
        both = (diary / "t0").exists() and (diary / "t1").exists()
        if event.kind == "started" and both and not lost:
            lost.append(second.node_id)
            own.remove_node(second, allow_graceful=False)

    names = [f"t{i}" for i in range(4)]
    ends = run([diaries.job(tmp_path, diary, name, i) for i, name in enumerate(names)], lose_node)
    assert {name: event.kind for name, event in ends.items()} == dict.fromkeys(names, "ok")
    assert lost
    entries = {name: diaries.read(diary, name) for name in names}
    assert [len(found) for found in entries.values()].count(2) == 1, "only the run of the lost node is done twice"
    assert all(found[-1][1] != lost[0] for found in entries.values())


def test_worker_that_dies_each_time_fails_alone(nodes, tmp_path, diary):
    jobs = [diaries.job(tmp_path, diary, "bad", workers.DIES), diaries.job(tmp_path, diary, "good", 1)]
    ends = run(jobs)
    assert ends["good"].kind == "ok"
    assert ends["bad"].kind == "failed"
    assert ends["bad"].reason.startswith(DIED)
    assert len(diaries.read(diary, "bad")) == 1 + cluster.RETRIES
    assert results.read_training(tmp_path, "bad")["status"] == "failed"


def test_run_over_its_time_fails_alone(nodes, tmp_path, diary):
    slow, quick = diaries.job(tmp_path, diary, "slow", 0), diaries.job(tmp_path, diary, "quick", rescore=True)
    workers.finish(workers.job(tmp_path, "quick"))
    ends = run([slow, quick], policy=Policy(time_limit=diaries.SECONDS / 2))
    assert ends["quick"].kind == "ok"
    assert ends["slow"].reason == "time limit of 2 s"
    assert len(diaries.read(diary, "slow")) == 1


def test_nothing_starts_after_a_failure_where_that_is_asked(nodes, tmp_path):
    jobs = [workers.job(tmp_path, f"t{i}", workers.RAISES) for i in range(6)]
    assert 1 <= len(run(jobs, worker=workers.toy, policy=Policy(fail_fast=True))) <= 3


def test_raising_worker_fails_alone(nodes, tmp_path):
    jobs = [workers.job(tmp_path, "bad", workers.RAISES), workers.job(tmp_path, "good", 1)]
    ends = run(jobs, worker=workers.toy)
    assert ends["good"].kind == "ok"
    assert ends["bad"].reason == "ValueError: planted"
    assert results.read_training(tmp_path, "bad")["status"] == "failed"


def test_runs_share_a_gpu(monkeypatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"GPU": 4.0})
    assert cluster.share_gpu({RUNS_PER_GPU: "2"}) == 0.5
    monkeypatch.setattr(ray, "cluster_resources", dict)
    assert cluster.share_gpu({RUNS_PER_GPU: "2"}) == 0


def command(*arguments, **options):
    """harness.run in a process of its own, with a cluster of its own unless RAY_ADDRESS is set."""
    call = [sys.executable, "-m", "harness.run", *map(str, arguments), "--quick", "--no-mlflow"]
    env = os.environ | {"PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(call, cwd=HOME, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


def list_processes(driver):
    """The driver's process and all below it."""
    import psutil

    own = psutil.Process(driver.pid)
    return [own, *own.children(recursive=True)]


def listens(process):
    """Addresses that a process listens on."""
    return {c.laddr.ip for c in process.net_connections("inet") if c.status == "LISTEN"}


def runs(process):
    return process.is_running() and process.status() != "zombie"


@pytest.mark.slow
def test_own_cluster_is_private_and_ends_with_its_driver(tmp_path):
    driver = command("fig3", "--executor", "ray", "--jobs", 2, "--output", tmp_path)
    assert wait_for(lambda: list(tmp_path.glob("store/*/training.json")), 120)
    processes = list_processes(driver)
    addresses = set().union(*map(listens, processes))
    assert addresses
    assert all(address.removeprefix("::ffff:") == "127.0.0.1" for address in addresses)
    names = {process: process.name() for process in processes}
    driver.kill()
    driver.wait()
    own = [process for process in processes if not names[process].endswith("Agent")]
    assert wait_for(lambda: not any(map(runs, own)))
    assert wait_for(lambda: not any(map(runs, processes)), 240), "Ray's two agents first wait for the dead cluster"


@pytest.mark.slow
def test_table_is_that_of_one_machine(nodes, tmp_path):
    """Also when a node is lost and the driver killed in between."""
    own, second = nodes
    first = command("fig3", "--executor", "ray", "--output", tmp_path / "ray")
    assert wait_for(lambda: list(tmp_path.glob("ray/store/*/training.json")), 120)
    own.remove_node(second, allow_graceful=False)
    first.kill()
    first.wait()
    assert command("fig3", "--executor", "ray", "--output", tmp_path / "ray").wait() == 0
    assert command("fig3", "--jobs", 1, "--output", tmp_path / "local").wait() == 0
    tables = [tmp_path / name / "reports/fig3/synthetic-tiny/table.csv" for name in ("ray", "local")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
