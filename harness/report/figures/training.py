"""Curves over training: entropy of the pseudo-labels (Fig. 3), range of P^A and of the pseudo-labels (Fig. 4)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.figures import Context, style
from harness.report.notation import mathtext
from harness.store import results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.study import Run

SMOOTH = 0.02  # curves are averaged over this share of training


def curves(context: Context, run: "Run") -> dict[str, np.ndarray]:
    return results.read_curves(context.root, run.training_key)


def smooth(values: np.ndarray) -> np.ndarray:
    """Moving average over 2 % of the steps, shorter at both ends."""
    width = max(1, round(SMOOTH * len(values)))
    weight = np.convolve(np.ones(len(values)), np.ones(width), "same")
    return np.convolve(values, np.ones(width), "same") / weight


def band(axes: "Axes", context: Context, runs: list["Run"], name: str, **look: Any) -> bool:
    """Mean over seeds of a curve, with a band of one sample standard deviation; False where no run has it."""
    found = [curve for run in runs if name in (curve := curves(context, run))]
    if not found:
        return False
    step = found[0]["step"]
    table = np.stack([smooth(curve[name].astype(float)) for curve in found])
    line = axes.plot(step, table.mean(0), **look)[0]
    if len(table) > 1:
        spread = table.std(0, ddof=1)
        low, high = table.mean(0) - spread, table.mean(0) + spread
        axes.fill_between(step, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return True


def entropy(context: Context) -> "tuple[Figure, str] | None":
    """Fig. 3: H(Q^C) of every row, and H(Q^R), over training."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(style.COLUMN, 2.9))
    drawn = False
    for i, row in enumerate(context.study.rows):
        label = f"$H(Q^C)$ {mathtext(row.label)}"
        drawn |= band(axes, context, context.runs(row.number), "entropy/Q_C", color=style.PALETTE[i], label=label)
    last = context.study.rows[-1]
    look = {"color": style.PALETTE[2], "linestyle": "--", "label": f"$H(Q^R)$ {mathtext(last.label)}"}
    drawn |= band(axes, context, context.runs(last.number), "entropy/Q_R", **look)
    if not drawn:
        plt.close(figure)
        return None
    axes.set(xlabel="training step", ylabel="entropy (nats)", ylim=(0, None))
    axes.legend(frameon=False)
    return figure, "Mean over seeds and one standard deviation. The paper's H(Q^C) falls when the prior is added."


def ranges(context: Context) -> "tuple[Figure, str] | None":
    """Fig. 4: smallest, mean and largest value of P^A, Q^C and Q^R (foreground) in each batch."""
    import matplotlib.pyplot as plt

    names = (("P_A", "$P^A$"), ("Q_C", "$Q^C$"), ("Q_R", "$Q^R_{:,0}$"))
    figure, panels = plt.subplots(1, 3, figsize=(style.WIDE, 2.5), sharey=True)
    runs = context.runs(context.study.rows[-1].number)
    drawn = False
    for axes, (name, title) in zip(panels, names):
        for i, kind in enumerate(("max", "mean", "min")):
            drawn |= band(axes, context, runs, f"{name}/{kind}", color=style.PALETTE[i], label=kind)
        axes.set(title=title, xlabel="training step", ylim=(-0.03, 1.03))
    if not drawn:
        plt.close(figure)
        return None
    panels[0].set_ylabel("value in the batch")
    panels[1].legend(frameon=False, loc="center right")
    return figure, f"Row {context.study.rows[-1].number}; mean over seeds and one standard deviation."
