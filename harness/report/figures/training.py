"""Curves over training: entropy of the pseudo-labels (Fig. 3), range of P^A and of the pseudo-labels (Fig. 4)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.figures import style
from harness.report.figures.drawing import Drawing
from harness.store.records import Record, Records

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from harness.study import Row

SMOOTH = 0.02  # curves are averaged over this share of training
POINTS = 400  # points drawn of a curve
SAME = 0.01  # two curves coincide when they differ by no more than this share of the larger one
MOST = 10  # curves that one panel tells apart


def smooth(values: np.ndarray) -> np.ndarray:
    """Moving average over 2 % of the steps, shorter at both ends."""
    import pandas as pd

    width = max(1, round(SMOOTH * len(values)))
    return pd.Series(values.astype(float)).rolling(width, center=True, min_periods=1).mean().to_numpy()


def table_curves(runs: list[Record], name: str) -> "pd.DataFrame":
    """A curve of each run, smoothed and thinned: columns step, seed, value; empty where no run has it."""
    import pandas as pd

    parts = []
    for record in runs:
        if name in record.curves:
            step, values = record.curves["step"], smooth(record.curves[name])
            kept = np.unique(np.linspace(0, len(step) - 1, min(POINTS, len(step))).round().astype(int))
            parts.append(pd.DataFrame({"step": step[kept], "seed": record.run.seed, "value": values[kept]}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"step": [], "seed": [], "value": []})


def draw_band(axes: "Axes", table: "pd.DataFrame", **look: Any) -> None:
    """Mean over seeds of a curve, with a band of one sample standard deviation."""
    import seaborn as sns

    band = {"alpha": 0.2, "linewidth": 0}
    sns.lineplot(table, x="step", y="value", errorbar="sd", err_kws=band, ax=axes, **look)


def draw_entropy(records: Records) -> Drawing | None:
    """Fig. 3: H(Q^C) of every row, and H(Q^R) of the last one, over training."""
    import matplotlib.pyplot as plt

    found = {row.number: table_curves(records.of(row.number), "entropy/Q_C") for row in records.study.rows}
    drawn = [row for row in records.study.rows if len(found[row.number])]
    rows = pick_rows(drawn)
    tables = [found[row.number] for row in rows]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(style.COLUMN, 2.9))
    twins = find_twins(tables)
    for i, (row, table) in enumerate(zip(rows, tables)):
        label = f"$H(Q^C)$ {style.spell(row.label)}"
        if i in twins:
            label += f"\n(coincides with: {style.spell(rows[twins[i]].label)})"
        draw_band(axes, table, **style.pick_line(i), label=label)
    last = records.study.rows[-1]
    of_clusters = table_curves(records.of(last.number), "entropy/Q_R")
    draw_band(axes, of_clusters, color="black", linestyle=":", label=f"$H(Q^R)$ {style.spell(last.label)}")
    axes.set(xlabel="training step", ylabel="entropy (nats)", ylim=(0, None))
    style.place_legend(axes)
    caption = "Mean over seeds and one standard deviation. The paper's H(Q^C) falls when the prior is added."
    ends = [describe_end(row, table) for row, table in zip(rows, tables)]
    left_out = len(drawn) - len(rows)
    caption += f" {left_out} rows are left out." if left_out else ""
    return Drawing(figure, caption, f"Curves of entropy over training steps. H(Q^C) at the end: {'; '.join(ends)}.")


def pick_rows(rows: Sequence["Row"]) -> Sequence["Row"]:
    """Of many rows the first ones and the last."""
    return rows if len(rows) <= MOST else [*rows[: MOST - 1], rows[-1]]


def find_twins(tables: list["pd.DataFrame"]) -> dict[int, int]:
    """Curves that coincide with an earlier one: position -> position of that one."""
    means = [table.groupby("step")["value"].mean().to_numpy() for table in tables]
    twins: dict[int, int] = {}
    for i, mine in enumerate(means):
        for j, other in enumerate(means[:i]):
            alike = len(mine) == len(other) > 0 and np.abs(mine - other).max() <= SAME * np.abs(other).max()
            if alike and i not in twins:
                twins[i] = j
    return twins


def describe_end(row: "Row", table: "pd.DataFrame") -> str:
    """'with DDCL 2.31': the value that a curve ends with."""
    end = table[table["step"] == table["step"].max()]["value"].mean()
    return f"{row.label} {end:.2f}"


def draw_ranges(records: Records) -> Drawing | None:
    """Fig. 4: smallest, mean and largest value of P^A, R^A, Q^C and Q^R (foreground) in each batch."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    last = records.study.rows[-1]
    runs = records.of(last.number)
    names = {"P_A": "$P^A$", "": "$R^A$ (ranks of $P^A$)", "Q_C": "$Q^C$", "Q_R": "$Q^R_{:,0}$"}
    tables = {(name, kind): table_curves(runs, f"{name}/{kind}") for name in names for kind in ("max", "mean", "min")}
    if not any(len(table) for table in tables.values()):
        return None
    figure, panels = plt.subplots(1, len(names), figsize=(style.WIDE, 2.3), sharey=True)
    steps = tables["P_A", "mean"]["step"]
    for axes, (name, title) in zip(panels, names.items()):
        for i, (kind, rank) in enumerate((("max", 1.0), ("mean", 0.5), ("min", 0.0))):
            if name:
                draw_band(axes, tables[name, kind], **style.pick_line(i), label=kind, legend=False)
            else:  # ranks are 1/N, 2/N ... 1 by definition
                axes.plot([steps.min(), steps.max()], [rank, rank], **style.pick_line(i))
        axes.set(title=title, xlabel="training step", ylim=(-0.03, 1.03))
        axes.xaxis.set_major_locator(MaxNLocator(3))
    panels[0].set_ylabel("value in the batch")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0, 1, 0.93))
    figure.legend(handles, labels, loc="upper center", ncols=3)
    caption = f"Row {last.number}; mean over seeds and one standard deviation. R^A is 1/N to 1 by definition."
    ends = "; ".join(f"{name} {describe_end(last, tables[name, 'mean']).rsplit(' ', 1)[1]}" for name in names if name)
    return Drawing(figure, caption, f"Largest, mean and smallest value over training. Means at the end: {ends}.")
