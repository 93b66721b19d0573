"""Names that keep files apart: two studies, presets or data folders called alike keep their own reports and notes.

The first study of a name has it plain; another of that name, in another folder, gets a digest behind it, as do presets
and data folders given by path. A study of ``studies/`` always has its plain name. ``<root>/names.json`` notes which
file each name stands for, so that a name stays when the results, the checkout or both are moved or copied.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from harness.study.document import is_file, is_folder
from harness.study.keys import digest
from harness.study.presets import STUDIES
from harness.study.study import Study

LONGEST = 200  # characters of a name, before its digest
Place = Mapping[str, str]  # "path": from the root of the file system, "beside": from the results, "text": its digest


@dataclass(frozen=True)
class Named:
    """A file or folder that a user named: its kind, and the name that it would have if no other had it."""

    kind: str  # "study", "base" or "data"
    stem: str
    path: Path


def name_files(study: Study, root: Path) -> Study:
    """The study with the names of its files in ``root``; nothing is written."""
    known = read_names(root)
    names = {named.kind: find_name(named, known.get(named.kind, {}), root) for named in list_named(study)}
    name, base, data = names.get("study", study.name), names.get("base", study.base), names.get("data", study.data)
    return replace(study, name=name, base_name=base, data_name=data)


def list_named(study: Study) -> list[Named]:
    """What of a study is a user's file or folder."""
    out = [] if is_own(study.path) else [Named("study", study.path.stem, study.path)]
    base, data = Path(study.base), Path(study.data_asked or "")
    out += [Named("base", base.stem, base)] if base.suffix else []
    return out + ([Named("data", study.data, data)] if study.data_asked and is_folder(data) else [])


def is_own(path: Path) -> bool:
    """Whether a study is one of ``studies/``, or a copy of it that was not changed."""
    own = list_own_studies().get(path.stem)
    return own is not None and (path.resolve() == own.resolve() or digest_text(path) == digest_text(own))


@cache
def list_own_studies() -> dict[str, Path]:
    """The studies of ``studies/`` by name."""
    return {file.stem: file for folder in (STUDIES, STUDIES / "real") for file in sorted(folder.glob("*.yaml"))}


def find_name(named: Named, known: Mapping[str, Place], root: Path) -> str:
    """The name that a file has, or that it would get: ``known`` are those of its kind that are noted.

    It has the name that was noted of its path, else of its way from the results, else of a file that was moved here.
    """
    stem, own = named.stem[:LONGEST], describe_place(named.path, root)
    form = re.compile(re.escape(stem) + "(-[0-9a-f]{8})?")
    alike = {name: place for name, place in known.items() if form.fullmatch(name)}
    moved = {name: place for name, place in alike.items() if own["text"] and not Path(place["path"]).exists()}
    for part, places in (("path", alike), ("beside", alike), ("text", moved)):
        for name, place in places.items():
            if place[part] == own[part]:
                return name
    if named.kind == "study" and stem not in known and stem not in list_own_studies():
        return stem
    name = f"{stem}-{digest(own['path'])[:8]}"
    while name in known:  # of a file that was here once, and moved
        name = f"{stem}-{digest(name)[:8]}"
    return name


def describe_place(path: Path, root: Path) -> Place:
    """Where a file is, as it is noted."""
    here = os.path.realpath(path)  # unlike Path.resolve it minds no looping link
    return {"path": here, "beside": os.path.relpath(here, os.path.realpath(root)), "text": digest_text(path)}


def digest_text(path: Path) -> str:
    """Digest of a file's text; empty for a folder."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if is_file(path) else ""


def locate_names(root: Path) -> Path:
    return root / "names.json"


def read_names(root: Path) -> dict[str, dict[str, Place]]:
    """Kind -> name -> place, as noted; what is damaged counts as absent."""
    try:
        content = json.loads(locate_names(root).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    kinds = content.items() if isinstance(content, dict) else ()
    return {kind: dict(filter(is_entry, names.items())) for kind, names in kinds if isinstance(names, dict)}


def is_entry(entry: tuple[str, Any]) -> bool:
    """Whether an entry of names.json can be used: each of its texts is one that a path can hold."""
    place = entry[1]
    texts = [place.get(part) for part in ("path", "beside", "text")] if isinstance(place, dict) else [None]
    return all(isinstance(text, str) and "\0" not in text for text in texts)
