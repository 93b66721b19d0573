"""One look for all figures: seaborn, a colour-blind palette with line styles, one font size, sizes that print well."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report.notation import format_mathtext, spell_settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, COLUMN = 7.2, 4.6  # inches: a page's text width, and a little more than one column
FONT, SMALL = 8.0, 7.0  # points: text and titles; ticks, legends and what stands inside the axes
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))  # five of them, seven colours: 35 pairs
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "////", "....", "xxxx")
FOREGROUND, BACKGROUND, TRUTH, PAPER = "#D55E00", "#0072B2", "#4d4d4d", "#7f7f7f"
BETTER, WORSE = "#009E73", "#CC3311"
LEGEND = 6  # entries that fit among the curves; more stand beside them


@contextmanager
def apply_style() -> Iterator[None]:
    """Draw without a screen, in this style; the caller's settings come back afterwards."""
    import matplotlib as mpl
    import seaborn as sns

    mpl.use("Agg")
    with mpl.rc_context():
        sns.set_theme(context="paper", style="whitegrid", palette=list(PALETTE))
        mpl.rc("font", size=FONT)
        mpl.rc("axes", labelsize=FONT, titlesize=FONT)
        mpl.rc("axes.spines", top=False, right=False)
        mpl.rc("figure", titlesize=FONT)
        mpl.rc("xtick", labelsize=SMALL)
        mpl.rc("ytick", labelsize=SMALL)
        mpl.rc("legend", fontsize=SMALL, title_fontsize=SMALL, frameon=False)
        mpl.rc("lines", linewidth=1.3)
        mpl.rc("grid", linewidth=0.6)
        mpl.rc("svg", hashsalt="figures")
        yield


def save_figure(figure: "Figure", path: Path) -> None:
    """Write PNG (200 dpi) and PDF, without dates, so that equal figures have equal bytes."""
    import matplotlib.pyplot as plt

    plain: dict[str, Any] = {"CreationDate": None}
    figure.savefig(path.with_suffix(".png"), dpi=200, bbox_inches="tight", metadata={"Software": None})
    figure.savefig(path.with_suffix(".pdf"), bbox_inches="tight", metadata=plain)
    plt.close(figure)


def pick_line(number: int) -> dict[str, Any]:
    """Colour and line style of the curve ``number`` (from 0): no two of the first 35 share both."""
    return {"color": PALETTE[number % len(PALETTE)], "linestyle": DASHES[number % len(DASHES)]}


def pick_marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]


def spell(label: str) -> str:
    """A row's or a setting's name in the paper's symbols."""
    return format_mathtext(spell_settings(label))


def place_legend(axes: "Axes", **look: Any) -> None:
    """The legend among the curves, or beside the axes where it has many entries."""
    number = len(axes.get_legend_handles_labels()[0])
    beside = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "ncols": 1 + number // 24}
    axes.legend(**((beside if number > LEGEND else {}) | look))


def thin_labels(labels: Sequence[str], most: int) -> list[str]:
    """At most about ``most`` of the labels, the others empty."""
    step = -(-len(labels) // most)
    return [label if i % step == 0 else "" for i, label in enumerate(labels)]
