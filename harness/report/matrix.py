"""The matrix of verdicts: each claim of the paper by data set and preset, from the reports that have been written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.store.files import read_json

Told = Mapping[str, Any]  # a verdict as claims.json has it


@dataclass(frozen=True)
class Matrix:
    """Verdicts by claim and by (data, preset); ``lines`` hold one verdict per column, None where nothing was asked."""

    columns: Sequence[tuple[str, str]]
    lines: Sequence[tuple[Told, Sequence[Told | None]]]


def make_matrix(reports: Path) -> Matrix:
    """All verdicts that were measured under ``reports``; where one was given with more seeds, that one stands."""
    verdicts = [told for told in read_verdicts(reports) if told["status"] not in {"no data", "not judged"}]
    columns = list(dict.fromkeys((told["data"], told["preset"]) for told in verdicts))
    claims: dict[tuple[str, ...], dict[tuple[str, str], Told]] = {}
    for told in sorted(verdicts, key=lambda told: told["n"]):
        claim = (told["section"], told["quote"], told["note"], told["asserted"])
        claims.setdefault(claim, {})[told["data"], told["preset"]] = told
    ordered = sorted(claims.values(), key=lambda found: min(map(verdicts.index, found.values())))
    lines = []
    for found in ordered:
        lines.append((next(iter(found.values())), [found.get(column) for column in columns]))
    return Matrix(columns, lines)


def read_verdicts(reports: Path) -> Iterator[Told]:
    """Every verdict of every report; those of Table 2 come first."""
    for path in sorted(reports.glob("**/claims.json"), key=lambda path: ("table2" not in str(path), path)):
        yield from (told for told in read_json(path) or [] if "preset" in told)
