"""What the commands share: exit codes, signals, standard streams that fail, kinds of arguments, the terminal.

Exit codes: 0 everything asked for is there, 1 some run failed or the disk is full, 2 bad input (nothing was written),
128 + n ended by signal n: 130 Ctrl-C (SIGINT), 143 SIGTERM, 129 SIGHUP. What is finished is kept; the same command goes
on from there.
"""

import _thread
import argparse
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # disk or quota full, read-only
AGAIN = 0.01  # seconds until a signal that was dropped is raised again
LONGEST = 18  # digits of a whole number
FOLDERS = ("store", "data", "reports", "asked", "searches")  # in a folder of results
FILES = ("names.json", "store.lock", "mlflow.lock")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to end. A class of its own: Python ends by SIGINT where it once saw a plain one."""


def guard(command: Callable[[], int]) -> int:
    """Run a command's body; returns its exit code, or that of the signal that ended it."""
    open_closed()
    with hear_signals() as heard, keep_streams():
        try:
            code = command() if is_somewhere() else 2
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
        except RuntimeError as error:
            if not isinstance(error.__cause__, Interrupted):  # Python wraps what is raised while a class is made
                raise
            code = 128 + signal.SIGINT
        except OSError as error:
            code = tell_denied(error)
        if not heard:
            return code
        print("interrupted: finished runs are kept; the same command goes on from there", file=sys.stderr)
        return 128 + heard[0]


def tell_denied(error: OSError) -> int:
    """Say what the machine does not allow, no room or no right; other errors are raised on."""
    if error.errno in NO_ROOM:
        print(f"{error}: finished runs are kept; with room, the same command goes on from there", file=sys.stderr)
    elif isinstance(error, PermissionError) and error.filename:
        print(f"{error.filename}: {error.strerror}; what is finished is kept", file=sys.stderr)
    else:
        raise error
    return 1


def open_closed() -> None:
    """Let standard streams that the caller closed (``>&-``) lead nowhere.

    Else a file that is opened next has their number, and what is printed goes into it.
    """
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def is_somewhere() -> bool:
    """Whether the working folder is there, which paths and messages are relative to; says so where it is gone."""
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        print("the working folder is gone; go to one that is there", file=sys.stderr)
        return False


@contextlib.contextmanager
def hear_signals() -> Iterator[list[int]]:
    """Turn signals into KeyboardInterrupt and list them.

    One that is raised where Python drops it (a weak reference's callback) is raised again as soon as that is over. A
    signal that was ignored when this process began (``nohup``) stays ignored.
    """
    heard: list[int] = []
    again: list[threading.Timer] = []

    def interrupt(number: int, frame: Any) -> None:
        heard.append(number)
        raise Interrupted

    def drop(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Interrupted):
            # at once it would be raised within this call, and dropped
            again.append(threading.Timer(AGAIN, _thread.interrupt_main, [heard[0]]))
            again[-1].start()
        else:
            told(unraisable)

    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {sign: signal.getsignal(sign) for sign in known}
    mine = [sign for sign, handler in before.items() if handler not in {signal.SIG_IGN, None}]
    for sign in mine:
        signal.signal(sign, interrupt)
    told, sys.unraisablehook = sys.unraisablehook, drop
    try:
        yield heard
    finally:
        sys.unraisablehook = told
        for timer in again:
            timer.cancel()
        for sign in mine:
            signal.signal(sign, before[sign])


class Outlet:
    """A standard stream whose reader may go away (``| head -1``) or whose disk may fill: what is printed is lost then.

    Results matter more than what is said about them.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with self.surviving():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self.surviving():
            self.stream.flush()

    @contextlib.contextmanager
    def surviving(self) -> Iterator[None]:
        """Send everything further nowhere once writing failed."""
        try:
            yield
        except OSError:
            with open(os.devnull, "w") as nowhere, contextlib.suppress(OSError):
                os.dup2(nowhere.fileno(), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextlib.contextmanager
def keep_streams() -> Iterator[None]:
    """Make the standard streams survive a closed pipe, a full disk and characters that they cannot show."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = map(Outlet, before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout, sys.stderr = before


class Parser(argparse.ArgumentParser):
    """A command line that takes no abbreviated option, and names the nearest one."""

    def __init__(self, prog: str | None = None, **options: Any) -> None:
        super().__init__(prog, allow_abbrev=False, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse; exit code 2 where an option is unknown, also one of a subcommand."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            from harness.errors import hint

            name = unknown[0].partition("=")[0]
            known = [option for option in self._option_string_actions if option.startswith("--")]
            self.error(f"unknown option '{name}'; {hint(name, known)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without all options before it."""
        self.exit(2, f"{self.prog}: {message}\n(--help explains the options)\n")


def positive(text: str) -> int:
    """A whole number above 0."""
    return read_number(text, 1, "above 0")


def whole(text: str) -> int:
    """A whole number from 0 on."""
    return read_number(text, 0, "from 0 on")


def read_number(text: str, least: int, words: str) -> int:
    """A whole number of at least ``least``, which ``words`` say."""
    if not (text.isascii() and text.isdecimal() and len(text) <= LONGEST and int(text) >= least):
        raise argparse.ArgumentTypeError(f"'{text[:60]}' is not a whole number {words}, of {LONGEST} digits at most")
    return int(text)


def slots(text: str) -> int:
    """A number of processes that a machine can hold."""
    most = 64 * (os.cpu_count() or 1)
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:10]) <= most:
        raise argparse.ArgumentTypeError(
            f"'{text}' is not from 1 to {most}, 64 processes for each core of this machine"
        )
    return int(text)


def duration(text: str) -> float:
    """Seconds from "90", "90s", "30m", "2h" or "1d"."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        seconds = float(number) * UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a time above 0 such as 90s, 30m, 2h or 1d")
    return seconds


def check_output(root: Path, option: str = "--output") -> list[str]:
    """What is wrong with a folder to be written to, as far as that can be seen without writing."""
    try:
        there = next(path for path in (root, *root.absolute().parents) if path.exists() or path.is_symlink())
        if there.resolve().is_relative_to("/proc") or there.resolve().is_relative_to("/sys"):
            return [f"{option}: '{there}' belongs to the kernel and holds no files"]
        if there.is_dir():
            return check_parts(root, option) if there == root else check_access(there, option)
        kind = "a link to nothing" if there.is_symlink() and not there.exists() else "a file"
        return [f"{option}: '{there}' is {kind}, not a folder"]
    except (OSError, RuntimeError, ValueError) as error:
        return [tell_unusable(root, error, option)]


def check_parts(root: Path, option: str) -> list[str]:
    """What is wrong with a folder that is there, and with what of results it may hold."""
    errors = check_access(root, option)
    for name in FOLDERS:
        if os.path.lexists(root / name):
            there = (root / name).is_dir()
            told = f"{option}: '{root / name}' is a file, not a folder"
            errors += check_access(root / name, option) if there else [told]
    wrong = [root / name for name in FILES if (root / name).is_dir()]
    return errors + [f"{option}: '{path}' is a folder, not a file" for path in wrong]


def check_access(folder: Path, option: str) -> list[str]:
    return [] if os.access(folder, os.W_OK) else [f"{option}: '{folder}' cannot be written"]


def check_file(path: Path, option: str) -> list[str]:
    """What is wrong with a file to be written: what is no regular file would be replaced by one, devices, too."""
    errors = check_output(path.parent, option)
    if not errors and os.path.lexists(path) and not path.is_file():
        return [f"{option}: '{path}' is there and is no regular file"]
    return errors


def check_results(root: Path) -> list[str]:
    """What keeps a folder from being one of results that something can be written to."""
    errors = check_output(root)
    return errors or ([] if root.is_dir() else [f"--output: '{root}' holds no results; harness.run writes them"])


def make_output(root: Path) -> list[str]:
    """Make the folder of results; returns what is wrong with it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        return [tell_unusable(root, error)]
    return []


def tell_unusable(root: Path, error: Exception, option: str = "--output") -> str:
    reason = error.strerror if isinstance(error, OSError) else error
    return f"{option}: '{str(root)[:200]}' cannot be a folder of results: {reason}"


def terminal() -> "Console":
    from rich.console import Console

    return Console()
