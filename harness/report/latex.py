"""A study as a LaTeX table: booktabs, measured beside published, check marks for toggles."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader

from harness.report.layout import Cell, Layout, group_heads, lay_out
from harness.report.notation import format_latex as escape

if TYPE_CHECKING:
    from harness.study import Study

WIDE = 80  # letters in a line, from which a table is shrunk to the text's width
ALIGN = {"text": "l", "check": "c", "row": "c"}  # else r


def format_latex(study: "Study", cells: Sequence[Cell], notes: Sequence[str]) -> str:
    """The table, ready for a document that loads the packages named in its first line."""
    shown = lay_out(study, cells)
    sections = [list(lines) for _, lines in groupby(shown.lines, key=lambda line: line.group)]
    return (
        make_environment()
        .get_template("table.tex")
        .render(
            title=study.title,
            align="".join(ALIGN.get(head.kind, "r") for head in shown.heads),
            heads=list_heads(shown),
            sections=[[join_cells(map(escape, line.cells)) for line in lines] for lines in sections],
            wide=measure_width(shown) > WIDE,
            notes=notes,
        )
    )


def make_environment() -> Environment:
    """Templates with delimiters that LaTeX does not use."""
    out = Environment(
        loader=PackageLoader("harness.report", "templates"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    out.filters["latex"] = escape
    return out


def measure_width(shown: Layout) -> int:
    """Letters in a line of the table."""
    columns = zip(*(line.cells for line in shown.lines))
    return sum(2 + max(map(len, column)) for column in columns)


def list_heads(shown: Layout) -> list[str]:
    """One line of heads, or groups, rules and heads where columns share a group."""
    names = join_cells(escape(head.name) for head in shown.heads)
    if not any(head.group for head in shown.heads):
        return [names]
    above, rules, at = [], [], 1
    for group, width in group_heads(shown.heads):
        if group:
            above.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        else:
            above.append(" & ".join([""] * width))
        at += width
    return [join_cells(above), "".join(rules), names]


def join_cells(line: Iterable[str]) -> str:
    return " & ".join(line) + r" \\"
