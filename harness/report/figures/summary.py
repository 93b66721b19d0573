"""Summaries of a table: a sweep as a curve, differences to the reference row, mAP over tIoU."""

from collections.abc import Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.claims import statistics as stats
from harness.report.figures import style
from harness.report.figures.drawing import Drawing
from harness.store.records import Records
from harness.study.keys import flat

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.study import Column, Row, Study

PANELS = 2  # of a sweep, side by side
LABELS = 12  # values of a sweep that are named
COLOURED = 8  # curves over tIoU that are told apart


def find_sweep(study: "Study") -> tuple[str, list[Any]] | None:
    """The one setting in which all rows differ, and its value per row."""
    values = [flat(row.settings) for row in study.rows]
    if len(values) < 2:
        return None
    for name in values[0]:
        mine = [settings.get(name) for settings in values]
        if len(set(map(str, mine))) == len(mine):
            return name, mine
    return None


def draw_sweep(records: Records) -> Drawing | None:
    """Measured means with standard deviations over the swept value; the paper's curve dashed."""
    import matplotlib.pyplot as plt

    study = records.study
    found = find_sweep(study)
    if found is None or not any(record.finished for record in records.records):
        return None
    name, values = found
    across = min(PANELS, len(study.columns))
    down = -(-len(study.columns) // across)
    size = (3.4 * across + 0.3, 2.2 * down + 0.3)
    figure, grid = plt.subplots(down, across, figsize=size, squeeze=False, sharex=True)
    texts = [f"{value:g}" if isinstance(value, int | float) else str(value) for value in values]
    for axes, column in zip(grid.ravel(), study.columns):
        draw_curve(axes, records, column)
        axes.set_xticks(range(len(texts)), style.thin_labels(texts, LABELS))
        axes.set(ylabel=style.spell(column.name))
        axes.tick_params(axis="x", labelrotation=60 if sum(map(len, texts)) > 40 else 0, labelbottom=True)
    for axes in grid.ravel()[len(study.columns) :]:
        axes.remove()
    for axes in grid.ravel()[max(0, len(study.columns) - across) : len(study.columns)]:
        axes.set_xlabel(style.spell(name))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.22 / size[1]))
    figure.legend(handles, labels, loc="upper center", ncols=len(labels))
    best = describe_best(records, study.columns[0], texts)
    caption = "Mean and sample standard deviation over seeds; dashed: the paper's numbers."
    return Drawing(figure, caption, f"{' and '.join(c.name for c in study.columns)} over {name}: {best}.")


def draw_curve(axes: "Axes", records: Records, column: "Column") -> None:
    """A column over the rows, and the paper's numbers where there are some."""
    rows = records.study.rows
    summaries = [summarise(records, row, column) for row in rows]
    spread = [s.std if isfinite(s.std) else 0.0 for s in summaries]
    look: dict[str, Any] = {"marker": "o", "capsize": 3, "color": style.PALETTE[0], "label": "measured"}
    axes.errorbar(range(len(rows)), [s.mean for s in summaries], yerr=spread, **look)
    paper = [row.paper.get(column.name) for row in rows]
    if any(number is not None for number in paper):
        y = [nan if number is None else number for number in paper]
        axes.plot(range(len(rows)), y, linestyle="--", marker="s", color=style.PAPER, label="paper")


def summarise(records: Records, row: "Row", column: "Column") -> stats.Summary:
    return stats.summary(list(records.values.get((row.number, column.name), {}).values()))


def describe_best(records: Records, column: "Column", texts: Sequence[str]) -> str:
    """'highest mAP 41.2 at 8, lowest 36.0 at 2'."""
    means = np.array([summarise(records, row, column).mean for row in records.study.rows])
    if not np.isfinite(means).any():
        return "no result"
    high, low = int(np.nanargmax(means)), int(np.nanargmin(means))
    return f"highest {column.name} {means[high]:.3g} at {texts[high]}, lowest {means[low]:.3g} at {texts[low]}"


def draw_effects(records: Records) -> Drawing | None:
    """Difference of each row to its reference row, with its 95 % paired interval, in the column of the first claim."""
    import matplotlib.pyplot as plt

    study = records.study
    named = [name for claim in study.claims[:1] for name in claim.columns]
    column = next((column for column in study.columns if column.name in named), study.columns[0])
    rows = [row for row in study.rows if row.reference != row.number]
    found = [compare_to_reference(records, row, column) for row in rows]
    if not any(d.n for d in found):
        return None
    figure, axes = plt.subplots(figsize=(style.WIDE * 0.8, 0.6 + 0.22 * len(rows)))
    for y, d in enumerate(found):
        decided = isfinite(d.low) and (d.low > 0 or d.high < 0)
        colour = style.PALETTE[1] if decided else style.PAPER
        if isfinite(d.low):
            axes.plot([d.low, d.high], [y, y], color=colour, linewidth=1.4)
        axes.plot([d.delta], [y], marker="o", markersize=4, color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [style.spell(row.label) for row in rows])
    axes.set(xlabel=f"{style.spell(column.name)}: difference to the reference row")
    axes.margins(y=0.5 / max(1, len(rows)))
    axes.invert_yaxis()
    caption = "Paired over seeds, 95 % intervals without correction; coloured where they leave out 0."
    lines = [f"{row.label} {d.delta:+.2f}" for row, d in zip(rows, found) if d.n]
    return Drawing(figure, caption, f"Differences in {column.name}: {'; '.join(lines)}.")


def compare_to_reference(records: Records, row: "Row", column: "Column") -> stats.Difference:
    """The paired difference of a row to the one it refers to."""
    mine = records.values.get((row.number, column.name), {})
    reference = records.values.get((row.reference, column.name), {})
    return stats.difference(stats.pairs(mine, reference))


def draw_reliability(records: Records) -> Drawing | None:
    """mAP at each tIoU per row, with standard deviations; the paper's numbers dashed where they are printed."""
    import matplotlib.pyplot as plt

    curves = {row.number: table_tiou(records, row) for row in records.study.rows}
    rows = [row for row in records.study.rows if len(curves[row.number])]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(style.COLUMN, 2.9))
    told = pick_told(rows, curves)
    for row in rows:
        if row.number not in told:
            axes.plot(row.settings.metrics.tiou, curves[row.number].mean(0), color="#cccccc", linewidth=0.7)
    for i, number in enumerate(told):
        row = next(row for row in rows if row.number == number)
        draw_row(axes, row, curves[number], i)
    axes.set(xlabel="tIoU", ylabel="mAP (%)", ylim=(0, None))
    style.place_legend(axes)
    caption = "Mean and sample standard deviation over seeds."
    if len(told) < len(rows):
        caption += " Of many rows the first, the last and the best are named; the others are grey."
    ends = [f"{row.label} {curves[row.number].mean():.1f}" for row in rows]
    return Drawing(figure, caption, f"mAP falls with tIoU. Mean over tIoU: {'; '.join(ends)}.")


def table_tiou(records: Records, row: "Row") -> np.ndarray:
    """mAP of each finished seed at each tIoU of the row; (seeds, tIoU)."""
    metrics = [record.result.get("metrics", {}) for record in records.of(row.number)]
    tiou = row.settings.metrics.tiou
    names = [f"map/{threshold:.2f}" for threshold in tiou]
    table = np.full((len(metrics), len(names)), nan)
    for seed, found in enumerate(metrics):
        table[seed] = [found.get(name, nan) for name in names]
    return table


def pick_told(rows: Sequence["Row"], curves: dict[int, np.ndarray]) -> list[int]:
    """Numbers of the rows that are told apart: all of a few; else the first, the last and the best."""
    numbers = [row.number for row in rows]
    if len(numbers) <= COLOURED:
        return numbers
    best = sorted(numbers, key=lambda number: -float(np.nanmean(curves[number])))
    kept = dict.fromkeys([numbers[0], numbers[-1], *best])
    return sorted(list(kept)[: COLOURED - 2])


def draw_row(axes: "Axes", row: "Row", table: np.ndarray, number: int) -> None:
    """A row's curve over tIoU, and the paper's where it is printed."""
    tiou = row.settings.metrics.tiou
    look = style.pick_line(number)
    spread = table.std(0, ddof=1) if len(table) > 1 else None
    marker: dict[str, Any] = {"marker": style.pick_marker(number), "markersize": 4, "capsize": 2}
    axes.errorbar(tiou, table.mean(0), yerr=spread, label=style.spell(row.label), **marker, **look)
    paper = [row.paper.get(f"{t:g}") for t in tiou]
    if any(value is not None for value in paper):
        y = [nan if value is None else value for value in paper]
        label = f"{style.spell(row.label)} (paper)"
        axes.plot(tiou, y, linestyle="--", linewidth=0.8, color=look["color"], label=label)
