"""The numbers of a call as two tables: medians beside their range, and how times grow with sizes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

Found = Mapping[str, Any]
Line = tuple[str, ...]  # its part, its name, then numbers

NUMBERS = ("part", "", "median", "lowest", "highest")
GROWTH = ("time of", "grows with", "exponent")
SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
ELSEWHERE = {"spread", "growth", "many runs"}  # shown beside the ratios, and in the second table
FORMATS = {"ratios": "{:.2f} x", "differences": "{:.1e}", "roof": "{:.0%}", "gflops": "{:.0f} Gflop/s"}
WIDEST = 1000


def show(found: Found, console: Console) -> None:
    """Print both tables as wide as they are: a narrower terminal wraps their lines."""
    growth = list(list_growth(found))
    sizes = max(map(len, growth)) - len(GROWTH)
    for names, lines in ((NUMBERS, list_numbers(found)), ((*GROWTH, *[""] * sizes), growth)):
        table = lay_out(names, lines)
        needed = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum
        console.width = max(console.width, needed)
        console.print(table)


def lay_out(names: Iterable[str], lines: Iterable[Line]) -> Table:
    """Two columns of names and then numbers, with a gap between parts, each named once."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(names):
        table.add_column(name, no_wrap=True, justify="left" if at < 2 else "right")
    for part, group in groupby(lines, lambda line: line[0]):
        for at, (_, *others) in enumerate(group):
            table.add_row("" if at else part, *others)
        table.add_section()
    return table


def list_numbers(found: Found) -> Iterator[Line]:
    """Each number with its part and name; medians and ratios with their range."""
    for part, content in found.items():
        if not isinstance(content, dict):
            yield "call", part, str(content)
        elif part not in ELSEWHERE:
            for name, value in content.items():
                yield part, *write_line(part, name, value, found["spread"][name] if part == "ratios" else ())


def write_line(part: str, name: str, value: Any, spread: Iterable[float]) -> Line:
    """The name without its unit, the value with it, and the range if there is one."""
    if isinstance(value, dict) and "median" in value:
        return name, *(write_seconds(value[key]) for key in ("median", "min", "max"))
    if isinstance(value, dict):
        return name, ", ".join(f"{number} {kind}" for kind, number in value.items())
    if part in FORMATS:
        return name, *(FORMATS[part].format(number) for number in (value, *spread))
    what, _, unit = name.rpartition("_")
    if unit in WRITERS:
        return what, WRITERS[unit](value)
    return name, f"{value:.4g}" if isinstance(value, float) else str(value)


def list_growth(found: Found) -> Iterator[Line]:
    """What was measured against a size: its exponent, and the values by size."""
    for part, measured in (*found["growth"].items(), ("many runs", found.get("many runs", {}))):
        for name, own in measured.items():
            unit = "mb" if "mb" in own else "seconds"
            values = (f"{size}: {WRITERS[unit](value)}" for size, value in zip(own["sizes"], own[unit], strict=True))
            yield part, name, f"{own['exponent']:.2f}" if "exponent" in own else "", *values


def write_seconds(value: float) -> str:
    """Three digits in the unit that suits them."""
    size, unit = next(((size, unit) for size, unit in SECONDS if value >= size), SECONDS[-1])
    return f"{value / size:.3g} {unit}"


WRITERS: Mapping[str, Callable[[float], str]] = {  # by the end of a name
    "s": write_seconds,
    "seconds": write_seconds,
    "mb": "{:.0f} MB".format,
    "share": "{:.0%}".format,
}
