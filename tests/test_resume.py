"""Trainings killed by SIGKILL through the real command line go on from their checkpoints, to the same bytes."""

import json
import os
import re
import signal
import time

from harness.store import checkpoints

from support import faults
from support.trainings import different, left

STUDY = """
title: Five that carry something
base: paper
seeds: 1
set:
  training: {steps: 60, evaluate_every: 20, snippets: 16, warm_up: 2}
rows:
  - {label: Q^R, paper: {mAP: 38.3}}
  - {label: as released, base: released}
  - {label: a memory, set: {case.baseline: rskp}}
  - {label: a running background, set: {case.baseline: d2net}}
  - {label: the step's number and pairs, set: {case.baseline: delu}}
columns: {mAP: map/avg, ACC: acc, best: {metric: map/avg, selection: best}}
"""
OFTEN = ("--no-mlflow", "--checkpoint-every", "0.001")  # after each step
EARLIEST = 10  # the step from which a training is killed


def kill_new(folder, killed):
    """Run the study and kill it, workers and all, in a training that was not killed yet; notes where that stands."""
    process = faults.start(folder, STUDY, OFTEN)
    store, end = folder / "mlruns/store", time.monotonic() + faults.PATIENCE
    while not (hit := [key for key in names(store) if key not in killed and step(store, key) >= EARLIEST]):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "no training begins"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert faults.wait_until(lambda: faults.is_gone(process.pid))
    killed[hit[0]] = step(store, hit[0])


def names(store):
    return [path.name for path in store.glob("*")]


def step(store, key):
    return checkpoints.tell_step(store.parent, key)


def test_trainings_that_were_killed_end_with_the_same_bytes(tmp_path):
    """One kill in each of five trainings: the table, all stored arrays, metrics and their curves are the same."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    table = faults.complete(whole, STUDY, ("--no-mlflow",))
    killed = {}
    for _ in range(5):
        kill_new(cut, killed)
    assert faults.complete(cut, STUDY, OFTEN) == table
    for key, reached in killed.items():
        check_training(whole / "mlruns", cut / "mlruns", key, reached)
    said = faults.start(cut, STUDY, ("--dry-run", "--checkpoint-every", "1h")).communicate()[0]
    assert "toy: 5 finished, 0 to train" in said, "how often is part of no key"


def check_training(whole, cut, key, reached):
    """It went on where it was killed, did nothing twice, and left what an uninterrupted one leaves."""
    (scoring,) = (path.parent.name for path in (whole / "store" / key).glob("*/result.json"))
    one, other = left(whole, key, scoring), left(cut, key, scoring)
    assert different(one, other) == []
    assert [one.result[part] for part in ("metrics", "curve", "best")] == [
        other.result[part] for part in ("metrics", "curve", "best")
    ]
    predictions = [root / "store" / key / scoring / "predictions.json.bz2" for root in (whole, cut)]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()
    assert (one.record["resumed"], other.record["resumed"]) == ([], [reached])
    log = (cut / "store" / key / "log.txt").read_text()
    assert f"going on after step {reached}" in log
    rest = log.partition(f"going on after step {reached}")[2]
    assert min(int(number) for number in re.findall(r"step (\d+)/60", rest)) > reached
    assert not (cut / "store" / key / "unfinished.pt").exists()
    assert json.loads((cut / "store" / key / "training.json").read_text())["key"] == key


def test_status_says_where_a_training_goes_on(tmp_path):
    killed = {}
    kill_new(tmp_path, killed)
    ((key, reached),) = killed.items()
    said = faults.start(tmp_path, STUDY, ("--status",)).communicate()[0]
    assert re.search(rf"waiting {key} row \d, seed 0: goes on after step {reached} of 60", said)
    (tmp_path / "mlruns/store" / key / "unfinished.pt").write_bytes(b"{}\n")
    said, errors = faults.start(tmp_path, STUDY, ("--dry-run",)).communicate()
    assert f"store/{key}/unfinished.pt: damaged; it counts as missing and is made again" in errors
