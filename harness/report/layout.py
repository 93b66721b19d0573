"""A study's table as heads and lines, independent of the format it is written in.

Two layouts, after the paper: an ablation shows measured beside published in each line; a comparison with other methods
has one number per column, and our rows beneath the reported ones, published and measured.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any, Literal

from harness.claims import statistics as stats
from harness.report.notation import spell_settings
from harness.study.metrics import find_metric, is_percent

if TYPE_CHECKING:
    from harness.study import Column, Row, Study

CHECK, DASH = "✓", "–"
FIGURE_SPACE = "\u2007"  # as wide as a digit
OURS = "Ours"  # the group of a study's own rows beside reported ones
SELECTED = " (test-selected)"  # behind a column that shows the best checkpoint on test


@dataclass(frozen=True)
class Cell:
    """One row and column of a table; ``difference`` is against the row's reference (None for that row itself)."""

    row: int
    label: str
    column: str
    paper: float | None
    paper_std: float | None
    summary: stats.Summary
    difference: stats.Difference | None
    digits: int


@dataclass(frozen=True)
class Head:
    """A column: its kind is row, text, check, measured, difference, paper or n; ``group`` stands above columns."""

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
    """A table ready for any format; ``best`` are the (line, position) of the best numbers of their columns."""

    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    best: frozenset[tuple[int, int]] = frozenset()


def count_digits(name: str) -> int:
    """Digits behind the point of a metric."""
    metric = find_metric(name)
    return metric.digits if metric else 2


def name_column(column: "Column") -> str:
    """A column's name, labelled where it shows the checkpoint that is best on test."""
    return column.name + (SELECTED if column.selection == "best" else "")


def lay_out(study: "Study", cells: Sequence[Cell], differences: bool = False) -> Layout:
    """The table of a study in the layout that it asks for; ``differences`` to the reference row, where there is one."""
    by_column = {}
    for column in study.columns:
        by_column[column.name] = [cell for cell in cells if cell.column == name_column(column)]
    if study.reported:
        return lay_comparison(study, by_column)
    return lay_ablation(study, by_column, differences)


def lay_ablation(study: "Study", by_column: Mapping[str, Sequence[Cell]], differences: bool) -> Layout:
    """One line per row: number, toggles or label, then measured and published per column, and n."""
    ticks, rows = list_ticks(study), study.rows
    columns = [(Head("Row", "row"), [str(row.number) for row in rows])]
    if has_labels(study):
        columns.append((Head("Setting", "text"), [spell_settings(row.label) for row in rows]))
    for tick in ticks:
        columns.append((Head(tick, "check"), [CHECK if tick in row.on else "" for row in rows]))
    compared_to = name_reference(rows) if differences else ""
    fullest = find_fullest(by_column)
    for column in study.columns:
        columns += list(lay_column(name_column(column), by_column[column.name], fullest, compared_to))
    columns.append((Head("n", "n"), count_seeds(rows, fullest)))
    heads, texts = zip(*columns)
    lines = [Line("ablation", cells) for cells in zip(*texts)]
    return Layout(heads, tuple(lines), find_best(heads, lines, study))


def name_reference(rows: Sequence["Row"]) -> str:
    """The head of differences: to which row, where that is the same for all."""
    references = {row.reference for row in rows if row.reference != row.number}
    return f"to row {references.pop()}" if len(references) == 1 else "to ref."


def lay_column(
    name: str, cells: Sequence[Cell], fullest: Mapping[int, stats.Summary], compared_to: str
) -> Iterator[tuple[Head, list[str]]]:
    """What is shown of one column of the study: measured, beside it published and the difference to the reference.

    ``compared_to``: the head of the differences; empty where none are shown.
    """
    published = any(cell.paper is not None for cell in cells)
    compared = bool(compared_to) and any(cell.difference and cell.difference.n for cell in cells)
    group = name if published or compared else ""
    yield Head("measured" if group else name, "measured", group), list_measured(cells, fullest)
    if compared:
        yield Head(compared_to, "difference", group), list_differences(cells)
    if published:
        yield Head("paper", "paper", group), list_published(cells)


def lay_comparison(study: "Study", by_column: Mapping[str, Sequence[Cell]]) -> Layout:
    """Reported methods, then each of our rows: as published (where it is) and as measured."""
    names = [Head(name_column(column), "measured") for column in study.columns]
    heads = (Head("Row", "row"), Head("Method", "text"), Head("", "text"), *names, Head("n", "n"))
    fullest = find_fullest(by_column)
    measured = zip(*(list_measured(cells, fullest) for cells in by_column.values()))
    published = zip(*(list_published(cells) for cells in by_column.values()))
    seeds = count_seeds(study.rows, fullest)
    lines = [make_reported_line(study, entry) for entry in study.reported]
    for row, ours, theirs, n in zip(study.rows, measured, published, seeds):
        label = spell_settings(row.label)
        if row.paper:
            lines.append(Line("published", ("", label, "published", *theirs, ""), OURS))
        lines.append(Line("measured", (str(row.number), label, "measured", *ours, n), OURS))
    table = Layout(heads, tuple(lines), find_best(heads, lines, study))
    several = len({line.group for line in lines if line.kind == "reported"}) > 1
    return name_sections(table) if several else table


def name_sections(table: Layout) -> Layout:
    """The table with each group's name before its first line."""
    groups = [""] + [line.group for line in table.lines]
    lines = []
    for line, before in zip(table.lines, groups):
        name = "" if line.group == before else line.group
        lines.append(replace(line, cells=(name, *line.cells)))
    best = frozenset((line, position + 1) for line, position in table.best)
    return Layout((Head("", "text"), *table.heads), tuple(lines), best)


def make_reported_line(study: "Study", entry: Mapping[str, Any]) -> Line:
    """The line of another method."""
    numbers = [format_number(entry["paper"].get(c.name), count_digits(c.metric)) for c in study.columns]
    return Line("reported", ("", entry["label"], entry.get("venue", ""), *numbers, ""), entry.get("group", ""))


def list_measured(cells: Sequence[Cell], fullest: Mapping[int, stats.Summary]) -> list[str]:
    """'41.2 ± 1.3' with the same decimals in all rows, aligned at the ±; n/N behind it where its row has more."""
    digits = choose_digits(cells)
    means, spreads, tails = [], [], []
    for cell in cells:
        summary = cell.summary
        means.append(f"{summary.mean:.{digits}f}" if summary.n else DASH)
        spreads.append(f"{summary.std:.{digits}f}" if isfinite(summary.std) else "")
        tails.append(f" ({summary.n}/{summary.asked})" if 0 < summary.n < fullest[cell.row].n else "")
    return [left + right for left, right in zip(join_spreads(means, spreads), pad(tails, "<"))]


def list_published(cells: Sequence[Cell]) -> list[str]:
    """The paper's numbers, with their standard deviations where it prints them."""
    known = [f"{cell.paper_std:g}" for cell in cells if cell.paper_std is not None]
    digits = max((len(text.partition(".")[2]) for text in known), default=0)
    stds = ["" if cell.paper_std is None else f"{cell.paper_std:.{digits}f}" for cell in cells]
    return join_spreads([format_number(cell.paper, cell.digits) for cell in cells], stds)


def list_differences(cells: Sequence[Cell]) -> list[str]:
    """Differences to the reference row, signed; nothing for that row itself."""
    digits = choose_digits(cells)
    shown = [cell.difference if cell.difference and cell.difference.n else None for cell in cells]
    return ["" if d is None else f"{d.delta:+.{digits}f}" for d in shown]


def choose_digits(cells: Sequence[Cell]) -> int:
    """Decimals of a column: its metric's, up to two more where most standard deviations would read 0."""
    digits = max((cell.digits for cell in cells), default=1)
    stds = sorted(cell.summary.std for cell in cells if isfinite(cell.summary.std) and cell.summary.std > 0)
    middle = stds[len(stds) // 2] if stds else inf
    return next((d for d in (digits, digits + 1) if middle >= 0.5 * 10.0**-d), digits + 2)


def join_spreads(means: Sequence[str], spreads: Sequence[str]) -> list[str]:
    """Means and standard deviations as text, aligned at the ±."""
    behind = [f" ± {spread}" if text else "" for spread, text in zip(pad(spreads, ">"), spreads)]
    return [mean + spread for mean, spread in zip(means, pad(behind, "<"))]


def pad(texts: Sequence[str], side: Literal["<", ">"]) -> list[str]:
    """Texts of equal length, filled with spaces that are as wide as a digit."""
    width = max(map(len, texts), default=0)
    return [f"{text:{FIGURE_SPACE}{side}{width}}" for text in texts]


def format_number(value: float | None, digits: int) -> str:
    """A published number, with more digits where it has them; a dash for none."""
    if value is None:
        return DASH
    return max(f"{value:.{digits}f}", f"{value:g}", key=len)


def drop_spreads(table: Layout) -> Layout:
    """The table with means alone."""
    lines = []
    for line in table.lines:
        lines.append(replace(line, cells=tuple(cell.partition(" ± ")[0].rstrip() for cell in line.cells)))
    return replace(table, lines=tuple(lines))


def select_columns(table: Layout, positions: Sequence[int]) -> Layout:
    """The table with these of its columns."""
    heads = tuple(table.heads[i] for i in positions)
    best = frozenset((number, positions.index(i)) for number, i in table.best if i in positions)
    lines = []
    for line in table.lines:
        lines.append(replace(line, cells=tuple(line.cells[i] for i in positions)))
    return Layout(heads, tuple(lines), best)


def find_best(heads: Sequence[Head], lines: Sequence[Line], study: "Study") -> frozenset[tuple[int, int]]:
    """Where the highest measured, and the highest published, number of each column in percent stands."""
    higher = {name_column(column) for column in study.columns if is_percent(column.metric)}
    best: set[tuple[int, int]] = set()
    for position, head in enumerate(heads):
        if head.kind not in {"measured", "paper"} or (head.group or head.name) not in higher:
            continue
        for kinds in ({"ablation", "measured"}, {"reported", "published"}):
            found = {i: read_mean(line.cells[position]) for i, line in enumerate(lines) if line.kind in kinds}
            known = {i: value for i, value in found.items() if isfinite(value)}
            if len(known) > 1:
                best |= {(i, position) for i, value in known.items() if value == max(known.values())}
    return frozenset(best)


def read_mean(text: str) -> float:
    """The number that a cell shows; NaN for none."""
    number = re.match(r"-?\d+(\.\d+)?", text)
    return float(number[0]) if number else nan


def list_ticks(study: "Study") -> list[str]:
    """Toggles shown as columns of check marks; one alone says no more than a label."""
    toggled = any(row.on for row in study.rows)
    ticks = list(study.toggles) if toggled else []
    return ticks if len(ticks) > 1 or not has_labels(study) else []


def has_labels(study: "Study") -> bool:
    """Whether rows have labels that say more than their toggles."""
    return not study.toggles or any(row.label != (" + ".join(row.on) or "baseline") for row in study.rows)


def group_heads(heads: Sequence[Head]) -> list[tuple[str, int]]:
    """Neighbouring heads of the same group, with their number."""
    return [(group, len(list(members))) for group, members in groupby(heads, key=lambda head: head.group)]


def find_fullest(by_column: Mapping[str, Sequence[Cell]]) -> dict[int, stats.Summary]:
    """The summary of each row that has most seeds."""
    out: dict[int, stats.Summary] = {}
    for cell in (cell for cells in by_column.values() for cell in cells):
        out[cell.row] = max(out.get(cell.row, cell.summary), cell.summary, key=lambda summary: summary.n)
    return out


def count_seeds(rows: Sequence["Row"], fullest: Mapping[int, stats.Summary]) -> list[str]:
    """Seeds of each row; n/N where some are missing."""
    known = [fullest[row.number] for row in rows]
    return [f"{one.n}/{one.asked}" if 0 < one.n < one.asked else str(one.n) for one in known]
