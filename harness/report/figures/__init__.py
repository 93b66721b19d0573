"""Figures of a study from its records: PNG and PDF, redrawn only when what they show changes. Never torch.

A figure is a function ``(Records) -> Drawing`` of one of the modules here; None where there is nothing to draw. A
function of one's own may also return a matplotlib figure.
"""

import hashlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import sources
from harness.claims.contrasts import preset_of
from harness.errors import ConfigError, hint
from harness.report.figures.drawing import Drawing, Drawn
from harness.store.files import read_json, write_json
from harness.store.records import Records
from harness.study.figures import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

    from harness.claims.verdicts import Verdict
    from harness.study import Study

__all__ = ["Drawing", "Drawn", "Say", "draw_figures", "ignore"]
Draw = Callable[[Records], "Drawing | Figure | None"]
Say = Callable[[str], object]  # told what is being done


def ignore(_: str) -> None:
    """Tell nobody."""


def draw_figures(
    records: Records,
    folder: Path,
    names: Sequence[str | Draw] | None = None,
    videos: Sequence[str] = (),
    verdicts: Sequence["Verdict"] | None = None,
    say: Say = ignore,
) -> tuple[list[Drawn], list[str]]:
    """Draw ``names`` (default: what the study asks for) into ``folder``: what was drawn, and what failed with why.

    A figure that fails costs itself alone. ``videos``: the test videos whose time lines are shown; ConfigError where
    one is none. ``verdicts``: on the claims, where they were judged before. A name may be a function of one's own.
    """
    wanted = choose_figures(records, videos) if names is None else names
    drawn: list[Drawn] = []
    troubles: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    check_videos(records, videos)
    for name in dict.fromkeys(wanted):
        say(f"drawing {name_file(name)}")
        try:
            found = draw_figure(name, records, folder, videos, verdicts)
        except Exception as error:
            remove_files(folder / name_file(name))
            troubles.append(f"Figure '{name_file(name)}' could not be drawn ({type(error).__name__}: {error}).")
        else:
            drawn += [found] if found else []
    return drawn, troubles


def choose_figures(records: Records, videos: Sequence[str]) -> list[str]:
    """The figures that a study names; else its claims, and its sweep or its differences to the reference row."""
    study = records.study
    if study.missing:
        return []
    named = list(study.figures)
    if not named:
        from harness.report.figures.summary import find_sweep

        named = ["forest"] if study.claims else []
        named += ["sweep"] if find_sweep(study) else []
        named = named or ["effects" if len(study.rows) > 1 else "reliability"]
    return [*named, *(["timelines"] if videos and "timelines" not in named else [])]


def check_videos(records: Records, videos: Sequence[str]) -> None:
    """ConfigError where a video asked for is no test video of the study."""
    finished = [record for record in records.records if record.finished]
    if not videos or not finished:
        return
    ids = records.dataset(finished[0]).test.ids
    unknown = [video for video in videos if video not in ids]
    if unknown:
        raise ConfigError([f"--videos: no test video '{video}'; {shorten_hint(video, ids)}" for video in unknown])


def shorten_hint(video: str, ids: Sequence[str]) -> str:
    """The nearest name; of hundreds of videos only the first few are listed."""
    near, _, allowed = hint(video, ids).partition("allowed: ")
    names = allowed.split(", ")
    return f"{near}allowed: {', '.join(names[:5])}" + (f" ... ({len(names)} videos)" if len(names) > 5 else "")


def draw_figure(
    name: str | Draw, records: Records, folder: Path, videos: Sequence[str], verdicts: Sequence["Verdict"] | None
) -> Drawn | None:
    """One figure as files, those from before when nothing it shows has changed; None where there is nothing to draw."""
    path = folder / name_file(name)
    with find_modules(records.study):
        draw, title = find_function(name)
        if name == "timelines" and videos:
            draw = partial(draw, videos=videos)  # type: ignore[call-arg]
        if name == "forest":
            draw = partial(draw, verdicts=verdicts)  # type: ignore[call-arg]
        shown = [str(verdict) for verdict in verdicts or ()] if name == "forest" else sorted(videos)
        digest = digest_inputs(draw, title, records, shown)
        known = read_json(path.with_suffix(".json")) or {}
        if known.pop("digest", "") == digest and path.with_suffix(".png").exists():
            return Drawn(path=path.with_suffix(".png"), **known)
        from harness.report.figures import style

        with style.apply_style():
            made = draw(records)
            if made is None:
                remove_files(path)
                return None
            drawing = made if isinstance(made, Drawing) else Drawing(made, "", title)
            style.save_figure(drawing.figure, path)
    caption = f"{drawing.caption} {describe_scope(records.study)}".strip()
    drawn = Drawn(path.name, path.with_suffix(".png"), title, caption, drawing.alt)
    about = {key: value for key, value in asdict(drawn).items() if key != "path"}
    write_json(path.with_suffix(".json"), about | {"digest": digest})
    return drawn


def name_file(name: str | Draw) -> str:
    """The name of a figure's files."""
    return re.sub(r"[^\w.-]", "-", name if isinstance(name, str) else name.__name__)


def remove_files(path: Path) -> None:
    """Remove a figure of before: it no longer shows what is there."""
    for suffix in (".png", ".pdf", ".json"):
        path.with_suffix(suffix).unlink(missing_ok=True)


@contextmanager
def find_modules(study: "Study") -> "Iterator[None]":
    """Let modules be imported that lie beside the study file, or where the command runs."""
    before = list(sys.path)
    sys.path[:0] = [str(study.path.resolve().parent), str(Path.cwd())]
    try:
        yield
    finally:
        sys.path[:] = before


def find_function(name: str | Draw) -> tuple[Draw, str]:
    """The function that draws ``name``, and the figure's title."""
    if not isinstance(name, str):
        return name, title_function(name)
    if ":" in name:
        module, _, function = name.partition(":")
        own: Draw = getattr(import_module(module), function)
        return own, title_function(own)
    if name not in FIGURES:
        raise ConfigError([f"unknown figure '{name}'; {hint(name, FIGURES)}"])
    module, title = FIGURES[name]
    found: Draw = getattr(import_module(f"harness.report.figures.{module}"), f"draw_{name}")
    return found, title


def title_function(function: Draw) -> str:
    """The first line of a function's docstring, else its name."""
    lines = (function.__doc__ or function.__name__).strip().splitlines()
    return lines[0].rstrip(".")


def describe_scope(study: "Study") -> str:
    """'Measured on synthetic, preset paper.'"""
    return f"Measured on {study.data}, preset {preset_of(study, [row.number for row in study.rows])}."


def digest_inputs(draw: Draw, title: str, records: Records, shown: Sequence[str]) -> str:
    """Digest of what a figure shows: the results' keys, sources and times, the study's words, and the drawing code.

    ``shown``: what else is in this figure alone.
    """
    study = records.study
    states = [
        (record.status, record.training.get("finished"), record.result.get("finished")) for record in records.records
    ]
    runs = [(run.row, run.seed, run.training_key, run.scoring_key) for run in study.runs]
    rows = [(row.number, row.label, dict(row.paper), row.reference) for row in study.rows]
    words = [study.title, study.data, study.base, list(map(str, study.claims))]
    files = sorted(Path(__file__).parent.glob("*.py"))
    own = inspect.getsourcefile(getattr(draw, "func", draw))  # a notebook's function has no file
    if own and Path(own).is_file():
        files.append(Path(own))
    code = [sources.code(path.read_text(encoding="utf-8")) for path in files]
    content: list[Any] = [title, words, rows, runs, states, list(shown), code]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
