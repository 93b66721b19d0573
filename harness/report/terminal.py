"""A report on the terminal: the table as the paper prints it, measured beside published, and the verdicts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.claims import wording
from harness.claims.verdicts import Verdict
from harness.report.content import Report
from harness.report.layout import Cell, Line, lay_out

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

    from harness.study import Study


COLOURS = {"supported": "green", "contradicted": "red", "smaller": "magenta", "undecided": "yellow"}  # others are dim
JUSTIFY: dict[str, "JustifyMethod"] = {"text": "left", "check": "center"}  # else right


def show_report(report: Report, console: "Console") -> None:
    """Print table, notes, trouble and verdicts."""
    study = report.records.study
    table = fit_content(make_table(study, report.cells), console)
    if study.reported and (table.width or 0) > console.width:
        table = fit_content(make_table(study, report.cells, spread=False), console)
    console.print(table, crop=False)  # a line that wraps is better than a number cut off
    for note in report.notes:
        console.print(Text(note, style="dim"))
    for trouble in report.troubles:
        console.print(Text(trouble, style="red"))
    if report.verdicts:
        console.print(fit_content(make_verdict_lines(report.verdicts), console), crop=False)
        console.print(Text(wording.totals(report.verdicts)))
        console.print(Text(wording.error_rate(report.verdicts), style="dim"))


def make_verdict_lines(verdicts: Sequence[Verdict]) -> Table:
    """One aligned line for each verdict: what is asserted, what became of it, and how it was seen."""
    out = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for justify in ("left", "left", "right", "left", "right", "left"):
        out.add_column(justify=justify, no_wrap=True)
    for v in verdicts:
        claimed = f"claimed {v.claimed:g} {v.size}" if v.size else ""
        verdict = Text(v.words, style=COLOURS.get(v.status, "dim"))
        more = Text(wording.needed_text(v) or v.reason, style="dim")
        out.add_row(verdict, Text(v.asserted), Text(wording.interval_text(v)), Text(claimed), Text(f"n {v.n}"), more)
    return out


def make_table(study: "Study", cells: Sequence[Cell], spread: bool = True) -> Table:
    """The table for rich: measured beside published; means alone without ``spread``."""
    shown = lay_out(study, cells)
    out = Table(title=Text(study.title), title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    out.padding, out.pad_edge = (0, 1, 0, 0), False
    for head in shown.heads:
        name = head.name if head.kind == "paper" else head.group or head.name
        style = "dim" if head.kind == "paper" else ""
        out.add_column(Text(name), justify=JUSTIFY.get(head.kind, "right"), style=style, no_wrap=True)
    following = [line.group for line in shown.lines[1:]]
    for line, group in zip(shown.lines, [*following, None]):
        add_line(out, line, spread, ends_section=group not in {line.group, None})
    return out


def add_line(table: Table, line: Line, spread: bool, ends_section: bool) -> None:
    """Add a line of the layout to the table."""
    style = "dim" if line.kind in {"reported", "published"} else ""
    texts = line.cells if spread else [cell.partition(" ± ")[0] for cell in line.cells]
    table.add_row(*map(Text, texts), style=style, end_section=ends_section)


def fit_content(table: Table, console: "Console") -> Table:
    """The table as wide as its content."""
    table.width = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    return table
