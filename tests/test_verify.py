"""``harness.verify``: finished runs trained again; a store that was tampered with is caught, whatever was changed."""

import bz2
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness import run, study
from harness.execute.events import Event
from harness.store import plan, results
from harness.store.arrays import write_arrays
from harness.store.files import describe_file, write_json
from harness.verify import command, contents

from support import faults

STUDY = """
title: A toy
base: paper
seeds: 2
set:
  training: {steps: 12, evaluate_every: 6, snippets: 16, warm_up: 2}
rows:
  - {label: first, set: {case.cat: 0}}
  - {label: a memory, set: {case.baseline: rskp}}
columns: {mAP: map/avg, best: {metric: map/avg, selection: best}}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study's file and a store in which it is finished, trained as users do."""
    folder = tmp_path_factory.mktemp("made")
    path = folder / "toy.yaml"
    path.write_text(STUDY)
    call = [str(path), "--data", "tiny", "--no-mlflow", "--jobs", "1", "--output", str(folder / "mlruns")]
    assert run.main(call) == 0
    return path, folder / "mlruns"


@pytest.fixture
def copy(made, tmp_path):
    """A copy of that store, to be tampered with; its first training and scoring."""
    path, root = made
    shutil.copytree(root, tmp_path / "mlruns")
    (job, *_) = command.find_finished(load(path, tmp_path / "mlruns"), tmp_path / "mlruns")
    (scoring,) = job.scorings
    return SimpleNamespace(path=path, root=tmp_path / "mlruns", key=job.training_key, scoring=scoring)


def load(path, root):
    return study.load(str(path), data="tiny", root=root)


def verify(path, root, *options):
    return command.main([str(path), "--data", "tiny", "--output", str(root), "--jobs", "1", *options])


def test_what_was_trained_here_is_the_same_bit_for_bit(made, capsys):
    path, root = made
    before = faults.finished(root)
    assert verify(path, root, "--runs", "2") == 0
    out = capsys.readouterr().out
    assert "toy: training 2 of 4 finished runs again" in out
    assert len(re.findall(r"^equal, bit for bit \(\d+ arrays, \d+ metrics and the detections\)", out, re.M)) == 2
    assert {*re.findall(r"row (\d)", out)} == {"1", "2"}
    assert "toy: 2 of 2 agree" in out
    assert faults.finished(root) == before, "the store is only read"


def describe_again(folder, record):
    """Make a record speak of its files as they are now."""
    content = json.loads((folder / record).read_text())
    content["files"] = {name: describe_file(folder / name) for name in content["files"]}
    write_json(folder / record, content)


def change_array(copy, name, part):
    """One value of a stored array, to the next number there is."""
    folder = results.training_folder(copy.root, copy.key)
    arrays = results.read_training_arrays(copy.root, copy.key, name)
    values = arrays[part].copy()
    flat = values.reshape(-1)
    flat[0] = flat[0] + 1 if values.dtype.kind in "iu" else np.nextafter(flat[0], np.inf, dtype=values.dtype)
    write_arrays(folder / f"{name}.npz", {**arrays, part: values})
    describe_again(folder, "training.json")


def change_weight(copy):
    folder = results.training_folder(copy.root, copy.key)
    held = torch.load(folder / "checkpoint.pt", weights_only=True)
    name = next(iter(held["weights"]))
    held["weights"][name].view(-1)[0] += 1e-6
    torch.save(held, folder / "checkpoint.pt")
    describe_again(folder, "training.json")


def change_result(copy, part, change):
    folder = results.scoring_folder(copy.root, copy.key, copy.scoring)
    content = json.loads((folder / "result.json").read_text())
    content[part] = change(content[part])
    write_json(folder / "result.json", content)


def change_detection(copy):
    folder = results.scoring_folder(copy.root, copy.key, copy.scoring)
    found = json.loads(bz2.decompress((folder / results.PREDICTIONS).read_bytes()))
    video = next(own for own in found["results"].values() if own)
    video[0]["score"] += 1e-9
    (folder / results.PREDICTIONS).write_bytes(bz2.compress(json.dumps(found).encode()))
    describe_again(folder, "result.json")


def raised(metrics, by=0.001):
    return {**metrics, "map/avg": metrics["map/avg"] + by}


def change_settings(copy):
    path = results.training_folder(copy.root, copy.key) / "training.json"
    content = json.loads(path.read_text())
    content["settings"]["training.lr"] = 0.5
    write_json(path, content)


TAMPERED = {  # what is changed, and what is said of it
    "scores": (lambda copy: change_array(copy, "scores", "attention.share"), "scores/attention.share: 1 of"),
    "curves": (lambda copy: change_array(copy, "curves", "loss"), "curves/loss: 1 of 12 values differ"),
    "a weight": (change_weight, r"weights/.*: 1 of"),
    "a metric": (lambda copy: change_result(copy, "metrics", raised), r"map/avg: stored .*, now"),
    "a metric more": (lambda copy: change_result(copy, "metrics", lambda m: {**m, "x": 1.0}), "stored, not there now"),
    "the best": (lambda copy: change_result(copy, "best", lambda best: {**best, "step": 6.5}), "best: not the same"),
    "a detection": (change_detection, "detections: not the same"),
    "settings": (change_settings, "settings: not those that are noted"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_any_change_is_found(name, copy, made):
    """Without training: an untouched store stands for what would come out."""
    _, root = made
    TAMPERED[name][0](copy)
    stored, whole = (contents.read_contents(place, copy.key, [copy.scoring]) for place in (copy.root, root))
    (said,) = contents.compare_bits(stored, whole)
    assert re.search(TAMPERED[name][1], said)
    assert list(contents.compare_bits(whole, whole)) == []


def test_the_command_catches_a_tampered_store(copy, capsys):
    change_result(copy, "metrics", lambda metrics: raised(metrics, 5.0))
    assert verify(copy.path, copy.root, "--runs", "1000") == 1
    out = capsys.readouterr().out
    assert out.count("equal, bit for bit") == 3
    assert re.search(rf"DIFFERS, bit for bit .*: {copy.key} toy row 1, seed \d\n  .*map/avg: stored", out)
    assert "toy: 3 of 4 agree" in out


def test_files_that_cannot_be_read_are_named(copy, made, capsys):
    """Of the right size, but no archive."""
    folder = results.training_folder(copy.root, copy.key)
    for name, spoil in {"scores.npz": b"\0", "checkpoint.pt": b"\1"}.items():
        (folder / name).write_bytes(spoil * (folder / name).stat().st_size)
        with pytest.raises(ValueError, match=re.escape(str(folder / name)) + ": cannot be read"):
            contents.read_contents(copy.root, copy.key, [copy.scoring])
        shutil.copy(results.training_folder(made[1], copy.key) / name, folder / name)


def note_machine(copy, machine):
    path = results.training_folder(copy.root, copy.key) / "training.json"
    write_json(path, json.loads(path.read_text()) | {"machine": machine})


@pytest.mark.parametrize(("points", "code"), [(1.9, 0), (2.1, 1)])
def test_on_another_machine_a_tolerance_is_stated_and_held(points, code, copy, made, capsys):
    """Rounding may differ there; what was different is said."""
    job = next(
        job for job in command.find_finished(load(copy.path, copy.root), copy.root) if job.training_key == copy.key
    )
    machine = json.loads((results.training_folder(copy.root, copy.key) / "training.json").read_text())["machine"]
    assert {"torch", "numpy", "device", "threads", "processor"} == machine.keys()
    note_machine(copy, machine | {"processor": "abacus"})
    change_array(copy, "scores", "attention.share")
    change_result(copy, "metrics", lambda metrics: raised(metrics, points))
    assert command.judge(job, made[1], 2.0) == (code == 0)
    out = capsys.readouterr().out
    assert f"within 2 points (processor was abacus, is {machine['processor']})" in out
    note_machine(copy, {})
    command.judge(job, made[1], 2.0)
    assert "within 2 points (the machine was not noted then)" in capsys.readouterr().out


def test_another_first_loss_is_no_rounding(copy, made):
    stored, again = (contents.read_contents(place, copy.key, [copy.scoring]) for place in (copy.root, made[1]))
    loss = stored.arrays["curves/loss"].copy()
    loss[0] *= 1.01
    other = replace(stored, arrays={**stored.arrays, "curves/loss": loss})
    assert [said.partition(":")[0] for said in contents.compare_roughly(other, again, 2.0, 1e-3)] == ["first loss"]
    assert list(contents.compare_roughly(stored, again, 2.0, 1e-3)) == []


def test_a_run_that_cannot_be_trained_again_is_named(made, monkeypatch, capsys):
    path, root = made
    fail = lambda jobs, hear, slots: [hear(Event(job, "failed", reason="out of luck")) for job in jobs]  # noqa: E731
    monkeypatch.setattr("harness.execute.pool.run_local", fail)
    assert verify(path, root, "--runs", "1") == 1
    assert re.search(r"DIFFERS, it was not trained again: .*\n  out of luck\n", capsys.readouterr().out)


def test_a_few_runs_are_of_several_rows_and_seeds(tmp_path, monkeypatch):
    table2 = study.load("table2", root=tmp_path)
    done = SimpleNamespace(done=plan.list_jobs([table2], tmp_path))
    monkeypatch.setattr(plan, "make_plan", lambda *_: done)
    monkeypatch.setattr(results, "read_training", lambda *_: {"status": "ok"})
    chosen = command.choose(command.find_finished(table2, tmp_path), 3)
    assert len({job.label.partition(",")[0] for job in chosen}) == 3
    assert len({job.seed for job in chosen}) > 1


def test_bad_input_ends_with_2(made, tmp_path, capsys):
    path, _ = made
    assert verify(path, tmp_path / "nothing") == 2
    assert "no training of these sources is finished" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists(), "nothing is written"
    assert verify(tmp_path / "absent.yaml", tmp_path) == 2
    assert "absent.yaml" in capsys.readouterr().err
    assert verify(path, "/proc") == 2
    assert "belongs to the kernel" in capsys.readouterr().err


@pytest.mark.parametrize("points", ["nan", "inf", "-1", "101", "x"])
def test_a_tolerance_that_tolerates_anything_is_refused(made, points, capsys):
    with pytest.raises(SystemExit) as ended:
        verify(*made, "--tolerance", points)
    assert ended.value.code == 2
    assert "is not a number from 0 to 100" in capsys.readouterr().err


@given(finished=st.integers(1, 60), number=st.integers(1, 80))
def test_runs_are_spread_evenly(finished, number):
    """Gaps differ by one at most, ends included half; the same each time."""
    chosen = command.choose(range(finished), number)
    assert len(chosen) == len(set(chosen)) == min(finished, number)
    gaps = np.diff(chosen)
    assert np.ptp(gaps) <= 1 if len(gaps) else chosen == [finished // 2]
    assert abs(chosen[0] - (finished - 1 - chosen[-1])) <= 1
    assert chosen == command.choose(range(finished), number)
