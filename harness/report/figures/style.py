"""One look for all figures: seaborn, a colour-blind palette, sizes that read in print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, COLUMN = 7.2, 4.2  # inches: a page's text width, and a little more than one column
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe and Ito
FOREGROUND, BACKGROUND, TRUTH, PAPER = "#D55E00", "#0072B2", "#4d4d4d", "#7f7f7f"


@contextmanager
def applied() -> Iterator[None]:
    """Draw without a screen, in this style; the caller's settings come back afterwards."""
    import matplotlib as mpl
    import seaborn as sns

    mpl.use("Agg")
    with mpl.rc_context():
        sns.set_theme(context="paper", style="whitegrid", palette=list(PALETTE), font_scale=1.05)
        mpl.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "figures"})
        yield


def save(figure: "Figure", path: Path) -> None:
    """Write PNG (200 dpi) and PDF, without dates, so that equal figures have equal bytes."""
    import matplotlib.pyplot as plt

    plain: dict[str, Any] = {"CreationDate": None}
    figure.savefig(path.with_suffix(".png"), dpi=200, bbox_inches="tight", metadata={"Software": None})
    figure.savefig(path.with_suffix(".pdf"), bbox_inches="tight", metadata=plain)
    plt.close(figure)
