"""The gains of rows over their partners, method by method, and the mean over methods."""

from typing import TYPE_CHECKING

import numpy as np

from harness.claims.gains import Gain, Mixed, Overall, describe_gains, summarise_gains
from harness.claims.statistics import Difference
from harness.report.figures import style
from harness.report.figures.drawing import Drawing
from harness.store.records import Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 0.24  # inches that a method takes


def draw_gains(records: Records) -> Drawing | None:
    """A line per method, sorted by gain: dots of seeds, mean, 95 % interval; then the mean over methods."""
    import matplotlib.pyplot as plt

    overall = summarise_gains(records)
    if overall is None:
        return None
    gains = sorted(overall.gains, key=lambda gain: -gain.found.delta)
    figure, axes = plt.subplots(figsize=(style.WIDE, 1.1 + LINE * (len(gains) + 2)))
    for y, gain in enumerate(gains):
        draw_gain(axes, y, gain)
    draw_mean(axes, len(gains) + 0.4, overall.mixed)
    axes.axvline(0, color="black", linewidth=0.8, linestyle="--")
    names = [style.spell(gain.label) for gain in gains]
    axes.set_yticks([*range(len(gains)), len(gains) + 0.4], [*names, f"all {overall.noun}s"])
    axes.set_ylim(len(gains) + 1.0, -0.7)
    axes.set_xlim(*choose_limits(overall))
    axes.grid(axis="y", visible=False)
    alone = "the method alone" if overall.noun == "method" else "the partner"
    axes.set_xlabel(f"{style.spell(overall.column)}: gain over {alone}")
    figure.tight_layout()
    mean = f"Diamond: mean over {overall.noun}s with its interval (random effects)"
    caption = (
        "Dots: seeds. Bars: 95 % intervals, not corrected (the verdicts are); coloured where they leave out 0."
        f" {mean}; thin line: where a further {overall.noun} would lie."
    )
    lines = [f"{gain.label} {gain.found.delta:+.2f}" for gain in gains]
    return Drawing(figure, caption, f"{describe_gains(overall)} {'; '.join(lines)}.")


def draw_gain(axes: "Axes", y: int, gain: Gain) -> None:
    """One method: dots of seeds above the bar, and the numbers beside the axes."""
    colour = pick_colour(gain.found)
    axes.scatter(gain.differences, np.full(len(gain.differences), y - 0.24), s=7, color=colour, alpha=0.6, linewidths=0)
    if np.isfinite(gain.found.low):
        axes.plot([gain.found.low, gain.found.high], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([gain.found.delta], [y], marker="o", markersize=4.5, color=colour)
    write_beside(axes, y, f"{gain.found.delta:+.1f}", colour)


def pick_colour(found: Difference) -> str:
    """Better or worse where the interval leaves out 0, else grey."""
    if found.low > 0:
        return style.BETTER
    return style.WORSE if found.high < 0 else style.PAPER


def draw_mean(axes: "Axes", y: float, mixed: Mixed) -> None:
    """The mean over methods as a diamond as wide as its interval, on the range of a further method."""
    if np.isfinite(mixed.low):
        axes.plot(mixed.further, [y, y], color="black", linewidth=0.8)
        ends = [mixed.low, mixed.mean, mixed.high, mixed.mean]
        axes.fill(ends, [y, y - 0.3, y, y + 0.3], color="black", linewidth=0)
    write_beside(axes, y, f"{mixed.mean:+.1f}", "black")


def write_beside(axes: "Axes", y: float, text: str, colour: str) -> None:
    """A number right of the axes."""
    place = axes.get_yaxis_transform()
    axes.text(1.07, y, text, color=colour, va="center", ha="right", fontsize=style.SMALL, transform=place)


def choose_limits(overall: Overall) -> tuple[float, float]:
    """An axis with every seed, every mean and 0; intervals of few seeds may go on beyond it."""
    shown = np.concatenate([[0.0, overall.mixed.mean], *(gain.differences for gain in overall.gains)])
    margin = 0.15 * float(np.ptp(shown)) or 1.0
    return float(shown.min()) - margin, float(shown.max()) + margin
