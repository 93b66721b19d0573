"""Summaries of a table: a sweep as a curve, differences to the reference row, mAP over tIoU."""

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.claims import statistics as stats
from harness.report.figures import Context, style
from harness.report.notation import mathtext
from harness.store import results
from harness.study.keys import flat

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND = 4  # entries that fit among the curves


def metric(context: Context, row: int, column: Any) -> dict[int, float]:
    """seed -> value of a column in a row."""
    out = {}
    for run in context.runs(row, column.name):
        found = results.read_result(context.root, run.training_key, run.scoring_key) or {}
        source = found if column.selection == "last" else found.get("best") or {}
        if column.metric in source.get("metrics", {}):
            out[run.seed] = float(source["metrics"][column.metric])
    return out


def swept(context: Context) -> tuple[str, list[Any]] | None:
    """The one setting in which all rows differ, and its value per row."""
    values = [flat(row.settings) for row in context.study.rows]
    names = [n for n in values[0] if len({str(v.get(n)) for v in values}) == len(values)]
    return (names[0], [v[names[0]] for v in values]) if names else None


def sweep(context: Context) -> "tuple[Figure, str] | None":
    """Measured means with standard deviations over the swept value; the paper's curve dashed."""
    import matplotlib.pyplot as plt

    found = swept(context)
    if found is None:
        return None
    name, values = found
    columns = context.study.columns
    figure, panels = plt.subplots(1, len(columns), figsize=(min(style.WIDE, 3.4 * len(columns)), 2.7), squeeze=False)
    for axes, column in zip(panels[0], columns):
        _curve(axes, context, column)
        axes.set_xticks(range(len(values)), [f"{v:g}" if isinstance(v, int | float) else str(v) for v in values])
        axes.set(xlabel=name, ylabel=mathtext(column.name))
        axes.tick_params(axis="x", labelrotation=0 if len(columns) < 3 else 60)
    panels[0][0].legend(frameon=False)
    figure.tight_layout()
    return figure, "Mean and sample standard deviation over seeds; dashed: the paper's numbers."


def _curve(axes: "Axes", context: Context, column: Any) -> None:
    rows = context.study.rows
    all_ = [stats.summary(list(metric(context, row.number, column).values())) for row in rows]
    spread = [s.std if isfinite(s.std) else 0.0 for s in all_]
    look: dict[str, Any] = {"marker": "o", "capsize": 3, "color": style.PALETTE[0], "label": "measured"}
    axes.errorbar(range(len(rows)), [s.mean for s in all_], yerr=spread, **look)
    paper = [row.paper.get(column.name) for row in rows]
    if any(p is not None for p in paper):
        y = [np.nan if p is None else p for p in paper]
        axes.plot(range(len(rows)), y, linestyle="--", marker="s", color=style.PAPER, label="paper")


def effects(context: Context) -> "tuple[Figure, str] | None":
    """Difference of each row to its reference row, with its 95 % paired interval, in the column of the first claim."""
    import matplotlib.pyplot as plt

    named = [name for claim in context.study.claims[:1] for name in claim.columns]
    column = next((c for c in context.study.columns if c.name in named), context.study.columns[0])
    rows = [row for row in context.study.rows if row.reference != row.number]
    found = [
        stats.difference(stats.pairs(metric(context, r.number, column), metric(context, r.reference, column)))
        for r in rows
    ]
    if not any(d.n for d in found):
        return None
    figure, axes = plt.subplots(figsize=(style.WIDE * 0.8, 0.6 + 0.24 * len(rows)))
    for y, d in enumerate(found):
        decided = isfinite(d.low) and (d.low > 0 or d.high < 0)
        colour = style.PALETTE[1] if decided else style.PAPER
        if isfinite(d.low):
            axes.plot([d.low, d.high], [y, y], color=colour, linewidth=1.4)
        axes.plot([d.delta], [y], marker="o", color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [mathtext(row.label) for row in rows])
    axes.set(xlabel=f"{mathtext(column.name)}: difference to the reference row")
    axes.invert_yaxis()
    return figure, "Paired over seeds, 95 % intervals without correction; coloured where they leave out 0."


def reliability(context: Context) -> "tuple[Figure, str] | None":
    """mAP at each tIoU per row, with standard deviations; the paper's numbers dashed where they are printed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(style.COLUMN, 2.9))
    drawn = False
    for i, row in enumerate(context.study.rows):
        tiou = row.settings.metrics.tiou
        table = [_at(context, run, tiou) for run in context.runs(row.number)]
        colour = style.PALETTE[i % len(style.PALETTE)]
        if table:
            drawn, values = True, np.array(table)
            spread = values.std(0, ddof=1) if len(values) > 1 else None
            label = mathtext(row.label)
            axes.errorbar(tiou, values.mean(0), yerr=spread, marker="o", capsize=2, color=colour, label=label)
        paper = [row.paper.get(f"{t:g}") for t in tiou]
        if any(p is not None for p in paper):
            y = [np.nan if p is None else p for p in paper]
            axes.plot(tiou, y, linestyle="--", color=colour, label=f"{mathtext(row.label)} (paper)")
    if not drawn:
        plt.close(figure)
        return None
    axes.set(xlabel="tIoU", ylabel="mAP (%)", ylim=(0, None))
    many = len(axes.get_legend_handles_labels()[0]) > LEGEND
    look: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if many else {}
    axes.legend(frameon=False, **look)
    return figure, "Mean and sample standard deviation over seeds."


def _at(context: Context, run: Any, tiou: tuple[float, ...]) -> list[float]:
    found = results.read_result(context.root, run.training_key, run.scoring_key) or {}
    return [found.get("metrics", {}).get(f"map/{t:.2f}", np.nan) for t in tiou]
