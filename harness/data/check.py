"""What is wrong with a data set, all of it at once, and the nearest allowed name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class DataError(ValueError):
    """Bad data or a bad data setting; ``errors`` lists every finding, one line each."""

    def __init__(self, errors: Sequence[str]) -> None:
        self.errors = list(errors)
        super().__init__("\n".join(self.errors))


def unknown(what: str, name: str, allowed: Iterable[str]) -> str:
    """'unknown WHAT NAME; did you mean ...? allowed: ...' for a message."""
    names = sorted(allowed)
    near = get_close_matches(name, names, 1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"unknown {what} '{name}'; {hint}allowed: {', '.join(names)}"


def check_streams(streams: Sequence[str], allowed: Iterable[str] | None = None) -> list[str]:
    """What is wrong with ``source.streams``; ``allowed`` None accepts any plain folder name."""
    names = None if allowed is None else list(allowed)
    errors = [] if streams else ["source.streams: empty; at least one stream is needed"]
    for stream in sorted(set(streams)):
        if list(streams).count(stream) > 1:
            errors.append(f"source.streams: '{stream}' is named twice")
        if names is not None and stream not in names:
            errors.append(f"source.streams: {unknown('stream', stream, names)}")
        if names is None and (trouble := unsafe(stream)):
            errors.append(f"source.streams: '{stream}' {trouble}")
    return errors


def unsafe(name: str) -> str:
    """Why ``name`` must not become part of a path; empty when it may."""
    if name in {"", "."} or ".." in name or any(character in name for character in "/\\\0"):
        return "is not a plain name (no '/', no '\\', no '..', not empty)"
    return ""
