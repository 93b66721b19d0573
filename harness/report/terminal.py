"""A report on the terminal: the table as the paper prints it, measured beside published, and the verdicts."""

from collections.abc import Sequence
from itertools import groupby, product
from typing import TYPE_CHECKING, Any

from rich import box
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.claims import wording
from harness.claims.verdicts import Verdict
from harness.report.card import Card, list_contrasts, list_totals
from harness.report.content import Report
from harness.report.layout import FIGURE_SPACE, Cell, Layout, Line, drop_spreads, lay_out, select_columns
from harness.report.notation import spell_settings

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

    from harness.study import Study


COLOURS = {"supported": "green", "contradicted": "red", "smaller": "magenta", "undecided": "yellow"}  # others are dim
ROOMY = 96  # columns from which a claim's line says how many seeds it needs, and a card's has space between columns
LONGEST_NOTE = 320  # characters: four lines of 80
SHORT = {"contradicted": "reversed", "not judged": "not\njudged", "no data": "no\ndata"}  # heads of a card's columns
NAMING = frozenset({"row", "text", "check"})  # kinds of columns that name a row
JUSTIFY: dict[str, "JustifyMethod"] = {"text": "left", "check": "center"}  # else right


def show_report(report: Report, console: "Console") -> None:
    """Print title, table, notes, trouble and a line for each claim; the page has the evidence."""
    study = report.records.study
    console.print(Text(study.title, style="bold"), no_wrap=True, overflow="ellipsis")
    for table in choose_tables(study, report.cells, console):
        print_table(table, console)
    for note in report.notes:
        console.print(Text(shorten_note(note), style="dim"))
    for trouble in report.troubles:
        console.print(Text(trouble, style="red"))
    if report.verdicts:
        show_verdicts(report, console)


def shorten_note(note: str) -> str:
    """A long note up to the end of a sentence; the page has all of it."""
    end = note.rfind(". ", 0, LONGEST_NOTE)
    return note if len(note) <= LONGEST_NOTE or end < 0 else f"{note[:end]}. (The page says more.)"


def show_verdicts(report: Report, console: "Console") -> None:
    """Print a line for each contrast that was measured, their totals and their error rate."""
    measured = [v for v in wording.list_distinct(report.verdicts) if v.status != "no data"]
    if measured:
        print_table(make_claims(measured, console.width), console)
    console.print(Text(wording.totals(report.verdicts), style="bold"))
    if report.overall:
        console.print(Text(report.overall, style="bold"))
    if rate := wording.error_rate(report.verdicts):
        console.print(Text(rate, style="dim"))


def describe_state(card: Card) -> str:
    """How many results a study has, or why it has none."""
    if card.done:
        return f"{card.done}/{card.runs}"
    return "absent" if card.study.missing else "not run"


def show_cards(cards: Sequence[Card], console: "Console") -> None:
    """A line for each study of the report card, then what became of the contrasts of each data set."""
    totals = list_totals(list_contrasts(cards))
    seen = wording.count_statuses([v for verdicts in totals.values() for v in verdicts])
    shown = [status for status, number in seen.items() if number]
    space = 1 if console.width >= ROOMY else 0
    out = start_table(space)
    out.add_column("study", no_wrap=True, vertical="bottom")
    for name in ("results", *shown, "no data"):
        out.add_column(SHORT.get(name, name), justify="right", vertical="bottom")
    for card in cards:
        numbers = [card.counts[status] for status in shown] + [card.unmeasured]
        out.add_row(card.study.name, describe_state(card), *(str(number or "") for number in numbers))
    print_table(out, console)
    for data, verdicts in totals.items():
        judged = wording.say_number(len(verdicts), "contrast")
        console.print(Text(f"{data}: {judged}, each judged once: {wording.say_counts(verdicts)}", style="bold"))
    unmeasured = wording.say_number(sum(card.unmeasured for card in cards), "claim")
    console.print(Text(f"{unmeasured} without data" if totals else f"nothing measured; {unmeasured} without data"))


def choose_tables(study: "Study", cells: Sequence[Cell], console: "Console") -> list[Table]:
    """The table with differences to the reference row where they fit; without standard deviations where they do not.

    Columns move together before one is left out. A table that is too wide even then is set in parts, each with the
    rows' names.
    """
    plain = lay_out(study, cells)
    layouts = [lay_out(study, cells, differences=True), plain]
    if study.reported:
        layouts.append(drop_spreads(plain))
    for shown, space in product(layouts, (1, 0)):
        table = make_table(shown, space)
        if measure_width(table, console) <= console.width:
            return [table]
    return [make_table(part, 0) for part in split_columns(layouts[-1], console)]


def measure_width(table: Table, console: "Console") -> int:
    """Columns of the terminal that a table takes."""
    return Measurement.get(console, console.options.update(max_width=1000), table).maximum


def split_columns(shown: Layout, console: "Console") -> list[Layout]:
    """A table in parts that fit: each begins with what names the rows, and columns of one group stay together."""
    named = [position for position, head in enumerate(shown.heads) if head.kind in NAMING]
    rest = [position for position in range(len(shown.heads)) if position not in named]
    parts: list[list[int]] = []
    for _, group in groupby(rest, key=lambda position: shown.heads[position].group or position):
        columns = list(group)
        wider = [*parts[-1], *columns] if parts else []
        if wider and measure_width(make_table(select_columns(shown, wider), 0), console) <= console.width:
            parts[-1] = wider
        else:
            parts.append([*named, *columns])
    return [select_columns(shown, part) for part in parts]


def make_claims(verdicts: Sequence[Verdict], width: int) -> Table:
    """One line for each contrast: verdict, what makes the difference, by how much with its interval, claimed, n."""
    said = [shorten_words(v) for v in verdicts]
    shown = {name: texts for name, texts in list_numbers(verdicts, width >= ROOMY).items() if any(texts)}
    taken = max(map(len, said)) + sum(max(map(len, [name, *texts])) for name, texts in shown.items())
    gaps, longest = len(shown) + 1, max(len(spell_settings(v.brief)) for v in verdicts)
    space = 1 if longest + taken + 2 * gaps <= width else 0
    out = start_table(space)
    out.add_column("verdict", no_wrap=True)
    out.add_column("claim", max_width=max(20, width - taken - (1 + space) * gaps))
    for name in shown:
        out.add_column(name, no_wrap=True, justify="right", style="dim" if name == "n needed" else "")
    for v, word, *texts in zip(verdicts, said, *shown.values()):
        named = [Text(word, style=COLOURS.get(v.status, "dim")), Text(spell_settings(v.brief))]
        out.add_row(*named, *map(Text, texts))
    return out


def list_numbers(verdicts: Sequence[Verdict], roomy: bool) -> dict[str, list[str]]:
    """The columns of numbers beside the claims."""
    numbers = {"difference": align_intervals([wording.interval_text(v) for v in verdicts])}
    numbers["claimed"] = ["" if v.claimed is None else f"{v.claimed:+g}" for v in verdicts]
    numbers["n"] = [str(v.n) for v in verdicts]
    numbers["n needed"] = [name_needed(v) if roomy else "" for v in verdicts]
    return numbers


def name_needed(verdict: Verdict) -> str:
    """How many seeds would decide an undecided claim."""
    return str(verdict.seeds_needed) if verdict.status == "undecided" and verdict.seeds_needed else ""


def align_intervals(texts: Sequence[str]) -> list[str]:
    """Differences with their intervals, each beneath the other: '+2.3   [0.4, 4.2]'."""
    parts = [text.partition(" [") for text in texts]
    before = max(len(difference) for difference, _, _ in parts)
    behind = max(len(mark + interval) for _, mark, interval in parts)
    return [difference.rjust(before) + (mark + interval).rjust(behind) for difference, mark, interval in parts]


def shorten_words(verdict: Verdict) -> str:
    """'appears', 'smaller': the notes say where it was measured, and the totals have the whole words."""
    return verdict.words.partition(" on the ")[0].partition(" (")[0].removesuffix(" than claimed")


def start_table(space: int) -> Table:
    """An empty table with a line beneath its head; ``space``: columns between two columns, beside the one there is."""
    look: dict[str, Any] = {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False}
    return Table(header_style="bold", padding=(0, space, 0, 0), **look)


def print_table(table: Table, console: "Console") -> None:
    """Print a table between two empty lines."""
    console.print(Padding(table, (1, 0), expand=False), crop=False)


def make_table(shown: Layout, space: int = 1) -> Table:
    """The table for rich: measured beside published."""
    out = start_table(space)
    for head in shown.heads:
        name = head.name if head.kind in {"paper", "difference"} else head.group or head.name
        style = "dim" if head.kind == "paper" else ""
        words = Text(name if space else name.replace(" ", "\n", 1))  # numbers are narrower than their heads
        justify = JUSTIFY.get(head.kind, "right")
        out.add_column(words, justify=justify, vertical="bottom", style=style, no_wrap=True)
    following = [line.group for line in shown.lines[1:]]
    for number, group in enumerate([*following, None]):
        line = shown.lines[number]
        best = {position for i, position in shown.best if i == number}
        add_line(out, line, best, ends_section=group not in {line.group, None})
    return out


def add_line(table: Table, line: Line, best: set[int], ends_section: bool) -> None:
    """Add a line of the layout to the table, the best of their columns in bold."""
    style = "dim" if line.kind in {"reported", "published"} else ""
    texts = []
    for position, cell in enumerate(line.cells):
        texts.append(Text(cell.replace(FIGURE_SPACE, " "), style="bold" if position in best else ""))
    table.add_row(*texts, style=style, end_section=ends_section)
