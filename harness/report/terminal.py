"""A report on the terminal: the table as the paper prints it, measured beside published, and the verdicts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.claims import wording
from harness.claims.verdicts import Verdict
from harness.report.card import Card, list_contrasts
from harness.report.content import Report
from harness.report.layout import FIGURE_SPACE, Cell, Line, lay_out

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

    from harness.study import Study


COLOURS = {"supported": "green", "contradicted": "red", "smaller": "magenta", "undecided": "yellow"}  # others are dim
ROOMY = 96  # columns from which a claim's line says how many seeds it needs
JUSTIFY: dict[str, "JustifyMethod"] = {"text": "left", "check": "center"}  # else right


def show_report(report: Report, console: "Console") -> None:
    """Print title, table, notes, trouble and a line for each claim; the page has the evidence."""
    study = report.records.study
    console.print(Text(study.title, style="bold"), no_wrap=True, overflow="ellipsis")
    console.print(choose_table(study, report.cells, console), crop=False)  # wrapped is better than cut off
    for note in report.notes:
        console.print(Text(note, style="dim"))
    for trouble in report.troubles:
        console.print(Text(trouble, style="red"))
    if report.verdicts:
        console.print(make_claims(report.verdicts, console.width))
        console.print(Text(wording.totals(report.verdicts), style="bold"))
        if report.overall:
            console.print(Text(report.overall, style="bold"))
        console.print(Text(wording.error_rate(report.verdicts), style="dim"))


def describe_state(card: Card) -> str:
    """How many results a study has, or why it has none."""
    if card.done:
        return f"{card.done}/{card.runs}"
    return "data absent" if card.study.missing else "not run"


def show_cards(cards: Sequence[Card], console: "Console") -> None:
    """A line for each study of the report card, then what became of the contrasts, each counted once."""
    contrasts = [contrast.verdict for contrast in list_contrasts(cards)]
    total = wording.count_statuses(contrasts)
    shown = [status for status, number in total.items() if number]
    out = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column("study", no_wrap=True)
    for name in ("results", *shown, "no data"):
        out.add_column(name, justify="right", no_wrap=True)
    for card in cards:
        numbers = [card.counts[status] for status in shown] + [card.unmeasured]
        out.add_row(card.study.name, describe_state(card), *(str(number or "") for number in numbers))
    console.print(out)
    found = ", ".join(f"{total[status]} {status}" for status in shown) or "nothing measured"
    unmeasured = sum(card.unmeasured for card in cards)
    console.print(Text(f"{len(contrasts)} contrasts, each judged once: {found}; {unmeasured} claims without data"))


def choose_table(study: "Study", cells: Sequence[Cell], console: "Console") -> Table:
    """The table with differences to the reference row where they fit; without standard deviations where they do not."""
    tables = [make_table(study, cells, differences=True), make_table(study, cells)]
    if study.reported:
        tables.append(make_table(study, cells, spread=False))
    for table in tables:
        table.width = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    return next((table for table in tables if (table.width or 0) <= console.width), tables[-1])


def make_claims(verdicts: Sequence[Verdict], width: int) -> Table:
    """One line for each claim: verdict, claim in few words, difference with its interval, claimed, n."""
    out = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    out.add_column("verdict", no_wrap=True, min_width=max(len(shorten_words(v)) for v in verdicts))
    out.add_column("claim", no_wrap=True, overflow="ellipsis", min_width=10)
    intervals = [wording.interval_text(v) for v in verdicts]
    out.add_column("difference", no_wrap=True, justify="right", min_width=max(10, *map(len, intervals)))
    out.add_column("claimed", no_wrap=True, justify="right", min_width=7)
    out.add_column("n", no_wrap=True, justify="right", min_width=2)
    roomy = width >= ROOMY
    if roomy:
        out.add_column("n needed", no_wrap=True, justify="right", style="dim", min_width=8)
    for v, interval in zip(verdicts, intervals):
        claimed = "" if v.claimed is None else f"{v.claimed:+g}"
        words = [Text(shorten_words(v), style=COLOURS.get(v.status, "dim")), Text(v.asserted.partition(" by ")[0])]
        needed = [Text(str(v.seeds_needed) if v.status == "undecided" and v.seeds_needed else "")]
        out.add_row(*words, Text(interval), Text(claimed), Text(str(v.n)), *(needed if roomy else []))
    return out


def shorten_words(verdict: Verdict) -> str:
    """'appears' for 'appears on the test bed': the notes say where it was measured."""
    return verdict.words.partition(" on the ")[0].partition(" (")[0]


def make_table(study: "Study", cells: Sequence[Cell], spread: bool = True, differences: bool = False) -> Table:
    """The table for rich: measured beside published; means alone without ``spread``."""
    shown = lay_out(study, cells, differences)
    out = Table(header_style="bold", box=box.SIMPLE_HEAD)
    out.padding, out.pad_edge = (0, 1, 0, 0), False
    for head in shown.heads:
        name = head.name if head.kind in {"paper", "difference"} else head.group or head.name
        style = "dim" if head.kind == "paper" else ""
        out.add_column(Text(name), justify=JUSTIFY.get(head.kind, "right"), style=style, no_wrap=True)
    following = [line.group for line in shown.lines[1:]]
    for number, group in enumerate([*following, None]):
        line = shown.lines[number]
        best = {position for i, position in shown.best if i == number}
        add_line(out, line, best, spread, ends_section=group not in {line.group, None})
    return out


def add_line(table: Table, line: Line, best: set[int], spread: bool, ends_section: bool) -> None:
    """Add a line of the layout to the table, the best of their columns in bold."""
    style = "dim" if line.kind in {"reported", "published"} else ""
    texts = []
    for position, cell in enumerate(line.cells):
        text = cell.replace(FIGURE_SPACE, " ")
        shown = text if spread else text.partition(" ± ")[0].rstrip()
        texts.append(Text(shown, style="bold" if position in best else ""))
    table.add_row(*texts, style=style, end_section=ends_section)
