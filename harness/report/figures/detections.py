"""Detections read back: average precision per class, and how good the detections of each single video are."""

from typing import TYPE_CHECKING, Any

import numpy as np

from harness import data
from harness.compute import metrics
from harness.compute.localize import Detections
from harness.report.figures import Context, style
from harness.report.notation import mathtext
from harness.store import files, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.study import Run


def stored(context: Context, run: "Run", dataset: data.Dataset) -> Detections:
    """Detections of a run, from its predictions.json."""
    folder = results.scoring_folder(context.root, run.training_key, run.scoring_key)
    content = files.read_json(folder / "predictions.json")["results"]
    label = {name: i for i, name in enumerate(dataset.classes)}
    lines = [
        (v, label[entry["label"]], entry["score"], *entry["segment"])
        for v, name in enumerate(dataset.test.ids)
        for entry in content.get(name, ())
    ]
    table = np.array(lines, float).reshape(-1, 5)
    return Detections(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2], table[:, 3], table[:, 4])


def class_precision(context: Context, run: "Run") -> np.ndarray:
    """Average precision per class (percent), mean over the study's tIoU; (C,)."""
    dataset = data.load(run.settings.source, context.root)
    found = stored(context, run, dataset)
    tiou = run.settings.metrics.tiou
    return 100 * metrics.average_precision(dataset.test.segments, found, tiou, len(dataset.classes)).mean(0)


def video_precision(context: Context, run: "Run", dataset: data.Dataset) -> np.ndarray:
    """Each test video as if it were the whole split: its mean average precision (percent); (V,)."""
    found = stored(context, run, dataset)
    out = np.zeros(len(dataset.test.ids))
    for v, segments in enumerate(dataset.test.segments):
        mine = found.video == v
        alone = Detections(
            np.zeros(mine.sum(), int), found.label[mine], found.score[mine], found.start[mine], found.end[mine]
        )
        ap = metrics.average_precision([segments], alone, run.settings.metrics.tiou, len(dataset.classes))
        out[v] = 100 * np.nanmean(ap) if len(segments) else np.nan
    return out


def per_class(context: Context) -> "tuple[Figure, str] | None":
    """Average precision of each class, rows beside each other, mean and standard deviation over seeds."""
    import matplotlib.pyplot as plt

    rows = [row for row in context.study.rows if context.runs(row.number)]
    if not rows:
        return None
    first = context.runs(rows[0].number)[0]
    classes = data.load(first.settings.source, context.root).classes
    figure, axes = plt.subplots(figsize=(style.WIDE, 2.9))
    width = 0.8 / len(rows)
    for i, row in enumerate(rows):
        table = np.stack([class_precision(context, run) for run in context.runs(row.number)])
        spread = table.std(0, ddof=1) if len(table) > 1 else None
        place = np.arange(len(classes)) + (i - (len(rows) - 1) / 2) * width
        look: dict[str, Any] = {
            "color": style.PALETTE[i % len(style.PALETTE)],
            "label": mathtext(row.label),
            "error_kw": {"lw": 0.8},
        }
        axes.bar(place, table.mean(0), width, yerr=spread, **look)
    axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right")
    axes.set(ylabel="AP (%), mean over tIoU", ylim=(0, None))
    axes.grid(axis="x", visible=False)
    axes.legend(frameon=False, ncols=len(rows))
    return figure, "Mean and sample standard deviation over seeds."
