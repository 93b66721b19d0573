"""A study's table as heads and lines, independent of the format it is written in.

Two layouts, after the paper: an ablation shows measured beside published in each line; a comparison with other methods
has one number per column, and our rows beneath the reported ones, published and measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING, Any

from harness.claims import statistics as stats
from harness.study.metrics import find_metric

if TYPE_CHECKING:
    from harness.study import Column, Row, Study

CHECK, DASH = "✓", "–"
SELECTED = " (test-selected)"  # behind a column that shows the best checkpoint on test


@dataclass(frozen=True)
class Cell:
    """One row and column of a table; ``difference`` is against the row's reference (None for that row itself)."""

    row: int
    label: str
    column: str
    paper: float | None
    summary: stats.Summary
    difference: stats.Difference | None
    digits: int

    @property
    def text(self) -> str:
        """'41.2 ± 1.3', without a spread for one run, a dash for none; n/N behind it when a seed is missing."""
        s = self.summary
        if not s.n:
            return DASH
        digits = stats.decimals(s.std, self.digits, 3)
        spread = f" ± {s.std:.{digits}f}" if isfinite(s.std) else ""
        return f"{s.mean:.{self.digits}f}{spread}" + (f" ({s.n}/{s.asked})" if s.n < s.asked else "")

    @property
    def printed(self) -> str:
        return format_number(self.paper, self.digits)


@dataclass(frozen=True)
class Head:
    """A column: its kind is row, text, check, measured, paper or n. ``group`` stands above columns that share it."""

    name: str
    kind: str
    group: str = ""


@dataclass(frozen=True)
class Line:
    """A line: its kind is ablation, reported, published or measured; ``group`` is what it is listed under."""

    kind: str
    cells: tuple[str, ...]
    group: str = ""


@dataclass(frozen=True)
class Layout:
    """A table ready for any format."""

    heads: tuple[Head, ...]
    lines: tuple[Line, ...]


def format_number(value: float | None, digits: int) -> str:
    """A published number, with more digits where it has them; a dash for none."""
    if value is None:
        return DASH
    return max(f"{value:.{digits}f}", f"{value:g}", key=len)


def count_digits(name: str) -> int:
    """Digits behind the point of a metric."""
    metric = find_metric(name)
    return metric.digits if metric else 2


def name_column(column: "Column") -> str:
    """A column's name, labelled where it shows the checkpoint that is best on test."""
    return column.name + (SELECTED if column.selection == "best" else "")


def lay_out(study: "Study", cells: Sequence[Cell]) -> Layout:
    """The table of a study in the layout that it asks for."""
    by_row: dict[int, list[Cell]] = {row.number: [] for row in study.rows}
    for cell in cells:
        by_row[cell.row].append(cell)
    return lay_comparison(study, by_row) if study.reported else lay_ablation(study, by_row)


def lay_ablation(study: "Study", by_row: Mapping[int, list[Cell]]) -> Layout:
    """One line per row: number, toggles or label, then measured and published per column, and n."""
    ticks, labels = list_ticks(study), has_labels(study)
    published = [any(row.paper.get(c.name) is not None for row in study.rows) for c in study.columns]
    heads = [Head("Row", "row"), *([Head("Setting", "text")] if labels else []), *(Head(t, "check") for t in ticks)]
    for column, known in zip(study.columns, published):
        name = name_column(column)
        heads += (
            [Head("measured", "measured", name), Head("paper", "paper", name)] if known else [Head(name, "measured")]
        )
    lines = []
    for row in study.rows:
        line = [str(row.number), *([row.label] if labels else []), *(CHECK if t in row.on else "" for t in ticks)]
        for cell, known in zip(by_row[row.number], published):
            line += [cell.text, cell.printed] if known else [cell.text]
        lines.append(Line("ablation", (*line, count_seeds(by_row[row.number]))))
    return Layout((*heads, Head("n", "n")), tuple(lines))


def lay_comparison(study: "Study", by_row: Mapping[int, list[Cell]]) -> Layout:
    """Reported methods, then each of our rows: as published (where it is) and as measured."""
    heads = (
        *(Head("Row", "row"), Head("Method", "text"), Head("", "text")),
        *(Head(name_column(column), "measured") for column in study.columns),
        Head("n", "n"),
    )
    lines = [*(make_reported_line(study, entry) for entry in study.reported)]
    for row in study.rows:
        lines += list(make_own_lines(row, by_row[row.number]))
    several = len({line.group for line in lines if line.kind == "reported"}) > 1
    return name_sections(Layout(heads, tuple(lines))) if several else Layout(heads, tuple(lines))


def name_sections(table: Layout) -> Layout:
    """The table with each group's name before its first line."""
    groups = [""] + [line.group for line in table.lines]
    lines = tuple(
        replace(line, cells=("" if line.group == before else line.group, *line.cells))
        for line, before in zip(table.lines, groups)
    )
    return Layout((Head("", "text"), *table.heads), lines)


def make_reported_line(study: "Study", entry: Mapping[str, Any]) -> Line:
    """The line of another method."""
    numbers = [format_number(entry["paper"].get(c.name), count_digits(c.metric)) for c in study.columns]
    return Line("reported", ("", entry["label"], entry.get("venue", ""), *numbers, ""), entry.get("group", ""))


def make_own_lines(row: "Row", cells: Sequence[Cell]) -> Iterator[Line]:
    """The lines of one of our rows."""
    if any(cell.paper is not None for cell in cells):
        yield Line("published", ("", row.label, "published", *(c.printed for c in cells), ""), "Ours")
    numbers = [cell.text for cell in cells]
    yield Line("measured", (str(row.number), row.label, "measured", *numbers, count_seeds(cells)), "Ours")


def list_ticks(study: "Study") -> list[str]:
    """Toggles shown as columns of check marks; one alone says no more than a label."""
    ticks = [name for name in study.toggles if any(row.on for row in study.rows)]
    return ticks if len(ticks) > 1 or not has_labels(study) else []


def has_labels(study: "Study") -> bool:
    """Whether rows have labels that say more than their toggles."""
    return not study.toggles or any(row.label != (" + ".join(row.on) or "baseline") for row in study.rows)


def group_heads(heads: Sequence[Head]) -> list[tuple[str, int]]:
    """Neighbouring heads of the same group, with their number."""
    return [(group, len(list(members))) for group, members in groupby(heads, key=lambda head: head.group)]


def count_seeds(cells: Sequence[Cell]) -> str:
    """Seeds of a row."""
    return str(max((cell.summary.n for cell in cells), default=0))
