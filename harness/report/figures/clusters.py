"""What the clusters hold (Fig. 5, without frames): their share of foreground, classes, typical snippets."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness import data
from harness.compute import metrics
from harness.data.sampling import uniform
from harness.report.figures import style
from harness.report.figures.drawing import Drawing
from harness.store.records import Records


@dataclass(frozen=True)
class Grid:
    """The sampled snippets of the test split: foreground (V, T), class or -1 (V, T), seconds (V, T)."""

    foreground: np.ndarray
    label: np.ndarray
    seconds: np.ndarray


def make_grid(dataset: data.Dataset, T: int) -> Grid:
    """The test split on its grid of T snippets a video."""
    index = uniform(dataset.test.lengths, T)
    label = np.stack([label_snippets(dataset, video)[index[video]] for video in range(len(index))])
    return Grid(label >= 0, label, index * dataset.test.snippet_seconds[:, None])


def label_snippets(dataset: data.Dataset, video: int) -> np.ndarray:
    """Class of each snippet of a video, -1 for background; (n,)."""
    length, seconds = int(dataset.test.lengths[video]), float(dataset.test.snippet_seconds[video])
    out = np.full(length, -1)
    for segment in dataset.test.segments[video]:
        out[metrics.snippet_labels(segment[None], length, seconds)] = int(segment[2])
    return out


def draw_clusters(records: Records) -> Drawing | None:
    """Fig. 5: share of foreground of each cluster, its classes and its most typical snippets with time codes."""
    import matplotlib.pyplot as plt
    from matplotlib.patches import Patch

    last = records.study.rows[-1]
    runs = records.of(last.number)
    if not runs or "owner" not in runs[0].scores:
        return None
    scores, dataset = runs[0].scores, records.dataset(runs[0])
    owner, K = scores["owner"], scores["Q_R"].shape[1]  # (V, T)
    grid = make_grid(dataset, owner.shape[1])
    share = np.array([measure_share(grid, owner == k) for k in range(K)])
    judged = scores["Q_R"].mean(0)[:, 0] >= 0.5
    order = np.argsort(-share)
    figure, axes = plt.subplots(figsize=(style.COLUMN, 0.9 + 0.2 * K))
    colours = [style.FOREGROUND if judged[k] else style.BACKGROUND for k in order]
    axes.barh(range(K), share[order], color=colours, alpha=0.8)
    axes.axvline(grid.foreground.mean(), color="black", linewidth=0.9, linestyle="--", label="all snippets")
    axes.set_yticks(range(K), [f"cluster {k}" for k in order])
    axes.set(xlim=(0, 1), xlabel="share of foreground snippets")
    axes.grid(axis="y", visible=False)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    for y, k in enumerate(order):
        text = describe_cluster(dataset, grid, scores, int(k))
        axes.text(1.02, y, text, va="center", fontsize=style.SMALL, transform=axes.get_yaxis_transform())
    sides = {"$Q^R$: foreground cluster": style.FOREGROUND, "$Q^R$: background cluster": style.BACKGROUND}
    patches = [Patch(color=colour, alpha=0.8, label=name) for name, colour in sides.items()]
    handles = [*patches, axes.get_lines()[0]]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    right = int((judged == (share >= grid.foreground.mean())).sum())
    caption = f"Row {last.number}, seed {runs[0].run.seed}. Right: size, commonest classes, most typical snippets."
    alt = f"{right} of {K} clusters hold more foreground than average exactly when Q^R calls them foreground."
    return Drawing(figure, caption, alt)


def measure_share(grid: Grid, mine: np.ndarray) -> float:
    """Share of foreground among the snippets of a cluster, 0 for an empty one."""
    return float(grid.foreground[mine].mean()) if mine.any() else 0.0


def describe_cluster(dataset: data.Dataset, grid: Grid, scores: Mapping[str, np.ndarray], k: int) -> str:
    """'7 %: action 03, action 11; test_0004 0:31, test_0010 1:12'."""
    mine = scores["owner"] == k
    if not mine.any():
        return "empty"
    held = grid.label[mine & grid.foreground]
    common = np.argsort(-np.bincount(held, minlength=1))[:2]
    classes = [dataset.classes[c] for c in common if (held == c).any()] or ["background"]
    strength = np.where(mine, scores["owner_P_C"], -1)
    codes = []
    for video in np.argsort(-strength.max(1))[:2]:
        seconds = int(grid.seconds[video, strength[video].argmax()])
        codes.append(f"{dataset.test.ids[video]} {seconds // 60}:{seconds % 60:02d}")
    return f"{mine.mean():.0%}: {', '.join(classes)}; {', '.join(codes)}"
