"""A program of many processes that ends with this one, however this one ends: ``kill -9`` leaves nothing behind.

``run_on_leash`` starts the program in a session of its own, and beside it ``python -m harness.execute.leash GROUP``,
which waits for the end of its standard input (the kernel closes it when the caller is gone) and then ends the session.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

PATIENCE = 5.0  # seconds that the program has to end before it is killed
TICK = 0.5  # seconds between looks at who started this process


def run_on_leash(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program until it ends, or this process does, or the one that started this one; returns the exit code.

    Under ``nohup`` (SIGHUP is ignored) the program outlives whoever started this process.
    """
    starter, stays = os.getppid(), signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    program = subprocess.Popen(command, env=environment, start_new_session=True)
    holder = [sys.executable, "-m", "harness.execute.leash", str(program.pid)]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, start_new_session=True) as leash:
        try:
            while program.poll() is None and (stays or os.getppid() == starter):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(TICK)
        finally:
            assert leash.stdin is not None
            leash.stdin.close()
            program.wait(2 * PATIENCE)
    return program.returncode


def hold(group: int) -> None:
    """Wait for the end of standard input, then end a process group."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    end = time.monotonic() + PATIENCE
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.05)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    hold(int(sys.argv[1]))
