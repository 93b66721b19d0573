"""``import``: published recordings as a data set, with what they ask to be cited."""

from collections.abc import Callable
from pathlib import Path

from harness.data.tools import actrectut, shrec21
from harness.data.tools.converting import Tick, count
from harness.data.tools.windows import standardise
from harness.data.tools.writing import Clip, write_folder

RECORDINGS = {"actrectut": actrectut.ABOUT, "shrec21": shrec21.ABOUT}


def import_recordings(name: str, source: Path, out: Path, bounds: Path | None, seed: int, tick: Tick) -> str:
    """Write the recordings as a folder; returns licence and citation."""
    read: dict[str, Callable[[], list[Clip]]] = {
        "actrectut": lambda: actrectut.read_clips(source, bounds, seed),
        "shrec21": lambda: shrec21.read_clips(source),
    }
    clips = standardise(read[name]())
    labels = {str(note["label"]) for clip in clips for note in clip.annotations}
    classes = list(actrectut.GESTURES) if name == "actrectut" else sorted(labels)
    write_folder(out, count(clips, tick), classes, half=True)
    return f"{out}: {len(clips)} clips\n{RECORDINGS[name]}"
