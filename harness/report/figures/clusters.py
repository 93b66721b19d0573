"""What the clusters are: what they hold (Fig. 5, without frames) and where they lie among the embeddings (Fig. 6)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import data
from harness.compute import metrics
from harness.data.sampling import uniform
from harness.report.figures import Context, style
from harness.report.notation import mathtext
from harness.store import results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.study import Run

POINTS = 1500  # snippets of a t-SNE


@dataclass(frozen=True)
class Grid:
    """The sampled snippets of the test split: foreground (V, T), class or -1 (V, T), seconds (V, T)."""

    foreground: np.ndarray
    label: np.ndarray
    seconds: np.ndarray

    @classmethod
    def of(cls, dataset: data.Dataset, T: int) -> "Grid":
        index = uniform(dataset.test.lengths, T)
        label = np.stack([_labels(dataset, v)[index[v]] for v in range(len(index))])
        seconds = index * dataset.test.snippet_seconds[:, None]
        return cls(label >= 0, label, seconds)


def _labels(dataset: data.Dataset, video: int) -> np.ndarray:
    """Class of each snippet of a video, -1 for background; (n,)."""
    length, seconds = int(dataset.test.lengths[video]), float(dataset.test.snippet_seconds[video])
    out = np.full(length, -1)
    for segment in dataset.test.segments[video]:
        out[metrics.snippet_labels(segment[None], length, seconds)] = int(segment[2])
    return out


def clusters(context: Context) -> "tuple[Figure, str] | None":
    """Fig. 5: share of foreground of each cluster, its classes and its most typical snippets with time codes."""
    import matplotlib.pyplot as plt

    runs = context.runs(context.study.rows[-1].number)
    scores = results.read_scores(context.root, runs[0].training_key) if runs else {}
    if "P_C" not in scores:
        return None
    dataset = data.load(runs[0].settings.source, context.root)
    P_C = scores["P_C"].mean(1)  # (V, T, K), mean over streams
    grid, owner = Grid.of(dataset, P_C.shape[1]), P_C.argmax(-1)
    K = P_C.shape[-1]
    share = np.array([grid.foreground[owner == k].mean() if (owner == k).any() else 0.0 for k in range(K)])
    judged = scores["Q_R"].mean(0)[:, 0]
    order = np.argsort(-share)
    figure, axes = plt.subplots(figsize=(style.WIDE, 0.6 + 0.27 * K))
    colours = [style.FOREGROUND if judged[k] >= 0.5 else style.BACKGROUND for k in order]
    axes.barh(range(K), share[order], color=colours, alpha=0.75)
    axes.axvline(grid.foreground.mean(), color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(K), [f"cluster {k}" for k in order])
    axes.set(xlim=(0, 1), xlabel="share of foreground snippets (dashed: of all snippets)")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    for y, k in enumerate(order):
        text = describe(dataset, grid, owner, P_C, int(k))
        axes.text(1.02, y, text, va="center", fontsize=6.5, transform=axes.get_yaxis_transform())
    caption = (
        "Colour: Q^R says foreground (orange) or background (blue). Right: size, commonest classes, typical snippets."
    )
    return figure, f"Row {context.study.rows[-1].number}, seed {runs[0].seed}. {caption}"


def describe(dataset: data.Dataset, grid: Grid, owner: np.ndarray, P_C: np.ndarray, k: int) -> str:
    """'7 %: action 03, action 11; test_0004 0:31, test_0010 1:12'."""
    mine = owner == k
    if not mine.any():
        return "empty"
    held = grid.label[mine & grid.foreground]
    classes = (
        [dataset.classes[c] for c in np.argsort(-np.bincount(held, minlength=1))[:2]] if held.size else ["background"]
    )
    best = np.argsort(-np.where(mine, P_C[..., k], -1).max(1))[:2]
    examples = [(v, int(np.where(mine[v], P_C[v, :, k], -1).argmax())) for v in best]
    codes = [
        f"{dataset.test.ids[v]} {int(s) // 60}:{int(s) % 60:02d}" for v, t in examples for s in [grid.seconds[v, t]]
    ]
    return f"{mine.mean():.0%}: {', '.join(classes)}; {', '.join(codes)}"


def tsne(context: Context) -> "tuple[Figure, str] | None":
    """Fig. 6: t-SNE of test snippets and cluster prototypes, a row of panels per table row, a column per stream.

    Needs ``training.keep_embeddings``; nothing is drawn without it.
    """
    import matplotlib.pyplot as plt

    rows = [(row, runs[0]) for row in context.study.rows if (runs := context.runs(row.number))]
    found = [(row, run, results.read_scores(context.root, run.training_key)) for row, run in rows]
    found = [entry for entry in found if "embedding" in entry[2]]
    if not found:
        return None
    streams = found[0][2]["embedding"].shape[1]
    size = (style.WIDE, style.WIDE / streams * len(found))
    figure, panels = plt.subplots(len(found), streams, figsize=size, squeeze=False)
    names = data.load(found[0][1].settings.source, context.root).streams
    for line, (row, run, scores) in zip(panels, found):
        for m, axes in enumerate(line):
            _scatter(axes, context, run, scores, m)
            stream = f" - {names[m]}" if streams > 1 else ""
            axes.set_title(f"{mathtext(row.label)}{stream}", fontsize=9)
    handles, labels = panels[-1][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, bbox_to_anchor=(0.5, 0.02))
    return figure, "t-SNE of test snippets (seed 0); prototypes are centres of the snippets by cluster assignment."


def _scatter(axes: "Axes", context: Context, run: "Run", scores: dict[str, np.ndarray], m: int) -> None:
    """Embed snippets and prototypes of one stream, and draw them."""
    from sklearn.manifold import TSNE

    dataset = data.load(run.settings.source, context.root)
    Z = scores["embedding"][:, m]  # (V, T, H)
    flat, truth = Z.reshape(-1, Z.shape[-1]), Grid.of(dataset, Z.shape[1]).foreground.ravel()
    chosen = np.random.default_rng(0).choice(len(flat), min(POINTS, len(flat)), replace=False)
    centres, side = centres_of(run, scores, flat, m)
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (flat[chosen], centres)]
    place = TSNE(metric="cosine", init="random", random_state=0, perplexity=30).fit_transform(np.concatenate(unit))
    points, stars, shown = place[: len(chosen)], place[len(chosen) :], truth[chosen]
    look: dict[str, Any] = {"s": 4, "alpha": 0.5, "linewidths": 0, "rasterized": True}
    for mask, colour, name in ((~shown, style.BACKGROUND, "background"), (shown, style.FOREGROUND, "foreground")):
        axes.scatter(*points[mask].T, color=colour, label=f"{name} snippet", **look)
    for mask, colour, name in ((~side, style.BACKGROUND, "background"), (side, style.FOREGROUND, "foreground")):
        mark: dict[str, Any] = {"marker": "*", "s": 110, "edgecolors": "black", "linewidths": 0.7}
        axes.scatter(*stars[mask].T, color=colour, label=f"{name} cluster", **mark)
    axes.set(xticks=(), yticks=())


def centres_of(run: "Run", scores: dict[str, np.ndarray], flat: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster prototypes (K, H) and whether Q^R calls them foreground (K,); none where clusters were not trained."""
    if "P_C" not in scores or run.settings.case.lambda_c == 0:
        return np.zeros((0, flat.shape[1])), np.zeros(0, bool)
    P = scores["P_C"][:, m].reshape(len(flat), -1)
    return (P.T @ flat) / np.maximum(P.sum(0), 1e-12)[:, None], scores["Q_R"][m, :, 0] >= 0.5
