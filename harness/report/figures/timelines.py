r"""Time lines of single videos: ground truth, P^A, \hat P^A, \ddot P^A and the baseline (Fig. 7, 8, 9)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import data
from harness.report.figures import style
from harness.report.figures.detections import score_videos
from harness.report.figures.drawing import Drawing
from harness.report.figures.spans import Track, keep_longest, merge_spans, track_video
from harness.store.records import Record, Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 4  # videos in one figure
LENGTHS, ACTIONS = (60, 900), 25  # snippets, and actions at most, of a video that is easily read
BOXES = 3  # regions of a kind that are boxed in one video
SHORTEST = 0.015  # of a video, that a boxed region takes
LAST = ("better", "worse", "missed", "false alarm")  # entries of the legend, after those of curves
PANEL, TOP = 1.3, 0.55  # inches


def draw_timelines(records: Records, videos: Sequence[str] = ()) -> Drawing | None:
    """Fig. 7, 8: the last row against its reference, on the videos asked for or where it gains and loses most."""
    last = records.study.rows[-1]
    ours = find_first(records, last.number)
    theirs = find_first(records, last.reference) if last.reference != last.number else None
    if ours is None:
        return None
    dataset = records.dataset(ours)
    gains = score_videos(records, ours)
    if theirs is not None:
        gains = gains - score_videos(records, theirs)
    chosen = [dataset.test.ids.index(video) for video in videos] or pick_extremes(dataset, gains)
    figure, panels = make_panels(len(chosen))
    for axes, video in zip(panels, chosen):
        mine = track_video(ours, dataset, video)
        draw_truth(axes, dataset, video)
        if theirs is not None:
            other = track_video(theirs, dataset, video)
            axes.plot(other.centres, other.attention, color=style.PALETTE[3], linewidth=1, label="reference $P^A$")
            box_spans(axes, mine, mine.right & ~other.right, color=style.BETTER, linestyle="-", label="better")
            box_spans(axes, mine, ~mine.right & other.right, color=style.WORSE, linestyle="--", label="worse")
        draw_attention(axes, mine)
        axes.set_title(name_panel(dataset, video, gains[video], compared=theirs is not None), loc="left")
    finish(figure, panels)
    how = "as asked for" if videos else "where it gains most, then where it loses most"
    caption = f"Row {last.number}, seed {ours.run.seed}; videos {how}."
    if theirs is not None:
        caption += (
            f" Boxes: snippets on the right side of the threshold in one of rows {last.number} and {last.reference}."
        )
    names = [f"{dataset.test.ids[video]} {gains[video]:+.0f} AP" for video in chosen]
    return Drawing(figure, caption, f"Attention over time in {', '.join(names)}.")


def draw_worst(records: Records) -> Drawing | None:
    """Fig. 9: the videos with the lowest average precision of the last row; what is wrong is coloured."""
    last = records.study.rows[-1]
    ours = find_first(records, last.number)
    if ours is None:
        return None
    dataset = records.dataset(ours)
    quality = score_videos(records, ours)
    chosen = list_readable(dataset, np.argsort(quality))[:SHOWN]
    figure, panels = make_panels(len(chosen))
    for axes, video in zip(panels, chosen):
        mine = track_video(ours, dataset, video)
        draw_truth(axes, dataset, video)
        shade_spans(axes, mine, ~mine.right & mine.truth, color=style.WORSE, alpha=0.3, label="missed")
        shade_spans(axes, mine, ~mine.right & ~mine.truth, color=style.PALETTE[4], alpha=0.4, label="false alarm")
        draw_attention(axes, mine)
        classes = name_classes(dataset, video)
        axes.set_title(f"{dataset.test.ids[video]}: {classes}, AP {quality[video]:.0f} %", loc="left")
    finish(figure, panels)
    names = [f"{dataset.test.ids[video]} AP {quality[video]:.0f}" for video in chosen]
    caption = f"Row {last.number}, seed {ours.run.seed}."
    caption += " Coloured: snippets on the wrong side of the threshold, labelled as for ACC."
    return Drawing(figure, caption, f"Attention over time in the worst videos: {', '.join(names)}.")


def find_first(records: Records, row: int) -> Record | None:
    """The first finished seed of a row."""
    return next(iter(records.of(row)), None)


def pick_extremes(dataset: data.Dataset, gains: np.ndarray) -> list[int]:
    """The videos with the largest gains, then those with the largest losses."""
    order = list_readable(dataset, np.argsort(-gains))
    half = SHOWN // 2
    return order if len(order) <= SHOWN else [*order[:half], *order[: -half - 1 : -1]]


def list_readable(dataset: data.Dataset, order: np.ndarray) -> list[int]:
    """Videos with actions, in this order; those neither short nor long nor full of actions where there are enough."""
    test = dataset.test
    some = [int(video) for video in order if len(test.segments[video])]
    shortest, longest = LENGTHS
    plain = (test.lengths >= shortest) & (test.lengths <= longest)
    readable = [video for video in some if plain[video] and len(test.segments[video]) <= ACTIONS]
    return readable if len(readable) >= SHOWN else some


def make_panels(number: int) -> "tuple[Figure, Sequence[Axes]]":
    """A panel for each video."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(number, 1, figsize=(style.WIDE, TOP + PANEL * number), squeeze=False)
    for axes in panels[:, 0]:
        axes.set(ylim=(-0.02, 1.08), yticks=(0, 0.5, 1), ylabel="probability")
    return figure, list(panels[:, 0])


def draw_truth(axes: "Axes", dataset: data.Dataset, video: int) -> None:
    """Annotated actions in grey, over the whole length of the video."""
    for start, end, _ in dataset.test.segments[video]:
        axes.axvspan(start, end, color=style.TRUTH, alpha=0.2, linewidth=0, label="annotated")
    length = float(dataset.test.lengths[video] * dataset.test.snippet_seconds[video])
    axes.set_xlim(0, max(length, *(end for _, end, _ in dataset.test.segments[video]), 0.0))


def draw_attention(axes: "Axes", track: Track) -> None:
    r"""P^A, and where there are clusters \hat P^A and their mean as testing uses it."""
    axes.plot(track.centres, track.attention, color=style.BACKGROUND, linewidth=1, linestyle="--", label="$P^A$")
    if track.clusters is not None:
        look: dict[str, Any] = {"color": style.PALETTE[4], "linewidth": 1, "linestyle": ":"}
        axes.plot(track.centres, track.clusters, label=r"$\hat P^A$", **look)
        axes.plot(track.centres, track.fused, color="black", linewidth=1.3, label=r"$\ddot P^A$ (in testing)")
    axes.axhline(track.threshold, color="black", linewidth=0.5, linestyle=(0, (1, 3)))


def box_spans(axes: "Axes", track: Track, mask: np.ndarray, label: str, **look: Any) -> None:
    """Boxes around the longest runs of marked snippets."""
    from matplotlib.patches import Rectangle

    spans = keep_longest(merge_spans(mask, track.edges), BOXES, SHORTEST * float(track.edges[-1]))
    for start, end in spans:
        box = Rectangle((start, -0.01), end - start, 1.06, fill=False, linewidth=1.2, label=label, **look)
        axes.add_patch(box)


def shade_spans(axes: "Axes", track: Track, mask: np.ndarray, **look: Any) -> None:
    """Each run of marked snippets as one coloured span."""
    for start, end in merge_spans(mask, track.edges):
        axes.axvspan(start, end, linewidth=0, **look)


def name_panel(dataset: data.Dataset, video: int, gain: float, compared: bool) -> str:
    """'test_0004: action 03 | gain of 12.3 AP'."""
    title = f"{dataset.test.ids[video]}: {name_classes(dataset, video)}"
    if not compared:
        return title
    return f"{title} | {'gain' if gain >= 0 else 'loss'} of {abs(gain):.1f} AP"


def name_classes(dataset: data.Dataset, video: int) -> str:
    found = np.unique(dataset.test.segments[video][:, 2]).astype(int)
    return ", ".join(dataset.classes[c] for c in found)


def finish(figure: "Figure", panels: Sequence["Axes"]) -> None:
    """One legend above all panels, each entry once."""
    panels[-1].set_xlabel("seconds")
    known: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        known |= dict(zip(labels, handles))
    known |= {name: known.pop(name) for name in LAST if name in known}
    height = TOP + PANEL * len(panels)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / height), h_pad=0.6)
    figure.legend(list(known.values()), list(known), loc="upper center", ncols=len(known))
