"""``check`` in the terminal: a table of what the data set holds, then the findings."""

from typing import TYPE_CHECKING

import numpy as np

from harness.data.tools.checking import Checked
from harness.data.tools.facts import Facts, find_range

if TYPE_CHECKING:
    from rich.console import Console

LISTED = 40  # findings shown of each degree; --json has all
WORDS = {"error": "training refuses it", "defect": "it changes results", "warning": "worth knowing"}


def show_check(checked: Checked, console: "Console") -> None:
    """Print a table with a column per split, and all findings by degree."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=escape(f"{checked.name} ({checked.layout}), streams {name_streams(checked)}"), title_justify="left"
    )
    table.add_column("")
    for split in checked.facts:
        table.add_column(split, justify="right")
    columns = [describe_split(facts) for facts in checked.facts.values()]
    for name in columns[0] if columns else ():
        table.add_row(name, *(column[name] for column in columns))
    console.print(table)
    for level, words in WORDS.items():
        found = [finding for finding in checked.findings.found if finding.level == level]
        for finding in found[:LISTED]:
            console.print(f"{level}: {finding}", markup=False, highlight=False, soft_wrap=True)
        if len(found) > LISTED:
            console.print(f"... and {len(found) - LISTED} more of degree {level}; --json lists all")
        if found:
            console.print(f"{len(found)} of degree {level} ({words})", markup=False)
    if not checked.findings.found:
        console.print("nothing is wrong")


def name_streams(checked: Checked) -> str:
    """Streams with their widths, and what becomes of unequal ones."""
    listed = ", ".join(f"{name} {width}" for name, width in zip(checked.streams, checked.widths)) or "unknown"
    unequal = len(set(checked.widths)) > 1
    return listed + (f" (padded with zeros to {max(checked.widths)})" if unequal else "")


def describe_split(facts: Facts) -> dict[str, str]:
    """The facts of a split, one line each."""
    return {
        "videos": str(facts.videos),
        "classes with instances": f"{np.count_nonzero(facts.per_class)} of {len(facts.per_class)}",
        "labels per video": f"{facts.labels:.2f}",
        "instances": str(facts.instances),
        "instances per video": show_range(facts.counts),
        "instances per class": show_range(facts.per_class),
        "snippets": str(facts.snippets),
        "video length, s": show_range(facts.lengths),
        "instance length, s": show_range(facts.durations),
        "seconds per snippet": show_range(facts.rates),
        "foreground share": f"{facts.foreground:.3f}",
    }


def show_range(values: np.ndarray) -> str:
    """'median (lowest .. highest)', or the one value that all have."""
    found = find_range(values)
    if not found:
        return "-"
    low, middle, high = found
    return f"{middle:g}" if low == high else f"{middle:g} ({low:g} .. {high:g})"
