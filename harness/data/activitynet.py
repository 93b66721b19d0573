"""ActivityNet v1.2 and v1.3: the official json beside features/ID.npy, one file a video, RGB beside flow.

Training videos train, validation videos test. The json states durations: a video's snippets share it, unless the file
or ``source.knobs`` states ``fps`` or ``snippet_seconds``.
"""

from pathlib import Path

from harness.data.annotations import Listing
from harness.data.features import Part
from harness.data.findings import Findings
from harness.data.joint_files import find_annotations, list_subsets, place_part

HOLDS = "features/ID.npy and activity_net.v1-3.min.json"


def recognise(folder: Path) -> bool:
    """Whether the folder is meant to have this layout."""
    features = folder / "features"
    return any(folder.glob("activity_net*.json")) or (features.is_dir() and any(features.glob("*.npy")))


def find_streams(folder: Path) -> tuple[str, ...]:
    """Both halves of the columns."""
    return ("rgb", "flow")


def place(folder: Path, split: str, stream: str, video: str) -> Part:
    """Where one stream of a video lies."""
    return place_part(folder / "features", stream, video)


def list_videos(folder: Path, findings: Findings) -> Listing | None:
    """Entries by subset."""
    path = find_annotations([folder], findings)
    return list_subsets(path, findings) if path else None


def list_texts(folder: Path) -> list[Path]:
    """Files that say something about the videos beside their features."""
    return sorted(folder.glob("*.json"))
