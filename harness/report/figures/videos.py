r"""Time lines of single videos: ground truth, P^A, \hat P^A, their mean, and the baseline (Fig. 7, 8, 9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness import data
from harness.compute import metrics
from harness.data.sampling import uniform
from harness.errors import ConfigError, hint
from harness.report.figures import Context, style
from harness.report.figures.detections import video_precision
from harness.store import results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.study import Run

SHOWN = 4  # videos in one figure


@dataclass(frozen=True)
class Lines:
    """What is drawn of one run: P^A and, where there are clusters, \\hat P^A, both (V, T) means over streams."""

    run: "Run"
    attention: np.ndarray
    clusters: np.ndarray | None

    @property
    def fused(self) -> np.ndarray:
        cat = self.run.settings.case.cat
        return self.attention if self.clusters is None else (1 - cat) * self.attention + cat * self.clusters


def lines(context: Context, row: int) -> Lines | None:
    """The run of the first finished seed of a row."""
    runs = context.runs(row)
    if not runs:
        return None
    scores = results.read_scores(context.root, runs[0].training_key)
    clusters = scores["clusters"].mean(1) if "clusters" in scores else None
    return Lines(runs[0], scores["attention"].mean(1), clusters)


def timelines(context: Context) -> "tuple[Figure, str] | None":
    """Fig. 7, 8: the last row against its reference, on the videos asked for or where it gains and loses most."""
    ours = lines(context, context.study.rows[-1].number)
    theirs = lines(context, context.study.rows[-1].reference)
    if ours is None:
        return None
    dataset = data.load(ours.run.settings.source, context.root)
    chosen, how = picked(context, dataset, ours, theirs)
    figure, panels = _panels(len(chosen))
    for axes, video in zip(panels, chosen):
        axis = _seconds(dataset, video, ours.attention.shape[1])
        _truth(axes, dataset, video)
        if theirs is not None and theirs.run != ours.run:
            axes.plot(axis, theirs.attention[video], color=style.PALETTE[3], linewidth=0.9, label="baseline $P^A$")
        axes.plot(axis, ours.attention[video], color=style.BACKGROUND, linewidth=0.9, label="$P^A$")
        if ours.clusters is not None:
            axes.plot(axis, ours.clusters[video], color=style.PALETTE[2], linewidth=0.9, label=r"$\hat P^A$")
            axes.plot(axis, ours.fused[video], color="black", linewidth=1.4, label=r"$\ddot P^A$ (fused)")
        axes.set_title(f"{dataset.test.ids[video]}: {_classes(dataset, video)}", loc="left", fontsize=8)
    panels[-1].set_xlabel("seconds")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="upper center", ncols=5, frameon=False)
    return figure, f"Seed {ours.run.seed}; {how}. Grey: annotated actions."


def picked(context: Context, dataset: data.Dataset, ours: Lines, theirs: Lines | None) -> tuple[list[int], str]:
    """Positions of the videos to show, and how they were chosen. ConfigError for an id that is not a test video."""
    ids = list(dataset.test.ids)
    if context.videos:
        if unknown := [v for v in context.videos if v not in ids]:
            raise ConfigError([f"--videos: no test video '{v}'; {hint(v, ids)}" for v in unknown])
        return [ids.index(v) for v in context.videos], "videos as asked for"
    gain = video_precision(context, ours.run, dataset)
    if theirs is not None and theirs.run != ours.run:
        gain = gain - video_precision(context, theirs.run, dataset)
    order = [v for v in np.argsort(gain).tolist() if readable(dataset, v)]
    half = SHOWN // 2
    return [
        *order[::-1][:half],
        *order[:half],
    ], "above where it gains most over its reference, below where it loses most"


def readable(dataset: data.Dataset, video: int) -> bool:
    """Whether a time line of the video can be read: some actions, and at most about ten minutes."""
    seconds = dataset.test.lengths[video] * dataset.test.snippet_seconds[video]
    return 2 <= len(dataset.test.segments[video]) <= 25 and seconds <= 600


def worst(context: Context) -> "tuple[Figure, str] | None":
    """Fig. 9: the videos with the lowest average precision of the last row; wrong snippets highlighted."""
    ours = lines(context, context.study.rows[-1].number)
    if ours is None:
        return None
    dataset = data.load(ours.run.settings.source, context.root)
    quality = video_precision(context, ours.run, dataset)
    chosen = [v for v in np.argsort(quality).tolist() if readable(dataset, v)][:SHOWN]
    figure, panels = _panels(len(chosen))
    threshold = ours.run.settings.metrics.acc_threshold
    for axes, video in zip(panels, chosen):
        axis = _seconds(dataset, video, ours.attention.shape[1])
        wrong = (ours.fused[video] >= threshold) != _foreground(dataset, video, ours.attention.shape[1])
        _truth(axes, dataset, video)
        width = np.gradient(axis)[wrong]
        axes.bar(axis[wrong], 1, width, color=style.FOREGROUND, alpha=0.3, linewidth=0)
        axes.plot(axis, ours.fused[video], color="black", linewidth=1.2)
        text = f"{dataset.test.ids[video]}: {_classes(dataset, video)}, AP {quality[video]:.0f} %"
        axes.set_title(text, loc="left", fontsize=8)
    panels[-1].set_xlabel("seconds")
    caption = "attention in testing; grey: annotated actions; coloured: snippets on the wrong side of the threshold."
    return figure, f"Seed {ours.run.seed}, row {context.study.rows[-1].number}: {caption}"


def _panels(number: int) -> "tuple[Figure, Sequence[Axes]]":
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(number, 1, figsize=(style.WIDE, 0.5 + 1.25 * number), squeeze=False)
    for axes in panels[:, 0]:
        axes.set(ylim=(-0.02, 1.08), yticks=(0, 0.5, 1))
        axes.margins(x=0)
    figure.subplots_adjust(hspace=0.75, top=1 - 0.6 / (0.5 + 1.25 * number))
    return figure, list(panels[:, 0])


def _seconds(dataset: data.Dataset, video: int, T: int) -> np.ndarray:
    """Centre of each sampled snippet, (T,)."""
    index = uniform(dataset.test.lengths[video : video + 1], T)[0]
    return (index + 0.5) * float(dataset.test.snippet_seconds[video])


def _foreground(dataset: data.Dataset, video: int, T: int) -> np.ndarray:
    length, seconds = int(dataset.test.lengths[video]), float(dataset.test.snippet_seconds[video])
    labels = metrics.snippet_labels(dataset.test.segments[video], length, seconds)
    return labels[uniform(dataset.test.lengths[video : video + 1], T)[0]]


def _truth(axes: "Axes", dataset: data.Dataset, video: int) -> None:
    for start, end, _ in dataset.test.segments[video]:
        axes.axvspan(start, end, color=style.TRUTH, alpha=0.22, linewidth=0)


def _classes(dataset: data.Dataset, video: int) -> str:
    found = np.unique(dataset.test.segments[video][:, 2]).astype(int)
    return ", ".join(dataset.classes[c] for c in found)
