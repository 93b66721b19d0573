"""What takes the space of a run store, by kind of file."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KINDS = {  # names of files below store/
    "scores.npz": "scores",
    "checkpoint.pt": "weights",
    "unfinished.pt": "checkpoints under way",
    "curves.npz": "curves",
    "predictions.json.bz2": "predictions",
    "predictions.json.gz": "predictions",  # of earlier versions
    "predictions.json": "predictions",
    "training.json": "records",
    "result.json": "records",
    "unfinished.json": "records",
    "log.txt": "logs",
}
FOLDERS = {
    "data": "data caches",
    "reports": "reports",
    "artifacts": "mirror in MLflow",
    "searches": "searches",
    "asked": "notes of what studies ask for",
}
LOCKS = (".lock", ".busy", ".clock")
UNITS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Size:
    """Files of one kind."""

    kind: str
    files: int
    bytes: int


def measure_kinds(root: Path) -> list[Size]:
    """Each kind with its files and bytes, the largest first."""
    found: dict[str, list[int]] = {}
    for path, size in list_files(root):
        found.setdefault(classify(path.relative_to(root)), []).append(size)
    return sorted((Size(kind, len(all_), sum(all_)) for kind, all_ in found.items()), key=lambda s: (-s.bytes, s.kind))


def classify(path: Path) -> str:
    """The kind of a file, by its path below the folder of results."""
    top, name = path.parts[0], path.name
    if name == "owner.json" or name.endswith(LOCKS):
        return "locks"
    if top == "names.json":
        return "notes of what studies ask for"
    if top == "store":
        return KINDS.get(name, "left over" if name.startswith(".") else "other")
    if name.startswith("mlflow.db"):
        return "mirror in MLflow"
    return FOLDERS.get(top, "left over" if top.startswith(".") else "other")


def list_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file below a folder with its bytes; links are not followed, what vanishes meanwhile is left out."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from list_files(Path(entry.path))
            else:
                yield Path(entry.path), entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue


def measure_folder(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(size for _, size in list_files(folder))


def write_size(amount: float) -> str:
    """Bytes as people read them: "1.2 MB"."""
    power = 0
    while amount >= 1000 and power < len(UNITS) - 1:
        amount, power = amount / 1000, power + 1
    return f"{amount:.0f} {UNITS[power]}" if power == 0 else f"{amount:.1f} {UNITS[power]}"
