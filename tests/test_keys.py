"""Every setting stands in the key of what it determines: all of them are walked, none is listed here."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from math import inf
from typing import Any

import pytest

from harness.settings import Settings
from harness.study.keys import keys
from model.options import OPTIONS
from model.settings import CaseSettings

NOT_IN_KEYS = "source."  # the videos enter by their fingerprint
READING = ("localization.", "metrics.")  # how stored scores are read


def walk(part: Any, prefix: str = "") -> Iterator[tuple[str, ...]]:
    """The path of every leaf of nested dataclasses."""
    for field in fields(part):
        value, path = getattr(part, field.name), (*prefix, field.name)
        yield from walk(value, path) if is_dataclass(value) else [path]


def changed(part: Any, path: tuple[str, ...]) -> Any:
    """A copy with another value at a path, valid or not: keys ask only whether it is another."""
    name, *rest = path
    value = getattr(part, name)
    return replace(part, **{name: changed(value, tuple(rest)) if rest else other(value)})


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if value != inf else 1.0
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, Mapping):
        return {**value, "more": 1.0}
    return (*value, 1.0) if isinstance(value, tuple) else "x"


def is_scoring(settings: Settings, path: tuple[str, ...]) -> bool:
    """Whether a field says that it changes only how stored scores are read."""
    part: Any = settings
    for name in path[:-1]:
        part = getattr(part, name)
    marked = {field.name for field in fields(part) if field.metadata.get("scoring")}
    return path[-1] in marked or ".".join(path).startswith(READING)


@pytest.mark.parametrize("baseline", OPTIONS)
def test_a_changed_setting_changes_the_keys_of_what_it_determines(baseline: str) -> None:
    settings = Settings(case=CaseSettings(baseline=baseline, options=OPTIONS[baseline]()))
    training, scoring = keys(settings, 0, "print")
    for path in walk(settings):
        mine = keys(changed(settings, path), 0, "print")
        dotted = ".".join(path)
        trains = not dotted.startswith(NOT_IN_KEYS) and not is_scoring(settings, path)
        assert (mine[0] != training) is trains, f"training key and {dotted}"
        assert (mine[1] != scoring) is not dotted.startswith(NOT_IN_KEYS), f"scoring key and {dotted}"


def test_seed_and_data_are_in_both_keys() -> None:
    first = keys(Settings(), 0, "print")
    for others in (keys(Settings(), 1, "print"), keys(Settings(), 0, "another")):
        assert others[0] != first[0]
        assert others[1] != first[1]
