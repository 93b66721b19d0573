"""Bad input, told all at once: the two errors, the nearest allowed name, and values as messages show them."""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

MOST = 100  # lines of errors shown
LONGEST = 100  # characters shown of a name
LISTED = 500  # allowed names that are listed
COMPARED = 2000  # allowed names that may be what was meant


class ConfigError(Exception):
    """Bad input: ``errors`` lists everything that is wrong, one line each."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = sort_errors(dict.fromkeys(map(escape, errors)))
        if len(self.errors) > MOST:
            self.errors[MOST:] = [f"and {len(self.errors) - MOST} further errors"]
        super().__init__("\n".join(self.errors))


def escape(text: str) -> str:
    """A message without characters that a terminal would obey or not show."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def sort_errors(errors: Iterable[str]) -> list[str]:
    """Errors file by file, in the order of their lines."""
    files: dict[str, int] = {}

    def place(error: str) -> tuple[int, int, int]:
        at = re.match(r"(.+?):(\d+):(\d+): ", error)
        file, line, column = (at[1], int(at[2]), int(at[3])) if at else (error.partition(":")[0], 0, 0)
        return files.setdefault(file, len(files)), line, column

    return sorted(errors, key=place)


class DataError(ConfigError):
    """Bad data or a bad data setting; ``errors`` lists every finding, one line each."""


def hint(name: str, allowed: Iterable[str], listed: int = LISTED, compared: int = COMPARED) -> str:
    """The nearest allowed name and all of them, of very many the first, as the end of a message."""
    names = list(allowed)
    near = get_close_matches(name[:LONGEST], names[:compared], 1, 0.5)
    near = near or [n for n in names if n.lower() == name.lower()]
    more = f" and {len(names) - listed} more" if len(names) > listed else ""
    return (f"did you mean '{near[0]}'? " if near else "") + f"allowed: {', '.join(names[:listed]) or 'none'}{more}"


def tell_lack(needed: float) -> str:
    """What an allocation of ``needed`` bytes lacks on this machine; empty where it fits."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed <= there:
        return ""
    return f"about {needed / 2**30:,.0f} GB of memory; this machine has {there / 2**30:,.0f} GB"


def quote(name: object) -> str:
    """A name for a message, cut where it is very long."""
    text = str(name)
    return f"'{text}'" if len(text) <= LONGEST else f"'{text[:LONGEST]}...' ({len(text)} characters)"


def name_value(value: Any) -> str:
    """``value`` as a message shows it."""
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    return f"the text '{value[:60]}'" if isinstance(value, str) else str(value).replace("inf", ".inf")


def shorten_path(path: Path) -> str:
    """``path`` for a message: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def report_unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """'unknown WHAT 'NAME'; did you mean ...? allowed: ...' for a message."""
    return f"unknown {what} {quote(name)}; {hint(name, sorted(allowed))}"


def explain_unsafe(name: str) -> str:
    """Why ``name`` must not become part of a path; empty when it may."""
    if name in {"", "."} or ".." in name or any(character in name for character in "/\\\0"):
        return "is not a plain name (no '/', no '\\', no '..', not empty)"
    return ""
