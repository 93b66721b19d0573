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

ACROSS = 2  # panels beside each other
MARK, ROUNDS = 0.05, 100  # share of a panel that a prototype's mark takes; rounds in which marks move apart
POINTS = 10_000  # snippets of a panel, as in the paper
LANDMARKS = 1500  # of them that t-SNE lays out: the time it takes grows with their number
NEAREST = 5  # landmarks between which another snippet lies
LAYOUT: dict[str, Any] = {"metric": "cosine", "init": "random", "random_state": 0, "max_iter": 500, "angle": 0.8}


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
    truth = [mark_foreground(records.dataset(record), record) for _, record in found]
    across = max(len(streams), min(ACROSS, len(found) * len(streams)))
    down = -(-len(found) * len(streams) // across)
    size = (style.WIDE, style.WIDE / across * down)
    figure, panels = plt.subplots(down, across, figsize=size, squeeze=False)
    for axes in panels.flat[len(found) * len(streams) :]:
        axes.remove()
    for place, ((row, record), inside) in enumerate(zip(found, truth)):
        for m in range(len(streams)):
            axes = panels.flat[place * len(streams) + m]
            stream = f" - {streams[m]}" if len(streams) > 1 else ""
            axes.set_title(f"{style.spell(row.label)}{stream}")
            total = scatter_stream(axes, inside, record, m)
    handles, labels = panels.flat[len(streams) * (len(found) - 1)].get_legend_handles_labels()
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.legend(handles, labels, loc="lower center", ncols=4)
    shown = min(POINTS, total)
    caption = f"{shown:,} of {total:,} test snippets, drawn at random. {describe_layout(shown)}"
    caption += " Marks with the cluster's number: prototypes, the centres of the snippets by their assignment,"
    caption += " moved apart where they would hide each other."
    sides = [f"{row.label}: {describe_sides(record)}" for row, record in found]
    alt = f"A scatter of {shown:,} snippets, blue for background and orange for foreground, a panel per row and stream."
    return Drawing(figure, caption, f"{alt} Prototypes: {'; '.join(sides)}.")


def describe_layout(shown: int) -> str:
    """How the snippets came to their places."""
    laid = min(LANDMARKS, shown)
    rest = f"; the others lie between their {NEAREST} nearest ones" if laid < shown else ""
    return f"t-SNE (cosine, perplexity 30, seed 0) of {laid:,} of them{rest}."


def describe_sides(record: Record) -> str:
    """'9 of foreground, 7 of background' in the first stream; 'none' where no clusters were trained."""
    if not has_clusters(record):
        return "none"
    side = record.scores["Q_R"][0, :, 0] >= 0.5
    return f"{int(side.sum())} of foreground, {int((~side).sum())} of background"


def mark_foreground(dataset: data.Dataset, record: Record) -> np.ndarray:
    """Which of all sampled test snippets lie in an action; (V * T,)."""
    return make_grid(dataset, record.scores["embedding"].shape[2]).foreground.ravel()


def scatter_stream(axes: "Axes", truth: np.ndarray, record: Record, m: int) -> int:
    """Embed snippets and prototypes of one stream and draw them; returns how many snippets there are."""
    Z = record.scores["embedding"][:, m]  # (V, T, H)
    flat = Z.reshape(-1, Z.shape[-1])
    chosen = np.random.default_rng(0).choice(len(flat), min(POINTS, len(flat)), replace=False)
    centres, side = find_centres(record, flat, m)
    points, stars = lay_out(normalise(flat[chosen]), normalise(centres))
    shown = truth[chosen]
    look: dict[str, Any] = {"s": 3.5 if len(chosen) > LANDMARKS else 6, "alpha": 0.45}
    look |= {"linewidths": 0, "rasterized": True}
    for mask, colour, name in ((~shown, style.BACKGROUND, "background"), (shown, style.FOREGROUND, "foreground")):
        axes.scatter(*points[mask].T, color=colour, label=f"{name} snippet", **look)
    shown_at = move_apart(stars, MARK * float(np.ptp(points, 0).max()))
    mark: dict[str, Any] = {"s": 95, "edgecolors": "black", "linewidths": 0.9, "zorder": 3}
    for mask, colour, name, shape in (
        (~side, style.BACKGROUND, "background", "s"),
        (side, style.FOREGROUND, "foreground", "o"),
    ):
        axes.scatter(*shown_at[mask].T, color=colour, marker=shape, label=f"{name} cluster", **mark)
    for k, (x, y) in enumerate(shown_at):
        axes.text(x, y, str(k), ha="center", va="center", fontsize=style.SMALL - 1.5, color="white", zorder=4)
    axes.set(xticks=(), yticks=())
    return len(flat)


def lay_out(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 2) of unit vectors (n, H) and (K, 2) of centres (K, H): t-SNE of the first ``LANDMARKS`` and centres.

    Each further point lies at the mean of its nearest landmarks, weighted by cosine.
    """
    from sklearn.manifold import TSNE

    landmarks = points[:LANDMARKS]
    place = TSNE(perplexity=min(30, (len(landmarks) - 1) / 3), **LAYOUT).fit_transform(
        np.concatenate([landmarks, centres])
    )
    laid, rest = place[: len(landmarks)], points[LANDMARKS:]
    alike = rest @ landmarks.T
    near = np.argpartition(-alike, NEAREST, axis=1)[:, :NEAREST]  # (n - LANDMARKS, NEAREST)
    weight = np.maximum(np.take_along_axis(alike, near, 1), 0) + 1e-6
    between = (laid[near] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
    return np.concatenate([laid, between]), place[len(landmarks) :]


def move_apart(places: np.ndarray, least: float) -> np.ndarray:
    """Places (K, 2) that lie nearer to each other than ``least`` pushed apart, a little in each of many rounds."""
    out = places.astype(float)
    for _ in range(ROUNDS):
        away = out[:, None] - out
        far = np.linalg.norm(away, axis=-1)
        angle = np.arange(len(out))[:, None] - np.arange(len(out))  # apart in different directions where they coincide
        away[far == 0] = np.stack([np.cos(angle), np.sin(angle)], -1)[far == 0]
        push = np.maximum(least - far, 0) / np.maximum(np.linalg.norm(away, axis=-1), 1e-12)
        np.fill_diagonal(push, 0)
        out += (away * push[..., None]).sum(1) / 4
    return out


def normalise(x: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    out: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return out


def find_centres(record: Record, flat: np.ndarray, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster prototypes (K, H) and whether Q^R calls them foreground (K,); none where clusters were not trained."""
    scores = record.scores
    if not has_clusters(record):
        return np.zeros((0, flat.shape[1])), np.zeros(0, bool)
    P = scores["P_C"][:, m].reshape(len(flat), -1)
    return (P.T @ flat) / np.maximum(P.sum(0), 1e-12)[:, None], scores["Q_R"][m, :, 0] >= 0.5


def has_clusters(record: Record) -> bool:
    """Whether clusters were trained."""
    return "P_C" in record.scores and record.run.settings.case.lambda_c > 0
