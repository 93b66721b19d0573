"""Figures of a study from the run store: PNG and PDF, redrawn only when what they show changes. Never torch.

A figure is a function ``(Context) -> (matplotlib Figure, caption)`` of one of the modules here; None where there is
nothing to draw.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import sources
from harness.errors import ConfigError, hint
from harness.store import files, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harness.study import Run, Study

FIGURES: Mapping[str, tuple[str, str]] = {  # name -> module of this package, title
    "entropy": ("training", "Entropy of the pseudo-labels over training (Fig. 3)"),
    "ranges": ("training", "Range of P^A and of the pseudo-labels over training (Fig. 4)"),
    "sweep": ("summary", "The sweep as a curve"),
    "effects": ("summary", "Differences to the reference row"),
    "per_class": ("detections", "Average precision per class"),
    "reliability": ("summary", "mAP over tIoU"),
    "timelines": ("videos", "Time lines (Fig. 7, 8)"),
    "worst": ("videos", "Worst videos (Fig. 9)"),
    "clusters": ("clusters", "What the clusters hold (Fig. 5)"),
    "tsne": ("clusters", "Snippet embeddings and cluster prototypes (Fig. 6)"),
}


@dataclass(frozen=True)
class Context:
    """What a figure may read: the study, the run store, and the videos that were asked for."""

    study: "Study"
    root: Path
    videos: tuple[str, ...] = ()

    def runs(self, row: int, column: str | None = None) -> list["Run"]:
        """Finished runs of a row, one per seed, under its first column's scoring unless another is named."""
        name = column or self.study.columns[0].name
        mine = [run for run in self.study.runs if run.row == row and name in run.columns]
        return [run for run in mine if results.status(self.root, run) in {"ok", "stale"}]


def draw(
    study: "Study", root: Path, folder: Path, names: Sequence[str] | None = None, videos: Sequence[str] = ()
) -> list[Path]:
    """Draw ``names`` (default: what the study asks for) into ``folder``; returns the PNG files that exist.

    ConfigError for an unknown name, before anything is drawn.
    """
    wanted = list(dict.fromkeys(study.figures if names is None else names))
    if unknown := [name for name in wanted if name not in FIGURES]:
        raise ConfigError(
            [f"{study.path}: figures: unknown figure '{name}'; {hint(name, FIGURES)}" for name in unknown]
        )
    context = Context(study, root, tuple(videos))
    folder.mkdir(parents=True, exist_ok=True)
    return [path for name in wanted if (path := _drawn(name, context, folder)) is not None]


def _drawn(name: str, context: Context, folder: Path) -> Path | None:
    """The PNG of one figure, from before when nothing it shows has changed."""
    path, record = folder / f"{name}.png", folder / f"{name}.json"
    digest = inputs(name, context)
    known = files.read_json(record) or {}
    if known.get("digest") == digest and path.exists():
        return path
    from harness.report.figures import style

    module, title = FIGURES[name]
    with style.applied():
        made = function(module, name)(context)
        if made is None:
            return None
        figure, caption = made
        style.save(figure, folder / name)
    content = {"title": title, "caption": f"{caption} {scope(context.study)}".strip(), "digest": digest}
    record.write_text(json.dumps(content, indent=1))
    return path


def function(module: str, name: str) -> Callable[[Context], "tuple[Figure, str] | None"]:
    """The drawing function ``name`` of a module of this package."""
    found: Callable[[Context], tuple[Figure, str] | None] = getattr(
        import_module(f"harness.report.figures.{module}"), name
    )
    return found


def scope(study: "Study") -> str:
    return f"Measured on {study.data}, preset {study.base}."


def inputs(name: str, context: Context) -> str:
    """Digest of what a figure shows: the results' keys and sources, the study's words, and the drawing code."""
    study = context.study
    runs = [(run.row, run.seed, run.training_key, run.scoring_key, _when(context.root, run)) for run in study.runs]
    rows = [(row.number, row.label, dict(row.paper), row.reference) for row in study.rows]
    code = [sources.code(p.read_text()) for p in sorted(Path(__file__).parent.glob("*.py"))]
    content: list[Any] = [name, study.title, study.data, study.base, rows, runs, sorted(context.videos), code]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _when(root: Path, run: "Run") -> str:
    found = results.read_result(root, run.training_key, run.scoring_key) or {}
    return f"{found.get('digest')} {found.get('metrics', {}).get('map/avg')}"
