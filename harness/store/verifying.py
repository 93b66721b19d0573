"""Whether the files of a run store are those that were written: the digests of all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.data.cache import read_whole
from harness.store.checkpoints import find_damaged_checkpoint
from harness.store.files import describe_file
from harness.store.locks import find_owner
from harness.store.results import read_fields


@dataclass
class Findings:
    """What was looked at, and what is wrong: a file and a few words."""

    trainings: int = 0
    scorings: int = 0
    files: int = 0
    bytes: int = 0
    busy: int = 0  # trainings that somebody works on
    unfinished: int = 0  # trainings that were interrupted
    wrong: list[tuple[Path, str]] = field(default_factory=list)


def verify_store(root: Path) -> Findings:
    """Read every file of the store, and the data caches."""
    found = Findings()
    for folder in sorted(path for path in (root / "store").glob("*") if path.is_dir()):
        if find_owner(root, folder.name) is not None:
            found.busy += 1
            continue
        found.wrong += [(path, "a damaged checkpoint") for path in find_damaged_checkpoint(root, folder.name)]
        if not (folder / "training.json").exists():
            found.unfinished += 1
            continue
        found.trainings += 1
        found.wrong += verify_record(folder / "training.json", folder.name, found)
        for path in sorted(folder.glob("*/result.json")):
            found.scorings += 1
            found.wrong += verify_record(path, path.parent.name, found)
    for folder in sorted(path for path in (root / "data").glob("*") if path.is_dir()):
        if not folder.name.startswith(".") and read_whole(folder) is None:
            found.wrong.append((folder, "a damaged data cache; it is made again when it is read"))
    return found


def verify_record(path: Path, key: str, found: Findings) -> Iterator[tuple[Path, str]]:
    """What is wrong with a record and the files that it notes."""
    content = read_fields(path, key)
    if content is None:
        yield path, "cannot be read, or is the record of another key"
        return
    for name, noted in content.get("files", {}).items():
        file = path.parent / name
        try:
            described = describe_file(file)
        except OSError as error:
            yield file, f"cannot be read ({error.strerror or error})"
            continue
        found.files += 1
        found.bytes += described["bytes"]
        if described != noted:
            yield file, tell_difference(described, noted)


def tell_difference(described: dict[str, object], noted: object) -> str:
    """Why a file is not the one that its record notes."""
    if isinstance(noted, dict) and described["bytes"] != noted.get("bytes"):
        return f"has {described['bytes']} bytes; {noted.get('bytes')} were written"
    return "has other content than was written"
