"""What the commands share: exit codes, signals, kinds of arguments, the terminal.

Exit codes: 0 everything asked for is there, 1 some run failed, 2 bad input (nothing was written), 130 interrupted.
"""

import argparse
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def guard(command: Callable[[], int]) -> int:
    """Run a command's body; SIGINT, SIGTERM and SIGHUP end it with 130, what is finished is kept."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)
    try:
        return command()
    except KeyboardInterrupt:
        print("interrupted: finished runs are kept; the same command goes on from there", file=sys.stderr)
        return 130


def interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def terminal() -> "Console":
    from rich.console import Console

    return Console()
