"""What is known to be wrong with public data sets, with the source; applied by ``source.knobs.corrections``."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.data.annotations import FolderKnobs, Listing


@dataclass(frozen=True)
class Correction:
    """Videos to leave out of a split, and what the common features of a data set were made with."""

    excluded: Mapping[str, str]  # id -> why
    fps: float
    snippet_frames: int
    source: str


THUMOS14 = Correction(
    excluded={
        "video_test_0000270": "wrong annotations (OpenTAD's notes on THUMOS14)",
        "video_test_0001292": "ambiguous segments only (annotation notes of github makecent/mmtad)",
        "video_test_0001496": "absent from the split files of BaS-Net, CoLA and ASL",
    },
    fps=25.0,
    snippet_frames=16,
    source="split_test.txt of the released BaS-Net, CoLA, ASL and CASE codes: 210 of 213 videos; their I3D features "
    "were made at 25 frames a second, 16 frames a snippet",
)
CORRECTIONS: Mapping[str, Correction] = {"thumos14": THUMOS14}
AMBIGUOUS = "Ambiguous"  # THUMOS14's label of segments that its annotators could not decide on


def correct(listing: Listing, knobs: FolderKnobs) -> Listing:
    """The listing as ``corrections`` and ``ambiguous`` ask: without excluded videos, without ambiguous segments."""
    excluded = CORRECTIONS[knobs.corrections].excluded if knobs.corrections != "none" else {}
    ids = {}
    for split, videos in listing.ids.items():
        ids[split] = [video for video in videos if video not in excluded]
    entries = {video: entry for video, entry in listing.entries.items() if video not in excluded}
    if knobs.ambiguous == "ignore":
        entries = {video: leave_out_ambiguous(entry) for video, entry in entries.items()}
    return replace(listing, ids=ids, entries=entries)


def leave_out_ambiguous(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry without the segments that are labelled ambiguous."""
    kept = [item for item in entry["annotations"] if not (isinstance(item, dict) and item.get("label") == AMBIGUOUS)]
    return {**entry, "annotations": kept}


def correct_knobs(knobs: FolderKnobs) -> FolderKnobs:
    """The knobs with the frame rate of the corrected data set, where they state none."""
    if knobs.corrections == "none" or knobs.fps or knobs.snippet_seconds:
        return knobs
    known = CORRECTIONS[knobs.corrections]
    return replace(knobs, fps=known.fps, snippet_frames=known.snippet_frames)
