"""Figures of a search, in the style of all figures: PNG and PDF, each with a caption that says what is seen."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.report.figures import style
from harness.report.figures.drawing import Drawn
from harness.report.notation import spell_settings
from harness.search.findings import Findings, average, name_metric, show
from harness.search.trials import Trial
from harness.study.tune import get_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BEST, DEFAULT = style.PALETTE[1], style.PAPER
STAR: Mapping[str, Any] = {"marker": "*", "s": 130, "color": BEST, "edgecolor": "black", "linewidth": 0.5, "zorder": 4}
ACROSS = 4  # panels beside each other
LEAST = 4  # complete trials, with fewer a figure shows nothing
SMALL = 8  # points, of tick labels that are many
CROWDED = 16  # characters of choices that fit beside each other below a panel
SHORT = 50  # highest by lowest value of a logarithmic axis, below which a tick a decade is too few


Sketch = tuple["Figure", str]  # a figure and its caption


def draw_figures(found: Findings, folder: Path) -> tuple[list[Drawn], list[str]]:
    """Draw what there is enough of into ``folder``; returns the pictures, and what could not be drawn."""
    if len(list_complete(found)) < LEAST:
        return [], [f"Figures need {LEAST} complete trials; there are {len(list_complete(found))}."]
    pictures = []
    with style.apply_style():
        for name, (title, draw) in FIGURES.items():
            sketch = draw(found)
            if sketch is None:
                continue
            figure, caption = sketch
            style.save_figure(figure, folder / name)
            pictures.append(Drawn(name, folder / f"{name}.png", title, caption, f"{title}: {caption}"))
    return pictures, []


def list_complete(found: Findings) -> list[Trial]:
    return [trial for trial in found.done if trial.state == "complete"]


def draw_history(found: Findings) -> Sketch:
    """The first objective trial by trial, and the best so far."""
    import matplotlib.pyplot as plt

    objective, default = found.task.objectives[0], average(found.validation, found.task.metrics[0])
    done = list_complete(found)
    numbers = [trial.number for trial in done]
    values = [trial.objectives[0] for trial in done]
    choose = max if objective.direction == "maximize" else min
    figure, axes = plt.subplots(figsize=(style.COLUMN * 1.3, 2.9))
    axes.scatter(numbers, values, s=16, color=style.PALETTE[0], label="trial")
    axes.step(numbers, list(accumulate(values, choose)), where="post", color=style.PALETTE[2], label="best so far")
    cut = [trial for trial in found.done if trial.state == "pruned" and trial.seeds[0]]
    if cut:
        look: dict[str, Any] = {"s": 16, "facecolor": "none", "edgecolor": style.PALETTE[0], "label": "pruned"}
        means = [float(np.mean(trial.seeds[0])) for trial in cut]
        axes.scatter([trial.number for trial in cut], means, **look)
    axes.scatter([found.best.number], [found.best.objectives[0]], label=f"winner, trial {found.best.number}", **STAR)
    if isfinite(default):
        axes.axhline(default, linestyle="--", color=DEFAULT, label="default settings")
    axes.set(xlabel="trial", ylabel=name_objective(found))
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    better = sum(choose(value, default) != default for value in values)
    text = f"{better} of {len(values)} complete trials do better than the default settings ({show(default)})"
    return figure, f"{text}; the winner, trial {found.best.number}, reaches {show(found.best.objectives[0])}."


def name_objective(found: Findings) -> str:
    return f"{name_metric(found.task.metrics[0])} (held-out videos)"


def draw_slices(found: Findings) -> Sketch:
    """The first objective over each setting alone, the most important one first."""
    import matplotlib.pyplot as plt

    paths = order_settings(found)
    across = min(ACROSS, len(paths))
    down = -(-len(paths) // across)
    size = (style.WIDE * across / ACROSS + 0.6, 2.1 * down)
    figure, grid = plt.subplots(down, across, figsize=size, squeeze=False, sharey=True)
    for axes, path in zip(grid.flat, paths):
        fill_slice(axes, found, path)
    for axes in grid.flat[len(paths) :]:
        axes.set_visible(False)
    figure.supylabel(name_objective(found), fontsize="medium")
    figure.tight_layout()
    text = "Each dot is a trial, darker ones came later; the star is the winner, the dashed line the default value."
    return figure, f"{text} Settings stand in the order of their importance, {name_setting(paths[0])} first."


def order_settings(found: Findings) -> list[str]:
    """The tuned settings by importance, in the study's order where it is not known."""
    return list(found.importances) or list(found.task.space)


def fill_slice(axes: "Axes", found: Findings, path: str) -> None:
    """One setting's panel."""
    done = list_complete(found)
    scale = Scale.of(found, path)
    x = [scale.place(trial.values[path]) for trial in done]
    y = [trial.objectives[0] for trial in done]
    axes.scatter(x, y, s=12, c=[trial.number for trial in done], cmap="Blues", vmin=-len(done) / 2)
    axes.scatter([scale.place(found.best.values[path])], [found.best.objectives[0]], **STAR)
    axes.axvline(scale.place(scale.default), linestyle="--", color=DEFAULT, linewidth=1)
    if scale.choices:
        crowded = sum(map(len, scale.choices)) > CROWDED
        axes.set_xticks(range(len(scale.choices)), scale.choices, rotation=30 if crowded else 0)
    else:
        low, high = list_ends(found, path)
        axes.set_xlim(widen(low, high, scale.log))
        if scale.log:
            mark_decades(axes, high / low)
    axes.margins(y=0.12)  # the star is large
    axes.set_xlabel(label_setting(path))
    axes.tick_params(labelsize=SMALL)


def mark_decades(axes: "Axes", span: float) -> None:
    """Plain numbers on a logarithmic axis; 1, 2 and 5 of each decade where there are few."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < SHORT else (1,)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())


@dataclass(frozen=True)
class Scale:
    """Where a setting's values lie on an axis: a number at itself, a choice at its place in the list."""

    choices: tuple[str, ...]
    log: bool
    default: Any

    @classmethod
    def of(cls, found: Findings, path: str) -> "Scale":
        """The scale of a setting's search space."""
        kind, *values = found.task.space[path]
        choices = tuple(str(value) for value in values) if kind == "categorical" else ()
        return cls(choices, kind.startswith("log"), get_value(found.task.default, path))

    def place(self, value: Any) -> float:
        """The place of a value; NaN for one that is not on the axis."""
        if self.choices:
            return float(self.choices.index(str(value))) if str(value) in self.choices else nan
        return float(value) if isinstance(value, int | float) and isfinite(value) else nan


def widen(low: float, high: float, log: bool) -> tuple[float, float]:
    """The range that was searched, with room for dots at its ends."""
    if log:
        room = (high / low) ** 0.05
        return low / room, high * room
    room = 0.05 * (high - low)
    return low - room, high + room


def name_setting(path: str) -> str:
    """A setting in a caption: by the paper's symbol where it has one, else without its group."""
    spelt = spell_settings(path)
    return spelt if spelt != path else path.rpartition(".")[2].replace("_", " ")


def label_setting(path: str) -> str:
    """A setting's name on an axis."""
    return style.spell(name_setting(path))


def draw_importances(found: Findings) -> Sketch | None:
    """Share of the objective's variance that each setting explains."""
    import matplotlib.pyplot as plt

    if not found.influence:
        return None
    names = [label_setting(path) for path, _, _ in found.influence]
    shares = [100 * share for _, share, _ in found.influence]
    spread = [100 * half if isfinite(half) else 0.0 for _, _, half in found.influence]
    figure, axes = plt.subplots(figsize=(style.COLUMN * 1.2, 0.8 + 0.26 * len(names)))
    axes.barh(names, shares, xerr=spread, color=style.PALETTE[0], ecolor="black", capsize=2)
    axes.invert_yaxis()
    axes.set(xlabel="share of the objective's variance (%)", xlim=(0, 100))
    path, share, half = found.influence[0]
    text = f"{name_setting(path)} explains most of the objective's variance over the trials, {100 * share:.0f} %"
    text += " (fANOVA; mean and 95 % interval over the search's seeds)."
    doubt = " Its interval is wider than that: too few trials to rank the settings."
    return figure, text + (doubt if half > share else "")


def draw_parallel(found: Findings) -> Sketch:
    """Every trial as a line through its settings; the best quarter in colour."""
    import matplotlib.pyplot as plt

    paths, done = order_settings(found), list_complete(found)
    sign = -1 if found.task.objectives[0].direction == "maximize" else 1
    ranked = sorted(done, key=lambda trial: sign * trial.objectives[0])
    best = ranked[: max(1, len(ranked) // 4)]
    heights = {path: spread_out(found, path) for path in paths}
    figure, axes = plt.subplots(figsize=(max(style.COLUMN, 1.0 * len(paths)), 3.0))
    for trial in reversed(ranked):
        colour = style.PALETTE[0] if trial in best else "#cccccc"
        y = [heights[path](trial.values[path]) for path in paths]
        axes.plot(range(len(paths)), y, color=colour, linewidth=0.9, zorder=2 + (trial in best))
    y = [heights[path](found.best.values[path]) for path in paths]
    axes.plot(range(len(paths)), y, color=BEST, linewidth=2.2, zorder=4)
    for x, path in enumerate(paths):
        axes.text(x, -0.06, find_end(found, path, 0), ha="center", va="top", fontsize=SMALL)
        axes.text(x, 1.06, find_end(found, path, -1), ha="center", va="bottom", fontsize=SMALL)
    axes.set_xticks(range(len(paths)), ["\n".join(textwrap.wrap(label_setting(path), 14)) for path in paths])
    axes.tick_params(axis="x", pad=14)
    axes.set(ylim=(-0.05, 1.05), yticks=[])
    axes.grid(visible=True, axis="x")
    text = f"Each line is a trial; blue: the best {len(best)} of {len(done)}, orange: the winner, grey: the others."
    return figure, f"{text} Where blue lines meet, good trials agree on a value."


def spread_out(found: Findings, path: str) -> Callable[[Any], float]:
    """From a setting's value to its height between 0 and 1 over the range that was searched."""
    scale = Scale.of(found, path)
    low, high = (scale.place(value) for value in list_ends(found, path))
    warp = np.log if scale.log else np.asarray

    def height(value: Any) -> float:
        return float((warp(scale.place(value)) - warp(low)) / (warp(high) - warp(low)))

    return height


def list_ends(found: Findings, path: str) -> Sequence[Any]:
    """The lowest and highest value, or the first and last choice, of a setting."""
    kind, first, *rest = found.task.space[path]
    return (first, rest[-1]) if kind == "categorical" else (first, rest[0])


def find_end(found: Findings, path: str, end: int) -> str:
    return show(list_ends(found, path)[end])


def draw_front(found: Findings) -> Sketch | None:
    """Each pair of objectives, the Pareto trials joined."""
    import matplotlib.pyplot as plt

    done, metrics = list_complete(found), found.task.metrics
    pairs = list(combinations(range(len(metrics)), 2))
    if not pairs:
        return None
    reached = np.reshape([trial.objectives for trial in done], (-1, len(metrics)))
    front = np.reshape(sorted(trial.objectives for trial in done if trial.number in found.front), (-1, len(metrics)))
    figure, panels = plt.subplots(1, len(pairs), figsize=(3.2 * len(pairs) + 0.4, 2.9), squeeze=False)
    for axes, (i, j) in zip(panels[0], pairs):
        axes.scatter(reached[:, i], reached[:, j], s=14, color=DEFAULT)
        axes.plot(front[:, i], front[:, j], "o-", markersize=4, color=style.PALETTE[0])
        axes.scatter([found.best.objectives[i]], [found.best.objectives[j]], **STAR)
        axes.set(xlabel=name_metric(metrics[i]), ylabel=name_metric(metrics[j]))
    figure.tight_layout()
    text = f"{len(found.front)} of {len(done)} trials are beaten by no other in all objectives (blue)"
    return figure, f"{text}; the star is trial {found.best.number}, which is compared on the test split."


FIGURES: Mapping[str, tuple[str, Callable[[Findings], Sketch | None]]] = {  # file name -> title, drawing
    "history": ("How the search went", draw_history),
    "importances": ("Which settings matter", draw_importances),
    "slice": ("The objective over each setting", draw_slices),
    "parallel": ("What good trials have in common", draw_parallel),
    "pareto": ("Between the objectives", draw_front),
}
