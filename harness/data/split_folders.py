"""The layout of BaS-Net, CoLA, ASL and CASE: features/{train,test}/STREAM/ID.npy, gt.json, split_{train,test}.txt."""

from collections import Counter
from pathlib import Path

from harness.data.annotations import SPLITS, Listing
from harness.data.entries import is_entry, read_database, refuse_id
from harness.data.features import Part
from harness.data.findings import Findings
from harness.data.reading import UnreadableError, read_text

HOLDS = "features/{train,test}/STREAM/ID.npy, gt.json, split_train.txt, split_test.txt"


def recognise(folder: Path) -> bool:
    """Whether the folder is meant to have this layout."""
    return any((folder / name).exists() for name in ("gt.json", "split_train.txt", "split_test.txt"))


def find_streams(folder: Path) -> tuple[str, ...]:
    """Names of the stream folders, "rgb" and "flow" first."""
    place = folder / "features" / "train"
    names = sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []
    usual = [name for name in ("rgb", "flow") if name in names]
    return tuple(dict.fromkeys([*usual, *names]))


def place(folder: Path, split: str, stream: str, video: str) -> Part:
    """Where one stream of a video lies."""
    return Part(folder / "features" / split / stream / f"{video}.npy")


def list_videos(folder: Path, findings: Findings) -> Listing | None:
    """Ids of the split files and their entries in gt.json."""
    ids = {split: read_split(folder / f"split_{split}.txt", findings) for split in SPLITS}
    for both in sorted(set(ids["train"]) & set(ids["test"])):
        text = f"'{both}' is in split_train.txt as well; a video has one split"
        findings.error(folder / "split_test.txt", text)
        ids["test"].remove(both)
    gt = folder / "gt.json"
    top = read_database(gt, findings)
    if top is None:
        return None
    entries = {}
    for split in SPLITS:
        for video in ids[split]:
            entry = top["database"].get(video)
            if entry is None:
                findings.error(gt, f"no entry for video '{video}' of split_{split}.txt")
            elif is_entry(entry, video, gt, findings):
                entries[video] = entry
    return Listing(gt, top, ids, entries)


def list_texts(folder: Path) -> list[Path]:
    """Files that say something about the videos beside their features."""
    return [folder / name for name in ("gt.json", "split_train.txt", "split_test.txt")]


def read_split(path: Path, findings: Findings) -> list[str]:
    """Video ids, one a line."""
    try:
        lines = read_text(path).splitlines()
    except UnreadableError as error:
        findings.error(path, f"{error}; expected a text file with one video id a line")
        return []
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        findings.error(path, "no video; expected one id a line")
    for video, times in Counter(ids).items():
        if times > 1:
            findings.error(path, f"'{video}' is listed {times} times")
        if trouble := refuse_id(video):
            findings.error(path, f"video id {video[:80]!r} {trouble}")
    return [video for video in dict.fromkeys(ids) if not refuse_id(video)]
