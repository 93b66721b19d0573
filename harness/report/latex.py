"""A study as a LaTeX table: booktabs, measured beside published, check marks for toggles."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader

from harness.report.layout import Cell, Layout, Line, group_heads, lay_out
from harness.report.notation import format_latex as escape

if TYPE_CHECKING:
    from harness.study import Study

ALIGN = {"text": "l", "check": "c", "row": "c"}  # else r
SIZES = (  # letters of a line that fit a text width of 345 pt, and the size of type with which they do
    (58, r"\normalsize"),
    (68, r"\small\setlength{\tabcolsep}{4pt}"),
    (80, r"\footnotesize\setlength{\tabcolsep}{2pt}"),
    (94, r"\scriptsize\setlength{\tabcolsep}{0.8pt}"),
    (1000, r"\tiny\setlength{\tabcolsep}{1.5pt}"),
)
TALL = 45  # lines from which they stand closer, with the notes behind the table: a float cannot go on on the next page
LEGIBLE = 94  # letters; in wider tables standard deviations stand below their means


def format_latex(study: "Study", cells: Sequence[Cell], notes: Sequence[str]) -> str:
    """The table, ready for a document that loads the packages named in its first line."""
    shown = lay_out(study, cells)
    wide = measure_width(shown) > LEGIBLE
    if wide:
        shown = lower_spreads(shown)
    lines = [join_cells(list_cells(shown, i)) for i in range(len(shown.lines))]
    groups = groupby(zip(shown.lines, lines), key=lambda entry: entry[0].group)
    tall = len(lines) > TALL
    closer = r"\renewcommand{\arraystretch}{0.81}" if tall else ""
    width = measure_width(shown, stacked=wide)
    size = next(size for letters, size in SIZES if width <= letters)
    align = [ALIGN.get(head.kind, "r") for head in shown.heads]
    sections = []
    for _, entries in groups:
        sections.append([text for _, text in entries])
    template = make_environment().get_template("table.tex")
    return template.render(
        title=study.title,
        name=study.name,
        size=size + closer,
        tall=tall,
        align="".join(align),
        heads=list_heads(shown, stacked=wide),
        sections=sections,
        notes=notes,
    )


def join_phantoms(text: str) -> str:
    """Spaces as wide as a digit, those that are neighbours as one."""
    return re.sub(r"(\\phantom\{0\})+", lambda run: rf"\phantom{{{'0' * run[0].count('0')}}}", text)


def lower_spreads(shown: Layout) -> Layout:
    """The table with each standard deviation in a line of its own, below its mean."""
    lines: list[Line] = []
    best = set()
    for i, line in enumerate(shown.lines):
        best |= {(len(lines), position) for number, position in shown.best if number == i}
        parts = [cell.partition(" ± ") for cell in line.cells]
        lines.append(replace(line, cells=tuple(mean for mean, _, _ in parts)))
        if any(sign for _, sign, _ in parts):
            below = tuple(f"±{spread}" if sign else "" for _, sign, spread in parts)
            lines.append(replace(line, cells=below))
    return Layout(shown.heads, tuple(lines), frozenset(best))


def list_cells(shown: Layout, number: int) -> Iterator[str]:
    """The cells of a line, the best of their columns in bold."""
    for position, text in enumerate(shown.lines[number].cells):
        cell = join_phantoms(escape(text))
        if (number, position) in shown.best:
            mean, sign, spread = cell.partition(r" $\pm$ ")
            cell = rf"\textbf{{{mean}}}{sign}{spread}"
        yield cell


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


def measure_width(shown: Layout, stacked: bool = False) -> int:
    """Letters in a line of the table; the words of ``stacked`` heads stand above each other."""
    columns = zip(*(line.cells for line in shown.lines))
    out = 0
    for head, cells in zip(shown.heads, columns):
        words = list_words(head.name) if stacked else [head.name]
        out += 1 + max(map(len, [*words, *cells]))
    return out


def list_heads(shown: Layout, stacked: bool = False) -> list[str]:
    """One line of heads, or groups, rules and heads where columns share a group."""
    names = join_cells(stack_words(head.name) if stacked else escape(head.name) for head in shown.heads)
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


def stack_words(name: str) -> str:
    """A head with a line for each word."""
    words = r"\\".join(map(escape, list_words(name)))
    return rf"\shortstack{{{words}}}"


def list_words(name: str) -> list[str]:
    """The words of a head; a hat stays with its symbol."""
    return re.split(r"(?<!\bhat) ", name)


def join_cells(line: Iterable[str]) -> str:
    return " & ".join(line) + r" \\"
