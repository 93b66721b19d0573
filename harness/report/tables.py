"""A study as a table, measured beside published: tidy CSV, Markdown, LaTeX (booktabs) and the terminal (rich).

Records are handed in; nothing here reads a store. No time, path, host or run id enters a table.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING

from harness.claims import statistics as stats
from harness.report import notation
from harness.report.layout import Cell, Head, Layout, digits_of, layout, title
from harness.store import results

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from harness.study import Column, Row, Study

FIELDS = ("row", "label", "metric", "paper", "mean", "std", "n", "delta", "ci_low", "ci_high", "p")
WIDE = 80  # letters in a line, from which a LaTeX table is shrunk to the text's width
Values = Mapping[tuple[int, str], dict[int, float]]  # (row, column) -> seed -> value


def cells(study: "Study", frame: "pd.DataFrame") -> list[Cell]:
    """Every cell of the study, row by row."""
    found = results.values(frame)
    return [cell(row, column, found) for row in study.rows for column in study.columns]


def cell(row: "Row", column: "Column", found: Values) -> Cell:
    """A row's summary over seeds and its paired difference to the row it refers to."""
    mine = found.get((row.number, column.name), {})
    reference = found.get((row.reference, column.name), {})
    difference = None if row.reference == row.number else stats.difference(stats.pairs(mine, reference))
    paper = row.paper.get(column.name)
    summary = stats.summary(list(mine.values()))
    return Cell(row.number, row.label, title(column), paper, summary, difference, digits_of(column.metric))


def write_csv(study: "Study", table: Sequence[Cell]) -> str:
    """Tidy CSV: one line per row and metric; reported rows of other methods have a published number only."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for reported in study.reported:
        for column in study.columns:
            paper = reported["paper"].get(column.name)
            writer.writerow(["", reported["label"], title(column), digits(paper), *[""] * 7])
    for c in table:
        d = c.difference or stats.NONE
        numbers = [c.summary.mean, c.summary.std, c.summary.n, d.delta, d.low, d.high, d.p]
        writer.writerow([c.row, c.label, c.column, digits(c.paper), *map(digits, numbers)])
    return out.getvalue()


def digits(value: float | int | None) -> str:
    """A number with six significant digits; empty for none."""
    if value is None or not isfinite(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def markdown(study: "Study", table: Sequence[Cell], notes: Sequence[str]) -> str:
    """The table in Markdown, title above and notes below."""
    shown = layout(study, table)
    names = [f"{head.group} ({head.name})" if head.kind == "paper" else head.group or head.name for head in shown.heads]
    rule = ["---" if head.kind == "text" else ":-:" if head.kind == "check" else "--:" for head in shown.heads]
    lines = [f"# {study.title}", "", bars(names), bars(rule), *(bars(line.cells) for line in shown.lines), ""]
    return "\n".join([*lines, *(f"- {note}" for note in notes)]) + "\n"


def bars(line: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"


def latex(study: "Study", table: Sequence[Cell], notes: Sequence[str]) -> str:
    """A booktabs table (needs booktabs, amssymb, graphicx): measured beside published, check marks for toggles."""
    shown = layout(study, table)
    align = "".join({"text": "l", "check": "c", "row": "c"}.get(head.kind, "r") for head in shown.heads)
    body = [rf"\begin{{tabular}}{{{align}}}", r"\toprule", *latex_heads(shown), r"\midrule"]
    for i, (_, lines) in enumerate(groupby(shown.lines, key=lambda line: line.group)):
        body += [*([r"\midrule"] if i else []), *(ampersands(map(notation.latex, line.cells)) for line in lines)]
    body += [r"\bottomrule", r"\end{tabular}"]
    if sum(2 + max(map(len, column)) for column in zip(*(line.cells for line in shown.lines))) > WIDE:
        body = [r"\resizebox{\textwidth}{!}{%", *body[:-1], body[-1] + "}"]
    opening = [r"% needs \usepackage{booktabs,amssymb,graphicx}", r"\begin{table}", r"\centering"]
    below = [rf"\par\footnotesize {notation.latex(note)}" for note in notes]
    return "\n".join([*opening, rf"\caption{{{notation.latex(study.title)}}}", *body, *below, r"\end{table}"]) + "\n"


def latex_heads(shown: Layout) -> list[str]:
    """One line of heads, or two where columns share a group."""
    names = ampersands(notation.latex(head.name) for head in shown.heads)
    if not any(head.group for head in shown.heads):
        return [names]
    above, rules, at = [], [], 1
    for group, width in groups(shown.heads):
        above.append(rf"\multicolumn{{{width}}}{{c}}{{{notation.latex(group)}}}" if group else " & ".join([""] * width))
        rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if group else []
        at += width
    return [ampersands(above), "".join(rules), names]


def groups(heads: Sequence[Head]) -> list[tuple[str, int]]:
    """Neighbouring heads of the same group, with their number."""
    return [(group, len(list(members))) for group, members in groupby(heads, key=lambda head: head.group)]


def ampersands(line: Iterable[str]) -> str:
    return " & ".join(line) + r" \\"


def terminal(study: "Study", table: Sequence[Cell], spread: bool = True) -> "Table":
    """The table for rich: measured beside published; means alone without ``spread``."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = layout(study, table)
    out = Table(title=Text(study.title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    out.padding, out.pad_edge = (0, 1, 0, 0), False
    for head in shown.heads:
        name = head.name if head.kind == "paper" else head.group or head.name
        justify = {"text": "left", "check": "center"}.get(head.kind, "right")
        style = "dim" if head.kind == "paper" else ""
        out.add_column(Text(name), justify=justify, style=style, no_wrap=True)  # type: ignore[arg-type]
    for i, line in enumerate(shown.lines):
        after = i + 1 < len(shown.lines) and shown.lines[i + 1].group != line.group
        style = "dim" if line.kind in {"reported", "published"} else ""
        shorter = line.cells if spread else [cell.partition(" ± ")[0] for cell in line.cells]
        out.add_row(*map(Text, shorter), style=style, end_section=after)
    return out
