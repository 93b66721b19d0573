"""A program on a leash ends with its caller, its own children included, whatever ends the caller."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from support import faults

HOME = Path(__file__).resolve().parents[1]
PROGRAM = """
import pathlib, signal, subprocess, sys, time
if {stubborn}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path("pids.part").write_text(str(child.pid))
pathlib.Path("pids.part").rename("pids")
child.wait()
"""
CALLER = """
import os, sys
from harness.cli import hear_signals
from harness.execute.leash import run_on_leash
with hear_signals() as heard:
    try:
        sys.exit(run_on_leash([sys.executable, "program.py"], os.environ))
    except KeyboardInterrupt:
        sys.exit(128 + heard[0])
"""
STARTER = "import subprocess, sys; subprocess.run([sys.executable, 'caller.py'])"


def launch(folder, *command, stubborn=False, **options):
    """Start the caller, or what starts it; returns that process once the program has a child."""
    (folder / "program.py").write_text(PROGRAM.format(stubborn=stubborn))
    (folder / "caller.py").write_text(CALLER)
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    process = subprocess.Popen([sys.executable, *command], cwd=folder, env=environment, **options)
    assert faults.wait_until((folder / "pids").exists)
    return process


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def check_ended(processes):
    assert faults.wait_until(lambda: not any(is_running(process) for process in processes)), processes


def is_running(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_with_its_caller(sign, stubborn, tmp_path):
    caller = launch(tmp_path, "caller.py", stubborn=stubborn, **faults.HEARING)
    family = descendants(caller)
    assert len(family) == 3, "the program, its child and the leash"
    caller.send_signal(sign)
    code = caller.wait(faults.PATIENCE)
    assert code == (-sign if sign == signal.SIGKILL else 128 + sign)
    check_ended(family)


def test_it_ends_with_who_started_the_caller(tmp_path):
    starter = launch(tmp_path, "-c", STARTER, **faults.HEARING)
    family = descendants(starter)
    assert len(family) == 4
    starter.kill()
    starter.wait(faults.PATIENCE)
    check_ended(family)


def test_under_nohup_it_stays(tmp_path):
    starter = launch(tmp_path, "-c", STARTER, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    family = descendants(starter)
    starter.kill()
    starter.wait(faults.PATIENCE)
    (caller,) = [process for process in family if process.cmdline()[1:] == ["caller.py"]]
    with pytest.raises(psutil.TimeoutExpired):
        caller.wait(2)
    caller.terminate()
    check_ended(family)


def test_a_program_that_ends_gives_its_exit_code(tmp_path):
    (tmp_path / "program.py").write_text("raise SystemExit(7)")
    (tmp_path / "caller.py").write_text(CALLER)
    done = subprocess.run(
        [sys.executable, "caller.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(HOME)}, check=False, timeout=60
    )
    assert done.returncode == 7


@pytest.mark.slow
def test_the_pages_end_with_who_asked_for_them(tmp_path):
    """MLflow's server itself: kill -9 of what started ``harness.ui`` leaves no process and a free port."""
    from harness.track.database import create_database

    create_database(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    call = [sys.executable, "-m", "harness.ui", "--output", str(tmp_path), "--port", str(port)]
    starter = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({call})"], env=os.environ | {"PYTHONPATH": str(HOME)}
    )
    answered = faults.wait_until(lambda: answers(port), 2 * faults.PATIENCE)
    served = [ask(port, host) for host in (f"127.0.0.1:{port}", "evil.example")]
    family = descendants(starter)
    starter.kill()
    starter.wait(faults.PATIENCE)
    check_ended(family)
    assert answered
    assert served == [200, 403], "a page of another name that leads here (DNS rebinding) reads nothing"
    assert not answers(port)


def ask(port, host):
    """Status of the answer to a question for all experiments under a name of this machine."""
    where = f"http://127.0.0.1:{port}/ajax-api/2.0/mlflow/experiments/search?max_results=1"
    try:
        return urllib.request.urlopen(urllib.request.Request(where, headers={"Host": host}), timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


def answers(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200
    except OSError:
        return False
