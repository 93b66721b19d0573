"""Who asks for what: each call of ``harness.run`` and of a search notes the trainings and scorings of its study.

``<root>/asked/<study>-<digest>.json``, one for each study with its options. What no note names, nobody asks for any
more, and ``python -m harness.store --prune`` lists it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import data
from harness.store.files import read_json, write_json
from harness.study.keys import digest, flat
from harness.study.names import describe_place, list_named, locate_names, name_files, read_names

if TYPE_CHECKING:
    from harness.study import Study


@dataclass(frozen=True)
class Asked:
    """What all notes together ask for; ``notes`` is how many there are."""

    scorings: Mapping[str, frozenset[str]]  # training key -> scoring keys
    caches: frozenset[str]  # folders of data
    notes: int


def locate_note(study: "Study", root: Path) -> Path:
    """The note of a study with its options; a digest keeps them apart."""
    seeds = study.seeds if study.exact else 0  # sequential studies end with more than they begin
    variant = digest([study.data_name, study.base_name, list(study.sets), study.quick, seeds])
    return root / "asked" / f"{study.name}-{variant}.json"


def note_names(study: "Study", root: Path) -> "Study":
    """Note which files the names of a study stand for; returns it with the names that it got."""
    from filelock import FileLock

    if not (files := list_named(study)):
        return study
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "store.lock"):
        named, known = name_files(study, root), read_names(root)
        names = {"study": named.name, "base": named.base_name, "data": named.data_name}
        places = {kind: dict(found) for kind, found in known.items()}
        for file in files:
            places.setdefault(file.kind, {})[names[file.kind]] = describe_place(file.path, root)
        if places != known:
            write_json(locate_names(root), places)
    return named


def note_request(study: "Study", root: Path) -> "Study":
    """Note what the runs of ``study`` ask for, beside what it asked for before with the same rows.

    Returns the study with the names under which that is noted.
    """
    study = note_names(study, root)
    path, rows = locate_note(study, root), digest([flat(row.settings) for row in study.rows])
    known = read_json(path)
    before = known if is_note(known) and known.get("rows") == rows else {}
    scorings = {key: set(found) for key, found in before.get("trainings", {}).items()}
    for run in study.runs:
        scorings.setdefault(run.training_key, set()).add(run.scoring_key)
    sources = {repr(run.settings.source): run.settings.source for run in study.runs}
    caches = {data.fingerprint(source, root) for source in sources.values()} | set(before.get("data", ()))
    content = {
        "study": str(study.path),
        "rows": rows,
        "data": sorted(caches),
        "trainings": {key: sorted(found) for key, found in sorted(scorings.items())},
    }
    if content != {name: value for name, value in before.items() if name != "at"}:
        at = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(path, {**content, "at": at}, indent=None)
    return study


def read_requests(root: Path) -> Asked:
    """All that is asked for. A note that cannot be read asks for nothing."""
    notes = [note for note in map(read_json, sorted((root / "asked").glob("*.json"))) if is_note(note)]
    scorings: dict[str, frozenset[str]] = {}
    for note in notes:
        for key, found in note["trainings"].items():
            scorings[key] = scorings.get(key, frozenset()) | frozenset(found)
    return Asked(scorings, frozenset(list_caches(notes)), len(notes))


def is_note(content: Any) -> bool:
    """Whether what a file holds is a note: mappings and lists of names where they belong."""
    if not isinstance(content, dict) or not isinstance(content.get("trainings"), dict):
        return False
    return all(map(is_names, [*content["trainings"].values(), content.get("data", [])]))


def is_names(content: Any) -> bool:
    return isinstance(content, list) and all(isinstance(name, str) for name in content)


def list_caches(notes: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for note in notes:
        yield from note.get("data", ())
