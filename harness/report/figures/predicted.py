"""A new video's attention over time, and below it what was detected where."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness import data
from harness.compute.localize import Detections
from harness.compute.score import refined
from harness.report.figures import style
from harness.settings import Settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEST = 12  # detections shown of a class
CLASSES = 6  # classes shown, those with the best detections


def draw_prediction(
    folder: Path,
    settings: Settings,
    dataset: data.Dataset,
    scores: Mapping[str, np.ndarray],
    detections: Detections,
    video: int,
) -> None:
    """Write ID.png: attention used in testing, and the best detections of the best classes, darker where surer."""
    import matplotlib.pyplot as plt

    test = dataset.test
    length = float(test.lengths[video] * test.snippet_seconds[video])
    own = np.flatnonzero(detections.video == video)
    classes = rank_classes(detections, own)
    height = 2.0 + 0.3 * len(classes)
    with style.apply_style():
        figure, (top, bottom) = plt.subplots(
            2, 1, figsize=(style.WIDE, height), sharex=True, height_ratios=(1.4, 0.2 + 0.3 * len(classes))
        )
        attention = refined(scores, settings.case.cat)[video]
        centres = (np.arange(len(attention)) + 0.5) * length / len(attention)
        top.plot(centres, attention, color="black", linewidth=1.2)
        top.axhline(settings.metrics.acc_threshold, color="black", linewidth=0.5, linestyle=(0, (1, 3)))
        top.set(ylim=(-0.02, 1.05), yticks=(0, 0.5, 1), ylabel="attention", xlim=(0, length))
        top.set_title(test.ids[video], loc="left")
        for line, label in enumerate(classes):
            draw_class(bottom, detections, own[detections.label[own] == label], line)
        bottom.set_yticks(range(len(classes)), [dataset.classes[label] for label in classes])
        bottom.set(ylim=(len(classes) - 0.4, -0.6), xlabel="seconds")
        bottom.grid(axis="y", visible=False)
        figure.tight_layout()
        figure.savefig(folder / f"{test.ids[video]}.png", dpi=150, metadata={"Software": None})
        plt.close(figure)


def rank_classes(detections: Detections, own: np.ndarray) -> list[int]:
    """The classes with the best detections, best first."""
    order = own[np.argsort(-detections.score[own], kind="stable")]
    return list(dict.fromkeys(detections.label[order].tolist()))[:CLASSES]


def draw_class(axes: "Axes", detections: Detections, found: np.ndarray, line: int) -> None:
    """The best detections of one class as bars; the surest on top."""
    best = found[np.argsort(-detections.score[found], kind="stable")][:BEST]
    top = max(float(detections.score[best].max()), 1e-9) if len(best) else 1.0
    for index in best[::-1]:
        start, end = float(detections.start[index]), float(detections.end[index])
        sure = min(max(float(detections.score[index]) / top, 0.1), 1.0)
        axes.barh(line, end - start, 0.7, start, color=style.FOREGROUND, alpha=0.8 * sure**2, linewidth=0)
