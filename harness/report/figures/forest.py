"""The claims of a study on one axis: measured difference, its interval, the claimed size, a dot per seed."""

import textwrap
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.claims.evidence import collect
from harness.claims.verdicts import Verdict, judge
from harness.claims.wording import list_distinct
from harness.report.figures import style
from harness.report.figures.drawing import Drawing
from harness.store.records import Records
from harness.study.metrics import is_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE = 0.34  # inches that a claim takes
COLOURS = {"supported": style.BACKGROUND, "contradicted": style.FOREGROUND, "smaller": "#CC79A7"}  # else grey
Entry = tuple[Verdict, np.ndarray]  # a claim and the differences of its seeds


def draw_forest(records: Records, verdicts: Sequence[Verdict] | None = None) -> Drawing | None:
    """A line per claim; differences in percent have one axis, others a second one. ``verdicts``: judged before."""
    import matplotlib.pyplot as plt

    entries = list_entries(records, judge(records) if verdicts is None else verdicts)
    groups = [group for group in entries if group]
    if not groups:
        return None
    heights = [len(group) for group in groups]
    size = (style.WIDE, LINE * sum(heights) + 0.75 * len(groups))
    figure, panels = plt.subplots(len(groups), 1, figsize=size, height_ratios=heights, squeeze=False)
    for axes, group in zip(panels[:, 0], groups):
        draw_panel(axes, group)
        percent = group is entries[0]
        axes.set_xlabel("measured difference (points of mAP, ACC, AUC)" if percent else "measured difference")
    add_key(panels[0, 0])
    figure.tight_layout()
    lines = [f"{v.brief}: {v.delta:+.2f}, {v.words}" for group in groups for v, _ in group]
    caption = (
        "Bar: interval at the level that the correction gives the claim; the weakest comparison of claims with several."
        " Arrows: it goes on."
    )
    return Drawing(figure, caption, f"A line for each claim. {'; '.join(lines)}.")


def list_entries(records: Records, verdicts: Sequence[Verdict]) -> tuple[list[Entry], list[Entry]]:
    """Measured contrasts in percent, and others; each once."""
    percent: list[Entry] = []
    others: list[Entry] = []
    metrics = {column.name: column.metric for column in records.study.columns}
    distinct = list_distinct(verdicts)
    for claim, verdict in zip(records.study.claims, verdicts):
        if verdict not in distinct:
            continue
        seeds = find_seeds(collect(records, claim).differences, verdict)
        if seeds.size:
            alike = all(is_percent(metrics[name]) for name in claim.columns)
            (percent if alike else others).append((verdict, seeds))
    return percent, others


def find_seeds(differences: Sequence[np.ndarray], verdict: Verdict) -> np.ndarray:
    """The seeds of the comparison that the verdict shows."""
    measured = [found for found in differences if len(found)]
    if not measured or not isfinite(verdict.delta):
        return np.zeros(0)
    return min(measured, key=lambda found: abs(float(found.mean()) - verdict.delta))


def draw_panel(axes: "Axes", group: Sequence[Entry]) -> None:
    """Each claim as a line: dots of seeds, interval, mean, claimed size; arrows where an interval goes on."""
    low, high = choose_limits(group)
    axes.set_xlim(low, high)
    for y, (verdict, seeds) in enumerate(group):
        colour = COLOURS.get(verdict.status, style.PAPER)
        axes.scatter(seeds, np.full(len(seeds), y + 0.24), s=9, color=colour, alpha=0.6, linewidths=0)
        if isfinite(verdict.low):
            axes.plot([verdict.low, verdict.high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
            for end, marker, beyond in ((low, "<", verdict.low < low), (high, ">", verdict.high > high)):
                if beyond:
                    axes.plot([end], [y], marker=marker, color=colour, clip_on=False)
        axes.plot([verdict.delta], [y], marker="o", markersize=5, color=colour)
        if verdict.claimed is not None:
            mark: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": "black", "markersize": 5.5}
            axes.plot([verdict.claimed], [y], marker="D", linestyle="", zorder=4, **mark)
        beside: dict[str, Any] = {"va": "center", "fontsize": style.SMALL, "transform": axes.get_yaxis_transform()}
        axes.text(1.02, y, verdict.words.partition(" on ")[0], color=colour, **beside)
    axes.axvline(0, color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(group)), [wrap_claim(verdict) for verdict, _ in group])
    axes.set_ylim(len(group) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)


def choose_limits(group: Sequence[Entry]) -> tuple[float, float]:
    """An axis with every seed, every claimed size and 0; few seeds have intervals many times as wide."""
    shown = [0.0]
    for verdict, seeds in group:
        shown += [*seeds, verdict.delta, verdict.claimed or 0.0]
    margin = (max(shown) - min(shown)) / 2 or 1.0
    return min(shown) - margin, max(shown) + margin


def wrap_claim(verdict: Verdict) -> str:
    """Which part makes the difference, and where, in two lines at most."""
    return style.spell("\n".join(textwrap.wrap(verdict.brief, 44, max_lines=2)))


def add_key(axes: "Axes") -> None:
    """What the marks mean."""
    marks: dict[str, dict[str, Any]] = {
        "mean and interval": {"marker": "o", "color": style.PAPER, "linewidth": 2.2, "markersize": 5},
        "claimed": {"marker": "D", "linestyle": "", "markerfacecolor": "white", "markeredgecolor": "black"},
        "a seed": {"marker": ".", "linestyle": "", "color": style.PAPER},
    }
    handles = [axes.plot([], [], label=name, **look)[0] for name, look in marks.items()]
    axes.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
