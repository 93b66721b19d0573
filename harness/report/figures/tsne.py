"""Where snippets and cluster prototypes lie among the embeddings (Fig. 6)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from harness import data
from harness.report.figures import style
from harness.report.figures.clusters import make_grid
from harness.report.figures.drawing import Drawing
from harness.store.records import Record, Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 2500  # snippets of a panel; the paper shows 10,000


def draw_tsne(records: Records) -> Drawing | None:
    """Fig. 6: t-SNE of test snippets and cluster prototypes, a row of panels per table row, a column per stream.

    Needs ``training.keep_embeddings``; nothing is drawn without it.
    """
    import matplotlib.pyplot as plt

    rows = [(row, records.of(row.number)[:1]) for row in records.study.rows]
    found = [(row, runs[0]) for row, runs in rows if runs and "embedding" in runs[0].scores]
    if not found:
        return None
    streams = records.dataset(found[0][1]).streams
    size = (style.WIDE, style.WIDE / len(streams) * len(found))
    figure, panels = plt.subplots(len(found), len(streams), figsize=size, squeeze=False)
    for line, (row, record) in zip(panels, found):
        for m, axes in enumerate(line):
            stream = f" - {streams[m]}" if len(streams) > 1 else ""
            axes.set_title(f"{style.spell(row.label)}{stream}")
            total = scatter_stream(axes, records.dataset(record), record, m)
    handles, labels = panels[-1][0].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=4)
    shown = min(POINTS, total)
    caption = f"t-SNE (cosine, seed 0) of {shown:,} of {total:,} test snippets, drawn at random."
    caption += " Marks with the cluster's number: centres of the snippets by their assignment."
    return Drawing(figure, caption, f"A scatter of snippets per row and stream, {shown} points each.")


def scatter_stream(axes: "Axes", dataset: data.Dataset, record: Record, m: int) -> int:
    """Embed snippets and prototypes of one stream and draw them; returns how many snippets there are."""
    from sklearn.manifold import TSNE

    Z = record.scores["embedding"][:, m]  # (V, T, H)
    flat, truth = Z.reshape(-1, Z.shape[-1]), make_grid(dataset, Z.shape[1]).foreground.ravel()
    chosen = np.random.default_rng(0).choice(len(flat), min(POINTS, len(flat)), replace=False)
    centres, side = find_centres(record, flat, m)
    unit = np.concatenate([normalise(flat[chosen]), normalise(centres)])
    place = TSNE(metric="cosine", init="random", random_state=0, perplexity=30).fit_transform(unit)
    points, stars, shown = place[: len(chosen)], place[len(chosen) :], truth[chosen]
    look: dict[str, Any] = {"s": 5, "alpha": 0.45, "linewidths": 0, "rasterized": True}
    for mask, colour, name in ((~shown, style.BACKGROUND, "background"), (shown, style.FOREGROUND, "foreground")):
        axes.scatter(*points[mask].T, color=colour, label=f"{name} snippet", **look)
    mark: dict[str, Any] = {"s": 95, "edgecolors": "black", "linewidths": 0.9, "zorder": 3}
    for mask, colour, name, shape in (
        (~side, style.BACKGROUND, "background", "s"),
        (side, style.FOREGROUND, "foreground", "o"),
    ):
        axes.scatter(*stars[mask].T, color=colour, marker=shape, label=f"{name} cluster", **mark)
    for k, (x, y) in enumerate(stars):
        axes.text(x, y, str(k), ha="center", va="center", fontsize=style.SMALL - 1.5, color="white", zorder=4)
    axes.set(xticks=(), yticks=())
    return len(flat)


def normalise(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    out: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return out


def find_centres(record: Record, flat: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster prototypes (K, H) and whether Q^R calls them foreground (K,); none where clusters were not trained."""
    scores = record.scores
    if "P_C" not in scores or record.run.settings.case.lambda_c == 0:
        return np.zeros((0, flat.shape[1])), np.zeros(0, bool)
    P = scores["P_C"][:, m].reshape(len(flat), -1)
    return (P.T @ flat) / np.maximum(P.sum(0), 1e-12)[:, None], scores["Q_R"][m, :, 0] >= 0.5
