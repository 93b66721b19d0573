"""The data set that a command line names: a file of studies/data, or a folder with its own data.yaml."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from harness.data.survey import find_streams
from harness.errors import DataError, hint, name_value, quote
from harness.settings import Source
from harness.sources import HOME

NAMED = HOME / "studies" / "data"
KINDS: Mapping[str, tuple[Any, str]] = {  # of the values of a source; others are texts
    "seed": (int, "a whole number"),
    "validation_share": (int | float, "a number"),
    "knobs": (Mapping, "a mapping"),
    "streams": (tuple, "a list of names"),
}


def find_source(name: str) -> Source:
    """Where the videos of data set ``name`` come from; DataError where there is no such file and no such folder."""
    known = {path.stem: path for path in sorted(NAMED.glob("*.yaml"))}
    if name in known:
        return read_source(known[name], Source())
    folder = Path(name)
    try:
        there = folder.is_dir()
    except (OSError, ValueError):  # no folder can have that name
        there = False
    if not there:
        raise DataError([f"{quote(name)} is neither a folder nor a data set; {hint(name, known)}"])
    streams = find_streams(folder) or Source().streams
    start = Source(name="folder", path=str(folder), streams=streams)
    own = folder / "data.yaml"
    return replace(read_source(own, start), name="folder", path=str(folder)) if own.is_file() else start


def read_source(path: Path, start: Source) -> Source:
    """``start`` with what a file says under ``source``; its values are checked where they are used."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = flatten(content if isinstance(content, Mapping) else {}, "")
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DataError([f"{path}: {' '.join(str(error).split())[:200]}"]) from None
    values: dict[str, Any] = {}
    for key, value in settings.items():
        section, _, rest = key.partition(".")
        field, _, knob = rest.partition(".")
        if section == "source" and knob:
            values.setdefault(field, {})[knob] = value
        elif section == "source":
            values[field] = tuple(value) if isinstance(value, list) else value
    known = {field.name for field in fields(Source)}
    if wrong := sorted(set(values) - known):
        raise DataError([f"{path}: unknown key 'source.{wrong[0]}'; {hint(wrong[0], known)}"])
    for name, value in values.items():
        check_kind(path, name, value)
    return replace(start, **values)


def check_kind(path: Path, name: str, value: Any) -> None:
    """DataError where a value is not of its setting's kind; its range is checked where it is used."""
    kinds, words = KINDS.get(name, (str, "a text"))
    inside = value if isinstance(value, tuple) else ()
    if not isinstance(value, kinds) or not all(isinstance(part, str) for part in inside):
        raise DataError([f"{path}: source.{name}: found {name_value(value)}; expected {words}"])


def flatten(content: Mapping[Any, Any], before: str) -> dict[str, Any]:
    """Nested mappings as dotted paths."""
    out: dict[str, Any] = {}
    for key, value in content.items():
        path = f"{before}{key}"
        out |= flatten(value, f"{path}.") if isinstance(value, Mapping) else {path: value}
    return out
