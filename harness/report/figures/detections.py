"""Detections read back: average precision per class, and how good the detections of each single video are."""

from typing import TYPE_CHECKING, Any

import numpy as np

from harness import data
from harness.compute import metrics
from harness.compute.localize import Detections
from harness.report.figures import style
from harness.report.figures.drawing import Drawing
from harness.store import results
from harness.store.records import Record, Records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.study import Row

BARS = 4  # rows that stand beside each other as bars; more are a map of colours
WRITTEN = 10  # rows up to which the map says its numbers


def read_detections(record: Record, dataset: data.Dataset) -> Detections:
    """Detections of a run, from its stored predictions."""
    content = results.read_predictions(record.root, record.run.training_key, record.run.scoring_key)
    label = {name: i for i, name in enumerate(dataset.classes)}
    lines = []
    for v, name in enumerate(dataset.test.ids):
        lines += [(v, label[entry["label"]], entry["score"], *entry["segment"]) for entry in content.get(name, ())]
    table = np.array(lines, float).reshape(-1, 5)
    return Detections(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2], table[:, 3], table[:, 4])


def score_classes(records: Records, record: Record) -> np.ndarray:
    """Average precision per class (percent), mean over the study's tIoU; (C,)."""
    dataset = records.dataset(record)
    found = read_detections(record, dataset)
    tiou = record.run.settings.metrics.tiou
    return 100 * metrics.average_precision(dataset.test.segments, found, tiou, len(dataset.classes)).mean(0)


def score_videos(records: Records, record: Record) -> np.ndarray:
    """Each test video as if it were the whole split: its mean average precision (percent); (V,)."""
    dataset = records.dataset(record)
    found, tiou = read_detections(record, dataset), record.run.settings.metrics.tiou
    out = np.full(len(dataset.test.ids), np.nan)
    for v, segments in enumerate(dataset.test.segments):
        mine = found.video == v
        only = np.zeros(mine.sum(), int)
        alone = Detections(only, found.label[mine], found.score[mine], found.start[mine], found.end[mine])
        if len(segments):
            out[v] = 100 * np.nanmean(metrics.average_precision([segments], alone, tiou, len(dataset.classes)))
    return out


def score_seeds(records: Records, row: int) -> np.ndarray:
    """Average precision of each finished seed of a row; (seeds, classes)."""
    return np.stack([score_classes(records, record) for record in records.of(row)])


def draw_per_class(records: Records) -> Drawing | None:
    """Average precision of each class: rows as bars beside each other, many rows as a map of colours."""
    rows = [row for row in records.study.rows if records.of(row.number)]
    if not rows:
        return None
    classes = records.dataset(records.of(rows[0].number)[0]).classes
    tables = [score_seeds(records, row.number) for row in rows]
    means = np.stack([table.mean(0) for table in tables])
    if len(rows) <= BARS:
        figure = draw_bars(rows, classes, tables)
        caption = "Mean and sample standard deviation over seeds."
    else:
        figure = draw_map(rows, classes, means)
        caption = "Mean over seeds."
    best, worst = classes[int(means[-1].argmax())], classes[int(means[-1].argmin())]
    alt = f"Average precision per class; of {rows[-1].label} highest for {best}, lowest for {worst}."
    return Drawing(figure, caption, alt)


def draw_bars(rows: list["Row"], classes: tuple[str, ...], tables: list[np.ndarray]) -> "Figure":
    """Rows beside each other in each class, with one sample standard deviation."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(style.WIDE, 2.9))
    width = 0.8 / len(rows)
    for i, (row, table) in enumerate(zip(rows, tables)):
        spread = table.std(0, ddof=1) if len(table) > 1 else None
        place = np.arange(len(classes)) + (i - (len(rows) - 1) / 2) * width
        look: dict[str, Any] = {"color": style.PALETTE[i], "hatch": style.HATCHES[i], "edgecolor": "white"}
        axes.bar(place, table.mean(0), width, yerr=spread, label=style.spell(row.label), error_kw={"lw": 0.8}, **look)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set(ylabel="AP (%), mean over tIoU", ylim=(0, None))
    axes.grid(axis="x", visible=False)
    axes.margins(x=0.01)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2 if len(rows) > 2 else len(rows))
    return figure


def draw_map(rows: list["Row"], classes: tuple[str, ...], means: np.ndarray) -> "Figure":
    """Rows over classes as colours, with numbers where they can be read."""
    import matplotlib.pyplot as plt
    import seaborn as sns

    figure, axes = plt.subplots(figsize=(style.WIDE, 0.9 + 0.2 * len(rows)))
    labels = [style.spell(row.label) for row in rows]
    sns.heatmap(
        means,
        cmap="cividis",
        annot=len(rows) <= WRITTEN,
        fmt=".0f",
        annot_kws={"size": style.SMALL - 1},
        xticklabels=classes,
        yticklabels=labels,
        cbar_kws={"label": "AP (%), mean over tIoU"},
        ax=axes,
    )
    axes.set_xticks(np.arange(len(classes)) + 0.5, classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    return figure
