"""The command line, through real processes, on a toy study at tiny scale: run, run again, interrupt, fail, refuse."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from support import faults

HOME = Path(__file__).resolve().parent.parent
STUDY = """
title: A toy
base: paper
seeds: 2
set:
  case.lambda_c: 0
  training: {{steps: {steps}, evaluate_every: {every}, snippets: 16, warm_up: 2}}
rows:
  - {{label: first, paper: {{mAP: 38.3}}, set: {{case.cat: 0}}}}
  - {{label: same training, set: {{case.cat: 0.5}}}}
  - {{label: other, set: {{{other}}}}}
columns: {{mAP: map/avg, ACC: acc}}
"""


def command(*arguments):
    return [sys.executable, "-m", "harness.run", *map(str, arguments)]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "PYTHONPATH": str(HOME)}


def call(*arguments, cwd=None, **kind):
    env = {name: value for name, value in environment().items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.run(command(*arguments), cwd=cwd, env=env, capture_output=True, text=True, check=False, **kind)


def study(folder, steps=6, other="case.lambda_c: 1"):
    path = folder / "toy.yaml"
    path.write_text(STUDY.format(steps=steps, every=max(1, steps // 2), other=other))
    return path


def records(root):
    """When and with what digits each training and scoring of ``root`` ended."""
    paths = [*root.glob("store/*/training.json"), *root.glob("store/*/*/result.json")]
    return {path.relative_to(root): path.read_text() for path in paths}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The toy study, run once: (folder, finished process)."""
    folder = tmp_path_factory.mktemp("ran")
    return folder, call(study(folder), "--data", "tiny", cwd=folder)


def test_first_call_trains_reports_and_mirrors(ran):
    folder, done = ran
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(lines) == 4, "rows 1 and 2 share their trainings: two trainings a seed"
    assert sum("toy row 1+2, seed" in line for line in lines) == 2
    assert len(list(folder.glob("mlruns/store/*/training.json"))) == 4
    assert len(list(folder.glob("mlruns/store/*/*/result.json"))) == 6
    assert (folder / "mlruns/mlflow.db").exists()
    assert list(folder.glob("mlruns/reports/toy/**/table.csv"))
    assert "same training" in done.stdout


def test_second_call_trains_nothing(ran):
    folder, first = ran
    before = records(folder / "mlruns")
    done = call(folder / "toy.yaml", "--data", "tiny", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert records(folder / "mlruns") == before
    assert "[1/" not in done.stdout
    assert "MLflow is up to date" in done.stdout
    tables = [text.partition("MLflow")[0].splitlines()[-9:] for text in (done.stdout, first.stdout)]
    assert tables[0] == tables[1], "the table is the same"


def test_further_seed_trains_only_itself(ran):
    folder, _ = ran
    before = records(folder / "mlruns")
    done = call(folder / "toy.yaml", "--data", "tiny", "--seeds", "3", "--no-mlflow", cwd=folder)
    assert done.returncode == 0, done.stderr
    after = records(folder / "mlruns")
    assert before.items() <= after.items()
    assert len(after) - len(before) == 2 + 3


def test_other_folder_gives_the_same_digits(ran, tmp_path):
    """Determinism through the whole command line, here with one process instead of two."""
    folder, _ = ran
    done = call(folder / "toy.yaml", "--data", "tiny", "--output", "other", "--jobs", "1", "--no-mlflow", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mlruns").exists()
    for path in (tmp_path / "other").glob("store/*/*/result.json"):
        theirs = json.loads((folder / "mlruns" / path.relative_to(tmp_path / "other")).read_text())
        mine = json.loads(path.read_text())
        assert (mine["metrics"], mine["curve"]) == (theirs["metrics"], theirs["curve"])


def imported(*arguments, cwd):
    """(exit code, heavy modules) of a call inside a fresh interpreter."""
    heavy = "{'torch', 'mlflow', 'pandas', 'optuna', 'matplotlib'} & set(sys.modules)"
    code = (
        "import sys; from harness import run\n"
        f"try: code = run.main({list(map(str, arguments))!r})\n"
        f"except SystemExit as error: code = error.code\nprint('END', code, *sorted({heavy}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    return done.stdout.split("END ")[-1].split(), done


@pytest.mark.parametrize("arguments", [["--help"], ["--list"], ["table2", "--dry-run"]])
def test_light_commands_import_nothing_heavy(arguments, tmp_path):
    (code, *heavy), done = imported(*arguments, cwd=tmp_path)
    assert (code, heavy) == ("0", []), done.stderr
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_dry_run_counts_what_is_finished(ran):
    folder, _ = ran
    done = call(folder / "toy.yaml", "--data", "tiny", "--seeds", "9", "--dry-run", cwd=folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    finished = sum(line.startswith("done ") for line in lines)
    assert finished >= 4
    assert finished + sum(line.startswith("train ") for line in lines) == 18
    assert "from earlier runs of this scale" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tabel2"], "did you mean 'table2'?"),
        (["table2", "--base", "relesed"], "released"),
        (["table2", "--set", "case.lamda_c=1"], "lambda_c"),
        (["table2", "--set", "case.clusters=1"], "clusters"),
        (["table2", "--data", "nowhere"], "nowhere"),
        (["table2", "--seeds", "0"], "whole number"),
        (["table2", "--executor", "cluster"], "local"),
        (["table2", "--output", "file"], "is a file"),
        (["table2", "--output", "file/below"], "is a file"),
        (["table2", "--output", "x" * 300], "too long"),
        (["table2", "--output", "/proc/x"], "--output"),
        (["table2", "--jobs", "1000000000"], "64 processes for each core"),
        (["table2", "--time-limit", "soon"], "such as 90s"),
        (["table2", "--executor", "ray"], "'[ray]'"),
        ([], "--list"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(arguments, expected, tmp_path):
    (tmp_path / "file").touch()
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_all_errors_are_told_at_once(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("title: Bad\nbase: paper\nrows:\n  - {set: {case.lamda_c: 1}}\n  - {set: {case.clusters: many}}\n")
    done = call(path, "tabel2", cwd=tmp_path)
    assert done.returncode == 2
    assert "bad.yaml:4:" in done.stderr
    assert "bad.yaml:5:" in done.stderr
    assert "tabel2" in done.stderr


def test_a_run_that_is_not_finite_fails_alone(tmp_path):
    path = study(tmp_path, other="training.lr: 1.0e+30")
    done = call(path, "--data", "tiny", "--seeds", "1", "--no-mlflow", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "not finite" in done.stderr
    states = sorted(
        json.loads(text)["status"] for path, text in records(tmp_path / "mlruns").items() if "status" in text
    )
    assert states == ["nan", "ok"]
    again = call(path, "--data", "tiny", "--seeds", "1", "--no-mlflow", cwd=tmp_path)
    assert again.returncode == 1
    assert "[1/" not in again.stdout, "the same run would end the same"


def started(*arguments, cwd):
    """The command as a process that still runs."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(*arguments), cwd=cwd, env=environment(), **faults.HEARING, **pipes)


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interrupted_call_goes_on_where_it_stopped(tmp_path, sign, code):
    arguments = (study(tmp_path, steps=20), "--data", "tiny", "--no-mlflow", "--jobs", "1")
    process = started(*arguments, cwd=tmp_path)
    assert any("[1/4]" in line for line in process.stdout)
    process.send_signal(sign)
    process.communicate(timeout=60)
    assert process.returncode == code
    kept = records(tmp_path / "mlruns")
    assert kept
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert kept.items() <= records(tmp_path / "mlruns").items()
    assert "[1/4]" not in done.stdout


def test_signal_that_was_ignored_stays_ignored(tmp_path):
    """As ``nohup`` does it: the terminal closes, the runs go on."""
    arguments = (study(tmp_path, steps=20), "--data", "tiny", "--no-mlflow", "--jobs", "1", "--seeds", "1")
    script = "trap '' HUP; exec " + " ".join(command(*arguments))
    kind = {"cwd": tmp_path, "env": environment(), "stdout": subprocess.PIPE, "text": True, "process_group": 0}
    process = subprocess.Popen(["bash", "-c", script], **kind)
    assert any("[1/2]" in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGHUP)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "[2/2]" in out


@pytest.mark.parametrize("outlet", ["| head -1", "> /dev/full"])
def test_results_survive_an_output_that_nobody_reads(tmp_path, outlet):
    arguments = (study(tmp_path), "--data", "tiny", "--no-mlflow", "--seeds", "1")
    script = f"set -o pipefail; {' '.join(command(*arguments))} {outlet}"
    kind = {"cwd": tmp_path, "env": environment(), "capture_output": True, "text": True}
    done = subprocess.run(["bash", "-c", script], check=False, **kind)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.glob("mlruns/store/*/*/result.json"))) == 3
    assert list(tmp_path.glob("mlruns/reports/toy/**/table.csv"))


def test_status_names_what_is_finished_and_what_failed(ran):
    folder, _ = ran
    done = call(folder / "toy.yaml", "--data", "tiny", "--status", "--seeds", "2", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "toy: 6 of 6 results finished\n")


def test_rerun_repeats_what_was_not_finite(tmp_path):
    path = study(tmp_path, other="training.lr: 1.0e+30")
    arguments = (path, "--data", "tiny", "--seeds", "1", "--no-mlflow")
    call(*arguments, cwd=tmp_path)
    status = call(*arguments, "--status", cwd=tmp_path)
    assert status.stdout.startswith("toy: 2 of 3 results finished")
    assert "nan" in status.stdout.splitlines()[1]
    again = call(*arguments, "--rerun", "failed", cwd=tmp_path)
    assert again.returncode == 1
    assert "[1/1] toy row 3" in again.stdout


def test_killed_worker_fails_its_run_and_no_other(tmp_path):
    arguments = (study(tmp_path, steps=40), "--data", "tiny", "--no-mlflow", "--jobs", "1")
    process = started(*arguments, cwd=tmp_path)
    store = tmp_path / "mlruns/store"
    while not list(store.glob("*/unfinished.json")):
        time.sleep(0.05)
        assert process.poll() is None
    spawned = [p for p in psutil.Process(process.pid).children() if "spawn_main" in " ".join(p.cmdline())]
    spawned[0].kill()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "SIGKILL" in out + err
    assert sum("FAILED" in line for line in out.splitlines()) == 1
    assert out.count("] toy row") == 4


def test_unpacked_archive_without_git(tmp_path):
    """Sources copied elsewhere, no .git: the commit is unknown and the command works from any folder."""
    copy = tmp_path / "copy"
    for name in ("harness", "model", "studies"):
        shutil.copytree(HOME / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys; from harness import run, sources; print(sources.HOME, sources.commit())"
    code += "\nsys.exit(run.main(['table2', '--dry-run']))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy,
        env=environment() | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{copy} unknown"
