"""Layouts with one annotation file and one feature file a video, both streams side by side: ActionFormer, ActivityNet.

Ids and splits come from the entries' ``subset``. A file's columns are RGB (first half) and flow (second half), or one
stream called "joint".
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.data.annotations import SPLITS, Listing
from harness.data.entries import is_entry, read_database, refuse_id
from harness.data.features import Part
from harness.data.findings import Findings
from harness.data.segments import read_number

HALVES = {"rgb": 0, "flow": 1, "joint": None}
SUBSETS = (  # (training, test) by the names in use, in the order in which they are looked for
    ("train", "test"),
    ("training", "validation"),
    ("training", "testing"),
    ("train", "validation"),
    ("train", "val"),
    ("validation", "test"),  # THUMOS14: its training set has no untrimmed videos
)


def place_part(features: Path, stream: str, video: str) -> Part:
    """Where a stream of a video lies; ActivityNet's ids stand with and without "v_" in front."""
    names = (video, f"v_{video}", video.removeprefix("v_"))
    paths = [features / f"{name}.npy" for name in names]
    return Part(next((path for path in paths if path.exists()), paths[0]), HALVES.get(stream))


def find_annotations(places: Iterable[Path], findings: Findings) -> Path | None:
    """The annotation file: the only .json file of these folders."""
    files = sorted(path for place in places if place.is_dir() for path in place.glob("*.json"))
    if len(files) == 1:
        return files[0]
    found = ", ".join(path.name for path in files) or "none"
    findings.error(next(iter(places)), f"expected one .json file with the annotations; found {found}")
    return None


def list_subsets(path: Path, findings: Findings) -> Listing | None:
    """Videos of an annotation file by their subset."""
    top = read_database(path, findings)
    if top is None:
        return None
    subsets: dict[str, list[str]] = {}
    for video, entry in top["database"].items():
        subset = entry.get("subset") if isinstance(entry, dict) else None
        if not isinstance(subset, str):
            findings.error(path, f"video '{video[:80]}' has no 'subset'; expected a name such as training")
        elif trouble := refuse_id(video):
            findings.error(path, f"video id {video[:80]!r} {trouble}")
        else:
            subsets.setdefault(subset.lower(), []).append(video)
    pair = next((pair for pair in SUBSETS if set(pair) <= set(subsets)), None)
    if pair is None:
        expected = " or ".join("/".join(names) for names in SUBSETS)
        findings.error(path, f"subsets are {', '.join(sorted(subsets)) or 'none'}; expected {expected}")
        return None
    ids = {split: subsets[name] for split, name in zip(SPLITS, pair)}
    wanted = [video for split in SPLITS for video in ids[split]]
    entries = {video: top["database"][video] for video in wanted}
    return Listing(path, top, ids, {v: entry for v, entry in entries.items() if is_entry(entry, v, path, findings)})


def state_stride(listing: Listing) -> Listing:
    """The listing with seconds per snippet from stride and frame rate; a frame rate alone says nothing then."""
    top = {name: value for name, value in listing.top.items() if name != "fps"}
    return Listing(
        listing.file, top, listing.ids, {v: pace(entry, listing.top) for v, entry in listing.entries.items()}
    )


def pace(entry: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with ``snippet_seconds`` = stride / fps where both are numbers, without ``fps``."""
    stride, rate = (state(entry, top, names) for names in (("stride", "feat_stride"), ("fps", "default_fps")))
    out = {name: value for name, value in entry.items() if name != "fps"}
    if stride is not None and rate is not None and "snippet_seconds" not in entry:
        above, below = read_number(stride), read_number(rate)
        out["snippet_seconds"] = above / below if above > 0 and below > 0 else 0
    return out


def state(entry: Mapping[str, Any], top: Mapping[str, Any], names: Iterable[str]) -> Any:
    """What an entry, else the file, says under one of these names; None: nothing."""
    stated = [level[name] for level in (entry, top) for name in names if level.get(name) is not None]
    return stated[0] if stated else None
