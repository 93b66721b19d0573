"""ActionFormer's layout: i3d_features/ID.npy (n, 2048), RGB beside flow, and annotations/NAME.json.

The json states ``fps`` and ``duration`` a video; the stride in frames (``stride`` or ``feat_stride``) stands beside
them or at its top. Without it the snippets share the duration.
"""

from pathlib import Path

from harness.data.annotations import Listing
from harness.data.features import Part
from harness.data.findings import Findings
from harness.data.joint_files import find_annotations, list_subsets, place_part, state_stride

HOLDS = "i3d_features/ID.npy and annotations/NAME.json"
FEATURES = "i3d_features"


def recognise(folder: Path) -> bool:
    """Whether the folder is meant to have this layout."""
    return (folder / FEATURES).is_dir()


def find_streams(folder: Path) -> tuple[str, ...]:
    """Both halves of the columns."""
    return ("rgb", "flow")


def place(folder: Path, split: str, stream: str, video: str) -> Part:
    """Where one stream of a video lies."""
    return place_part(folder / FEATURES, stream, video)


def list_videos(folder: Path, findings: Findings) -> Listing | None:
    """Entries by subset: training videos are THUMOS14's validation set."""
    path = find_annotations([folder / "annotations", folder], findings)
    listing = list_subsets(path, findings) if path else None
    return state_stride(listing) if listing else None


def list_texts(folder: Path) -> list[Path]:
    """Files that say something about the videos beside their features."""
    return sorted([*folder.glob("*.json"), *folder.glob("annotations/*.json")])
