"""A study as a table, measured beside published: tidy CSV, Markdown, LaTeX (booktabs) and the terminal (rich).

Records are handed in; nothing here reads a store. No time, path, host or run id enters a table.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from harness import stats

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from harness.study import Row, Study

FIELDS = ("row", "label", "metric", "paper", "mean", "std", "n", "delta", "ci_low", "ci_high", "p")
PERCENT = ("map/", "acc", "auc/", "video_map")  # metrics shown with one digit
CHECK, DASH = "✓", "–"


@dataclass(frozen=True)
class Cell:
    """One row and column of a table; ``difference`` is against the row's reference (None for that row itself)."""

    row: int
    label: str
    column: str
    paper: float | None
    summary: stats.Summary
    difference: stats.Difference | None
    digits: int
    best_on_test: bool = False

    @property
    def text(self) -> str:
        """'41.2 ± 1.3', without a spread for one run, a dash for none; n/N behind it when a seed is missing."""
        s = self.summary
        if not s.n:
            return DASH
        spread = f" ± {s.std:.{self.digits}f}" if isfinite(s.std) else ""
        return f"{s.mean:.{self.digits}f}{spread}" + (f" ({s.n}/{s.asked})" if s.n < s.asked else "")

    @property
    def printed(self) -> str:
        return DASH if self.paper is None else f"{self.paper:.{self.digits}f}"


def values(frame: "pd.DataFrame") -> dict[tuple[int, str], dict[int, float]]:
    """(row, column) -> seed -> value, NaN for a run without result."""
    out: dict[tuple[int, str], dict[int, float]] = {}
    for row, column, seed, value in zip(frame["row"], frame["column"], frame["seed"], frame["value"]):
        out.setdefault((int(row), str(column)), {})[int(seed)] = float(value)
    return out


def cells(study: "Study", frame: "pd.DataFrame") -> list[Cell]:
    """Every cell of the study, row by row."""
    found = values(frame)
    return [_cell(row, column, found) for row in study.rows for column in study.columns]


def _cell(row: "Row", column: Any, found: Mapping[tuple[int, str], dict[int, float]]) -> Cell:
    mine = found.get((row.number, column.name), {})
    reference = found.get((row.reference, column.name), {})
    difference = None if row.reference == row.number else stats.difference(stats.pairs(mine, reference))
    digits = 1 if column.metric.startswith(PERCENT) else 2
    paper, best = row.paper.get(column.name), column.selection == "best"
    return Cell(row.number, row.label, column.name, paper, stats.summary(list(mine.values())), difference, digits, best)


def write_csv(study: "Study", table: Sequence[Cell]) -> str:
    """Tidy CSV: one line per row and metric; reported rows of other methods have a published number only."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(FIELDS)
    for reported in study.reported:
        for column in study.columns:
            paper = reported["paper"].get(column.name)
            writer.writerow(["", reported["label"], column.name, _number(paper), *[""] * 7])
    for c in table:
        d = c.difference or stats.Difference(nan, nan, nan, nan, nan, 0)
        numbers = [c.summary.mean, c.summary.std, c.summary.n, d.delta, d.low, d.high, d.p]
        writer.writerow([c.row, c.label, c.column, _number(c.paper), *map(_number, numbers)])
    return out.getvalue()


def _number(value: float | int | None) -> str:
    if value is None or not isfinite(value):
        return ""
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def grid(study: "Study", table: Sequence[Cell]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of text, the paper's layout: row number, toggles or label, then measured and published."""
    ticks = [name for name in study.toggles if any(row.on for row in study.rows)]
    labels = not ticks or any(row.label and row.label != default_label(row) for row in study.rows)
    head = ["Row", *(["Method" if study.reported else ""] if labels or study.reported else []), *ticks]
    for column in study.columns:
        head += [column.name + (" (best on test)" if column.selection == "best" else ""), "paper"]
    head.append("n")
    by_row: dict[int, list[Cell]] = {}
    for c in table:
        by_row.setdefault(c.row, []).append(c)
    body = [_reported(study, entry, ticks) for entry in study.reported]
    for row in study.rows:
        mine = by_row[row.number]
        line = [str(row.number), *([row.label] if labels or study.reported else [])]
        line += [CHECK if name in row.on else "" for name in ticks]
        for c in mine:
            line += [c.text, c.printed]
        body.append([*line, str(max(c.summary.n for c in mine))])
    return head, body


def default_label(row: "Row") -> str:
    """The label that a row of toggles has when it states none."""
    return " + ".join(row.on) or "baseline"


def _reported(study: "Study", entry: Mapping[str, Any], ticks: Sequence[str]) -> list[str]:
    name = entry["label"] + (f" ({entry['venue']})" if entry.get("venue") else "")
    line = ["", name, *[""] * len(ticks)]
    for column in study.columns:
        paper = entry["paper"].get(column.name)
        line += ["", DASH if paper is None else f"{paper:g}"]
    return [*line, ""]


def markdown(study: "Study", table: Sequence[Cell], notes: Sequence[str]) -> str:
    """The table in Markdown, title above and notes below."""
    head, body = grid(study, table)
    lines = [f"# {study.title}", "", _md(head), _md(["---"] * len(head)), *map(_md, body), ""]
    return "\n".join([*lines, *(f"- {note}" for note in notes)]) + "\n"


def _md(line: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"


LATEX = str.maketrans(
    {
        "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "±": r"$\pm$", "✓": r"$\checkmark$", "–": "--", "<": "$<$",
        ">": "$>$",
    }
)  # fmt: skip


def latex(study: "Study", table: Sequence[Cell], notes: Sequence[str]) -> str:
    """A booktabs table (needs booktabs and amssymb): measured columns, published ones in brackets beside them."""
    head, body = grid(study, table)
    text = sum(1 for name in head if name in {"Row", "Method", "", *study.toggles})
    align = "l" * min(text, 2) + "c" * (text - min(text, 2)) + "r" * (len(head) - text)
    lines = [
        r"% needs \usepackage{booktabs,amssymb}",
        r"\begin{table}", r"\centering", rf"\caption{{{study.title.translate(LATEX)}}}",
        rf"\begin{{tabular}}{{{align}}}", r"\toprule", _tex(head), r"\midrule",
        *map(_tex, body), r"\bottomrule", r"\end{tabular}",
        *(rf"\par\footnotesize {note.translate(LATEX)}" for note in notes), r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _tex(line: Sequence[str]) -> str:
    return " & ".join(cell.translate(LATEX) for cell in line) + r" \\"


def terminal(study: "Study", table: Sequence[Cell]) -> "Table":
    """The table for rich: measured beside published."""
    from rich.table import Table

    head, body = grid(study, table)
    out = Table(title=study.title, title_justify="left", header_style="bold", caption_justify="left")
    for name in head:
        numeric = name not in {"Method", ""}
        out.add_column(name, justify="right" if numeric else "left", style="dim" if name == "paper" else "")
    for line in body:
        out.add_row(*line)
    return out
