"""What a figure's function gives back, and what a report shows of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """A figure, the caption below it, and what is seen in it for those who cannot see it."""

    figure: "Figure"
    caption: str
    alt: str


@dataclass(frozen=True)
class Drawn:
    """A figure as files: ``path`` is the PNG, a PDF lies beside it."""

    name: str
    path: Path
    title: str
    caption: str
    alt: str
