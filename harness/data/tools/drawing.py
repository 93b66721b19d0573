"""``describe``: a data set as one picture."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.data.tools.checking import Checked
from harness.data.tools.facts import Facts
from harness.data.tools.showing import name_streams
from harness.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 24
NAMED = 40  # classes whose names fit under the bars
COLOURS = ("#4878a8", "#e08a3c")  # training, test


def draw_facts(checked: Checked, path: Path) -> None:
    """Lengths of videos, durations and counts of instances, and instances per class, training beside test."""
    from matplotlib.figure import Figure

    if not checked.facts:
        raise DataError(checked.findings.errors or [f"{checked.name}: no video to draw"])
    figure = Figure(figsize=(12, 7), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 1.1))
    lengths, durations, counts = (figure.add_subplot(grid[0, column]) for column in range(3))
    facts = checked.facts
    draw_distribution(lengths, {split: own.lengths for split, own in facts.items()}, "video length (s)", "videos")
    draw_distribution(durations, {s: own.durations for s, own in facts.items()}, "instance duration (s)", "instances")
    draw_counts(counts, {split: own.counts for split, own in facts.items()})
    draw_classes(figure.add_subplot(grid[1, :]), checked.classes, facts)
    videos = ", ".join(f"{own.videos} {split}" for split, own in facts.items())
    figure.suptitle(f"{checked.name}: {videos} videos, streams {name_streams(checked)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def draw_distribution(axes: "Axes", values: dict[str, np.ndarray], words: str, what: str) -> None:
    """Histograms on logarithmic bins that the splits share."""
    known = {split: own[np.isfinite(own) & (own > 0)] for split, own in values.items()}
    every = np.concatenate(list(known.values()))
    if every.size:
        low, high = every.min(), every.max()
        edges = np.geomspace(low, high if high > low else low * 1.1, BINS + 1)
        for (split, own), colour in zip(known.items(), COLOURS):
            median = np.median(own) if own.size else np.nan
            axes.hist(own, edges.tolist(), alpha=0.6, label=f"{split}, median {median:.3g}", color=colour)
        scale_logarithmically(axes)
        show_legend(axes)
    axes.set_xlabel(words)
    axes.set_ylabel(what)


def scale_logarithmically(axes: "Axes") -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5 times powers of ten."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def show_legend(axes: "Axes") -> None:
    """The legend in a line above the bars."""
    axes.margins(y=0.2)
    axes.legend(frameon=False, ncols=2, loc="upper right", fontsize="small")


def draw_counts(axes: "Axes", counts: dict[str, np.ndarray]) -> None:
    """How many videos have how many instances."""
    most = max((int(own.max()) for own in counts.values() if own.size), default=0)
    for number, (split, own) in enumerate(counts.items()):
        at = np.arange(most + 1) + 0.4 * (number - 0.5)
        axes.bar(at, np.bincount(own, minlength=most + 1), 0.4, label=split, color=COLOURS[number])
    axes.set_xlabel("instances in a video")
    axes.set_ylabel("videos")
    show_legend(axes)


def draw_classes(axes: "Axes", classes: tuple[str, ...], facts: dict[str, Facts]) -> None:
    """Instances of each class, the most frequent in training first."""
    order = np.argsort(-next(iter(facts.values())).per_class, kind="stable")
    for number, (split, own) in enumerate(facts.items()):
        at = np.arange(len(order)) + 0.4 * (number - 0.5)
        axes.bar(at, own.per_class[order], 0.4, label=split, color=COLOURS[number])
    axes.set_ylabel("instances")
    show_legend(axes)
    if len(classes) <= NAMED:
        axes.set_xticks(range(len(order)), [classes[c] for c in order], rotation=45, ha="right")
    else:
        axes.set_xlabel(f"{len(classes)} classes, by training instances")
    axes.set_xlim(-1, len(order))
