"""What a folder holds: its annotations and the shapes of its feature files, and what is wrong with either."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np

from harness.data.annotations import SPLITS, Annotations, FolderKnobs, Listing, Video, interpret
from harness.data.check import check_streams, replace_constants
from harness.data.corrections import correct, correct_knobs
from harness.data.features import Contents, Part, inspect_part, measure_part
from harness.data.findings import Findings
from harness.data.layouts import LAYOUTS, describe_layouts, recognise
from harness.errors import DataError
from harness.settings import Source

ROUGHLY = 0.25  # share of its duration by which a video's features may be longer or shorter
SLACK = 2.0  # seconds beyond that


@dataclass(frozen=True)
class Folder:
    """A folder to read: where, in which layout, which streams, and what ``source.knobs`` states."""

    path: Path
    layout: str
    streams: tuple[str, ...]
    knobs: FolderKnobs

    @property
    def module(self) -> ModuleType:
        """The functions of its layout."""
        return LAYOUTS[self.layout]

    def find_parts(self, split: str, video: str) -> list[Part]:
        """Where the streams of a video lie."""
        return [self.module.place(self.path, split, stream, video) for stream in self.streams]

    def list_videos(self, findings: Findings) -> Listing | None:
        """Videos and their entries, corrected as the knobs ask; None where nothing can be read."""
        listing: Listing | None = self.module.list_videos(self.path, findings)
        if listing is None:
            return None
        listing = correct(listing, self.knobs)
        return leave_out_absent(self, listing, findings) if self.knobs.absent == "skip" else listing


@dataclass(frozen=True)
class Survey:
    """What a folder holds, as far as it is sound."""

    annotations: Annotations
    lengths: Mapping[str, np.ndarray]  # per split (V,): snippets, 0 where a video's features are unsound
    widths: tuple[int, ...]  # features per stream, as most videos have them


def open_folder(source: Source) -> Folder:
    """The folder of a source; DataError where it has no layout or settings are wrong."""
    if not source.path:
        raise DataError([f"source.path: empty; {describe_layouts()}"])
    layout = recognise(Path(source.path))
    if errors := check_streams(source.streams):
        raise DataError(errors)
    knobs = correct_knobs(replace_constants(FolderKnobs(), source.knobs))
    return Folder(Path(source.path), layout, tuple(source.streams), knobs)


def find_streams(path: Path) -> tuple[str, ...]:
    """The streams that a folder has; empty where it has no known layout."""
    try:
        return tuple(LAYOUTS[recognise(path)].find_streams(path))
    except DataError:
        return ()


def leave_out_absent(folder: Folder, listing: Listing, findings: Findings) -> Listing:
    """The listing without videos that lack a feature file."""
    ids: dict[str, list[str]] = {}
    for split in SPLITS:
        here = [video for video in listing.ids[split] if has_parts(folder, split, video)]
        ids[split] = here
        if absent := len(listing.ids[split]) - len(here):
            findings.warn(listing.file, f"{absent} of {len(listing.ids[split])} {split} videos have no features")
    kept = {video for split in SPLITS for video in ids[split]}
    return replace(listing, ids=ids, entries={v: entry for v, entry in listing.entries.items() if v in kept})


def has_parts(folder: Folder, split: str, video: str) -> bool:
    """Whether each feature file of a video is there."""
    return all(part.path.exists() for part in folder.find_parts(split, video))


def examine(folder: Folder, findings: Findings) -> Survey | None:
    """Read annotations and the headers of all feature files; None where there is nothing to go on with."""
    listing = folder.list_videos(findings)
    if listing is None:
        return None
    found = interpret(listing, folder.knobs, findings)
    shapes = {split: measure_split(folder, split, found.videos[split], findings) for split in SPLITS}
    widths = find_usual_widths(np.concatenate([shapes[split][..., 1] for split in SPLITS]))
    videos: dict[str, tuple[Video, ...]] = {}
    for split in SPLITS:
        check_widths(folder, split, found.videos[split], shapes[split], widths, findings)
        videos[split] = share_durations(found.videos[split], shapes[split])
        for video, shape in zip(videos[split], shapes[split]):
            check_times(video, int(shape[0, 0]), listing.file, split == "train", findings)
    return Survey(Annotations(found.classes, videos), {s: shapes[s][:, 0, 0] for s in SPLITS}, widths)


def measure_split(folder: Folder, split: str, videos: tuple[Video, ...], findings: Findings) -> np.ndarray:
    """Shapes (V, M, 2) of the videos' streams: snippets and features; 0 where something is unsound."""
    parts = [folder.find_parts(split, video.id) for video in videos]
    missing = {part.path.parent for row in parts for part in row if not part.path.parent.is_dir()}
    here = find_streams(folder.path)
    for place in sorted(missing):
        also = "" if set(folder.streams) <= set(here) else f"; streams here: {', '.join(here) or 'none'}"
        findings.error(place, f"missing; expected a folder of ID.npy files{also}")
    shapes = np.zeros((len(videos), len(folder.streams), 2), np.int64)
    for shape, row in zip(shapes, parts):
        present = [part for part in row if part.path.parent not in missing]
        sizes = [measure_part(part, findings) for part in present]
        known = [size for size in sizes if size]
        if len({n for n, _ in known}) > 1:
            listed = ", ".join(f"{part.path} has {size[0]}" for part, size in zip(present, sizes) if size)
            findings.error(listed, "snippets; the streams of a video must have equally many")
        elif len(known) == len(folder.streams):
            shape[:] = known
    return shapes


def find_usual_widths(widths: np.ndarray) -> tuple[int, ...]:
    """The most frequent width of each stream; widths (V, M), 0 where unknown."""
    return tuple(int(np.bincount(column[column > 0]).argmax()) if column.any() else 0 for column in widths.T)


def check_widths(
    folder: Folder,
    split: str,
    videos: tuple[Video, ...],
    shapes: np.ndarray,
    usual: tuple[int, ...],
    findings: Findings,
) -> None:
    """Name each file whose width is not that of most videos' same stream."""
    for video, row in zip(videos, shapes):
        for part, (_, width), others in zip(folder.find_parts(split, video.id), row, usual):
            if width not in (0, others):
                findings.error(part.path, f"{width} features per snippet; the other videos have {others}")


def share_durations(videos: tuple[Video, ...], shapes: np.ndarray) -> tuple[Video, ...]:
    """Videos of which only the duration is known: their snippets share it."""
    out = []
    for video, shape in zip(videos, shapes):
        derived = np.isnan(video.snippet_seconds) and shape[0, 0] > 0
        out.append(replace(video, snippet_seconds=video.duration / int(shape[0, 0])) if derived else video)
    return tuple(out)


def check_times(video: Video, n: int, file: Path, train: bool, findings: Findings) -> None:
    """Features against the duration, and segments against both; ``n`` snippets, 0 where unknown."""
    entry, seconds = f"video '{video.id}'", n * video.snippet_seconds
    if not seconds > 0:
        return
    if abs(seconds - video.duration) > ROUGHLY * video.duration + SLACK:
        what = f"features span {seconds:.1f} s ({n} snippets of {video.snippet_seconds:.3g} s)"
        findings.defect(file, f"{what}, the video lasts {video.duration:.1f} s", entry)
    end = np.nanmax([seconds, video.duration])
    for start, stop, _ in video.segments:
        shown = f"segment [{start:g}, {stop:g}]"
        if start >= end:
            note = findings.warn if train else findings.defect
            note(file, f"{shown} lies outside the video, which ends at {end:.1f} s", entry)
        elif stop > end + max(1.0, video.snippet_seconds):
            findings.warn(file, f"{shown} ends after the video, which ends at {end:.1f} s", entry)


def inspect_videos(
    folder: Folder, found: Survey, split: str, findings: Findings
) -> Iterator[tuple[Video, list[Part], list[Contents]]]:
    """Each sound video of a split with what its streams' numbers say; unsound numbers go to ``findings``."""
    for video, length in zip(found.annotations.videos[split], found.lengths[split]):
        if length:
            parts = folder.find_parts(split, video.id)
            yield video, parts, [inspect_part(part, findings) for part in parts]
