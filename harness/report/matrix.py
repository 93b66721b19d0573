"""The matrix of verdicts: each claim of the paper by data set and preset, from the reports that have been written."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.store.files import read_json

Told = Mapping[str, Any]  # a verdict as claims.json has it
Name = tuple[str, ...]
BED = "synthetic"
NUMBERS = re.compile(r" \(row \d+ over \d+\)$")
ROWS = re.compile(r"row \d+ beats row \d+")  # the same step has other numbers in other tables


@dataclass(frozen=True)
class Matrix:
    """Verdicts by claim and by (data, preset); ``lines`` hold one verdict per column, None where nothing was asked."""

    columns: Sequence[tuple[str, str]]
    lines: Sequence[tuple[Told, Sequence[Told | None]]]


def make_matrix(reports: Path) -> Matrix:
    """All verdicts that were measured under ``reports``; where one was given with more seeds, that one stands."""
    verdicts = [told for told in read_verdicts(reports) if told["status"] not in {"no data", "not judged"}]
    columns = sorted({find_column(told) for told in verdicts}, key=lambda column: (column[0] != BED, *column))
    unclear = find_unclear(verdicts)
    claims: dict[Name, dict[tuple[str, str], Told]] = {}
    for told in sorted(verdicts, key=lambda told: told["n"]):
        short = name_step(told)
        name = (*short, told["asserted"]) if short in unclear else short
        claims.setdefault(name, {})[find_column(told)] = told
    lines = []
    for found in sorted(claims.values(), key=lambda found: min(map(verdicts.index, found.values()))):
        cells = [found.get(column) for column in columns]
        lines.append((next(cell for cell in cells if cell), cells))
    return Matrix(columns, lines)


def find_column(told: Told) -> tuple[str, str]:
    """Data set and preset."""
    return told["data"], told["preset"]


def name_step(told: Told) -> Name:
    """What is said of which step, whatever numbers its rows have."""
    return told["section"], told["quote"], told["note"], ROWS.sub("a row beats another", told["asserted"])


def find_unclear(verdicts: Sequence[Told]) -> set[Name]:
    """Steps whose name means several contrasts on the same data and preset: there row numbers tell them apart."""
    contrasts: dict[tuple[Name, tuple[str, str]], set[str]] = defaultdict(set)
    for told in verdicts:
        contrasts[name_step(told), find_column(told)].add(told["contrast"])
    return {name for (name, _), found in contrasts.items() if len(found) > 1}


def name_line(cells: Sequence[Told | None]) -> str:
    """What a line of the matrix is about, in few words: 'SCC on mAP'."""
    names = [NUMBERS.sub("", told["brief"]) for told in cells if told]
    return min(names, key=len)


def shorten_words(told: Told) -> str:
    """'appears', 'smaller': a verdict in a cell whose column says on which data."""
    word: str = told["words"].partition(" on the ")[0]
    return word.removesuffix(" than claimed")


def read_verdicts(reports: Path) -> Iterator[Told]:
    """Every verdict of every report; those of Table 2 come first."""
    for path in sorted(reports.glob("**/claims.json"), key=lambda path: ("table2" not in str(path), path)):
        yield from (told for told in read_json(path) or [] if "brief" in told)


def format_markdown(matrix: Matrix) -> str:
    """The matrix as a Markdown table: verdict, measured difference and seeds in each cell."""
    heads = ["claim", *(f"{data}, {preset}" for data, preset in matrix.columns)]
    rows = [heads, ["---"] * len(heads)]
    for first, cells in matrix.lines:
        claim = f"{name_line(cells)}: \u201c{first['quote']}\u201d{format_claimed(first)}"
        rows.append([claim, *(format_cell(cell) for cell in cells)])
    return "".join(format_line(row) for row in rows)


def format_line(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |\n"


def format_claimed(told: Told) -> str:
    """', +2' of a claim with a size."""
    return "" if told.get("claimed") is None else f", {told['claimed']:+g}"


def format_cell(told: Told | None) -> str:
    """'supported, +2.1 (n 8)'; empty where nothing was asked."""
    return f"{shorten_words(told)}, {told['delta']:+.1f} (n {told['n']})" if told else ""
