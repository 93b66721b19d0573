"""A study as a table, measured beside published: its cells, tidy CSV and Markdown.

Records are handed in; nothing here reads a store. No time, path, host or run id enters a table.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.claims import statistics as stats
from harness.report.layout import FIGURE_SPACE, Cell, Head, Layout, count_digits, lay_out, name_column
from harness.store.records import Records

if TYPE_CHECKING:
    from harness.study import Column, Row, Study

FIELDS = ("row", "label", "metric", "paper", "mean", "std", "n", "delta", "ci_low", "ci_high", "p")
RULES = {"text": "---", "check": ":-:"}  # under the heads of a Markdown table, else "--:"


def make_cells(records: Records) -> list[Cell]:
    """Every cell of the study, row by row."""
    study = records.study
    return [make_cell(row, column, records.values) for row in study.rows for column in study.columns]


def make_cell(row: "Row", column: "Column", values: Mapping[tuple[int, str], Mapping[int, float]]) -> Cell:
    """A row's summary over seeds and its paired difference to the row it refers to."""
    mine = values.get((row.number, column.name), {})
    reference = values.get((row.reference, column.name), {})
    return Cell(
        row=row.number,
        label=row.label,
        column=name_column(column),
        paper=row.paper.get(column.name),
        paper_std=row.paper_std.get(column.name),
        summary=stats.summary(list(mine.values())),
        difference=None if row.reference == row.number else stats.difference(stats.pairs(mine, reference)),
        digits=count_digits(column.metric),
    )


def format_csv(study: "Study", cells: Sequence[Cell]) -> str:
    """Tidy CSV: one line per row and metric; reported rows of other methods have a published number only."""
    import pandas as pd

    lines = [
        {"label": entry["label"], "metric": name_column(column), "paper": entry["paper"].get(column.name)}
        for entry in study.reported
        for column in study.columns
    ]
    table = pd.DataFrame([*lines, *map(list_fields, cells)], columns=list(FIELDS))
    whole = table.astype({"row": "Int64", "n": "Int64"})
    return whole.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def list_fields(cell: Cell) -> dict[str, Any]:
    """A cell as a line of the CSV."""
    summary, difference = cell.summary, cell.difference or stats.NONE
    return {
        "row": cell.row,
        "label": cell.label,
        "metric": cell.column,
        "paper": cell.paper,
        "mean": summary.mean,
        "std": summary.std,
        "n": summary.n,
        "delta": difference.delta,
        "ci_low": difference.low,
        "ci_high": difference.high,
        "p": difference.p,
    }


def format_markdown(study: "Study", cells: Sequence[Cell], notes: Sequence[str]) -> str:
    """The table in Markdown, title above and notes below; the best of a column in bold."""
    shown = lay_out(study, cells)
    heads = join_bars([name_head(head) for head in shown.heads])
    rules = join_bars([RULES.get(head.kind, "--:") for head in shown.heads])
    lines = [join_bars(list(mark_best(shown, number))) for number in range(len(shown.lines))]
    listed = [f"- {note}" for note in notes]
    return "\n".join([f"# {study.title}", "", heads, rules, *lines, "", *listed]) + "\n"


def mark_best(shown: Layout, number: int) -> Iterator[str]:
    """The cells of a line, the best of their columns between asterisks."""
    for position, text in enumerate(shown.lines[number].cells):
        cell = text.replace(FIGURE_SPACE, " ").rstrip() if position else text
        mean, sign, spread = cell.partition(" ± ")
        yield f"**{mean}**{sign}{spread}" if (number, position) in shown.best else cell


def name_head(head: Head) -> str:
    """A head that stands alone: a format without groups needs its group's name."""
    return f"{head.group} ({head.name})" if head.kind == "paper" else head.group or head.name


def join_bars(line: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
