"""``convert`` and ``synthetic``: write a data set in another layout, or into the form that training maps."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness import data
from harness.data.tools.naming import find_source
from harness.data.tools.writing import Clip, list_clips, write_folder
from harness.data.tools.wtalc import is_wtalc, read_wtalc
from harness.errors import DataError
from harness.settings import Source

MAPPED = "memory-mapped"
LAYOUTS = ("split-folders", "actionformer", "activitynet", MAPPED)
Tick = Callable[[int, int], None]


def convert(name: str, out: Path, layout: str, options: Any, tick: Tick) -> str:
    """Write data set ``name`` as ``out``; returns what was done. DataError where it is unsound or ``out`` is in use."""
    if is_wtalc(Path(name)):
        if not options.allow_pickle:
            why = "W-TALC's object arrays are pickles, and reading one can run code"
            raise DataError([f"{name}: {why}; --allow-pickle if you trust where they come from"])
        classes, clips = read_wtalc(Path(name), options.snippet_seconds)
        if layout == MAPPED:
            raise DataError([f"{name}: convert the arrays to split-folders first, then to {MAPPED}"])
        return write_clips(out, clips, classes, layout, options.fp16, tick)
    source = find_source(name)
    if layout == MAPPED:
        if options.fp16:
            raise DataError(["--fp16: training maps float32; --fp16 halves the feature files of the other layouts"])
        dataset = data.load(source, out)
        return f"{out / 'data' / dataset.fingerprint}: training with --output {out} maps it as it is"
    pending = data.pend(source, out)
    return write_clips(out, list_clips(pending), pending.classes, layout, options.fp16, tick)


def write_clips(out: Path, clips: Iterable[Clip], classes: Any, layout: str, half: bool, tick: Tick) -> str:
    """Write the clips with a progress bar."""
    write_folder(out, count(clips, tick), classes, layout, half)
    return f"{out}: written, digests in SHA256SUMS; python -m harness.run table2 --data {out}"


def count(clips: Iterable[Clip], tick: Tick) -> Iterator[Clip]:
    """The clips, ticking after each."""
    for number, clip in enumerate(clips, 1):
        yield clip
        tick(number, 0)


def write_synthetic(out: Path, scale: str, seed: int, tick: Tick) -> str:
    """Write the embedded data set as a folder, so that other people's code can run on it."""
    pending = data.pend(Source(scale=scale, seed=seed), out)  # type: ignore[arg-type]  # argparse allows the scales only
    return write_clips(out, list_clips(pending), pending.classes, "split-folders", False, tick)
