"""Ctrl-C while a command is still importing ends it as the signal does: no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import faults

HOME = Path(__file__).resolve().parents[1]
COMMANDS = ("run", "report", "search", "predict", "evaluate", "verify", "bench", "data", "track", "ui")


@pytest.fixture
def interrupted(tmp_path):
    """A function that runs a command in which the first import of a module is hit by SIGINT."""

    def run(command, module="argparse", **options):
        (tmp_path / f"{module}.py").write_text(
            "import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(5)\nprint('went on')\n"
        )
        environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{HOME}"}
        call = [sys.executable, *command]
        return subprocess.run(call, env=environment, capture_output=True, text=True, check=False, timeout=60, **options)

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupted_import_says_nothing(name, interrupted):
    done = interrupted(["-m", f"harness.{name}", "--help"], **faults.HEARING)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_no_import_comes_before_the_signal_is_minded(interrupted):
    """``signal`` is Python code and imports more of it."""
    done = interrupted(["-m", "harness.run", "--help"], module="signal", **faults.HEARING)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_nohup_and_background_stay_deaf(interrupted):
    """A shell lets background processes ignore SIGINT; that is left as it is."""
    done = interrupted(
        ["-m", "harness.evaluate", "--help"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    )
    assert done.stdout == "went on\n"


def test_an_import_by_others_changes_no_handler():
    code = "import signal, harness; assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60, **faults.HEARING)


DROPPED = """
import signal, sys, time, weakref
from harness.cli import guard

class Thing:
    pass

def command():
    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.{name}))
    del thing  # Python drops what is raised in the callback
    for _ in range(1000):
        time.sleep(0.01)
    print("went on")
    return 0

sys.exit(guard(command))
"""


WRAPPED = """
import signal, sys
from harness.cli import guard

class Field:
    def __set_name__(self, owner, name):
        signal.raise_signal(signal.{name})

def command():
    class Options:  # Python raises RuntimeError from what is raised here
        weight = Field()
    print("went on")
    return 0

sys.exit(guard(command))
"""

COLLECTED = """
import signal, sys
from harness.cli import guard

class Last:
    def __del__(self):  # no exception can leave it
        signal.raise_signal(signal.{name})

def command():
    last = Last()
    del last
    return 0

sys.exit(guard(command))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("code", [DROPPED, WRAPPED, COLLECTED], ids=["callback", "class", "collected"])
def test_a_signal_where_python_drops_or_wraps_it_is_heard_without_a_traceback(code, name):
    environment = os.environ | {"PYTHONPATH": str(HOME)}
    call = [sys.executable, "-c", code.replace("{name}", name)]
    done = subprocess.run(
        call, env=environment, capture_output=True, text=True, check=False, timeout=60, **faults.HEARING
    )
    expected = "interrupted: finished runs are kept; the same command goes on from there\n"
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.Signals[name], "", expected)
