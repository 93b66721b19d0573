"""The index of equations leads to code whose docstring names the equation."""

import re
from importlib import import_module

import pytest

from model import EQUATIONS

ALL = [*range(1, 26), 30]


def resolved(place):
    """'model.case.Case.step' -> that function."""
    parts = place.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"{place} leads nowhere")


def named(docstring):
    """Numbers that a docstring names: "Eq. 20, 22" and "Eq. 6 (7, 21-23)" name all of theirs."""
    out = set()
    for text in re.findall(r"Eq\. ([\d ,()-]+)", docstring):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
            out |= set(range(int(first), int(last or first) + 1))
    return out


def test_every_equation_is_there():
    assert list(EQUATIONS) == [f"Eq. {n}" for n in ALL]


@pytest.mark.parametrize("number", ALL)
def test_entry_resolves_and_its_docstring_names_the_equation(number):
    found = resolved(EQUATIONS[f"Eq. {number}"])
    assert callable(found)
    assert number in named(found.__doc__), found.__doc__


def test_numbers_are_read_from_docstrings():
    assert named("Eq. 15 (14, 6-7): pseudo-labels. Eq. 4's polytope; row 8.") == {15, 14, 6, 7, 4}
