"""The table of folder layouts. A new one is one file with the five functions below and one line here.

Each module has HOLDS, what such a folder holds in a few words, and
``recognise(folder)``: is it meant to have this layout;
``find_streams(folder)``: the streams it has, in order;
``list_videos(folder, findings)``: ids, splits and entries;
``place(folder, split, stream, video)``: where one stream of a video lies;
``list_texts(folder)``: the files that count for the fingerprint beside the features.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from harness.data import actionformer, activitynet, split_folders
from harness.errors import DataError

LAYOUTS: Mapping[str, ModuleType] = {  # the first that recognises a folder
    "split folders": split_folders,
    "ActionFormer": actionformer,
    "ActivityNet": activitynet,
}
PICKLED = ("labels_all.npy", "videoname.npy", "classlist.npy", "subset.npy")  # of W-TALC's object arrays


def recognise(folder: Path) -> str:
    """Name of the layout of ``folder``; DataError says what is allowed."""
    if not folder.is_dir():
        raise DataError([f"source.path: '{folder}' is not a folder; {describe_layouts()}"])
    found = next((name for name, module in LAYOUTS.items() if module.recognise(folder)), None)
    if found:
        return found
    if all((folder / name).exists() for name in PICKLED):
        why = "W-TALC's object arrays are pickles, which can run code; convert them once"
        raise DataError([f"{folder}: {why}: python -m harness.data convert {folder} OUT --allow-pickle"])
    raise DataError([f"source.path: '{folder}' has no layout that is known; {describe_layouts()}"])


def describe_layouts() -> str:
    """What a folder may hold, for a message."""
    return "expected a folder with " + "; or with ".join(module.HOLDS for module in LAYOUTS.values())
