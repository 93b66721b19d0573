"""Layers of settings: dotted path -> value with its place, folded into one frozen ``Settings``.

Later layers win. Choosing another ``case.baseline`` starts ``case.options`` anew from that baseline's defaults and
applies what its ``Options.sets`` says; the rest of the same layer comes after that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from harness.errors import found, hint
from harness.settings import Settings
from harness.study.document import Mark, Node, wrap
from harness.study.limits import adapter, clashes, limit, words
from model.settings import OPTIONS, CaseSettings

Layer = dict[str, Node]
BASELINE = "case.baseline"


@dataclass(frozen=True)
class Leaf:
    """A setting: its type, its default and whether it changes only how stored scores are read."""

    kind: Any
    default: Any
    scoring: bool


@cache
def leaves(baseline: str) -> Mapping[str, Leaf]:
    """Every setting by dotted path, with the options of ``baseline``."""
    return _leaves(Settings, "", baseline)


def _leaves(cls: Any, prefix: str, baseline: str) -> dict[str, Leaf]:
    kinds, own = get_type_hints(cls), cls()
    out: dict[str, Leaf] = {}
    for field in fields(cls):
        path = prefix + field.name
        inner = OPTIONS[baseline] if path == "case.options" else kinds[field.name]
        if is_dataclass(inner):
            out |= _leaves(inner, f"{path}.", baseline)
        else:
            scoring = path.startswith(("localization.", "metrics.")) or bool(field.metadata.get("scoring"))
            out[path] = Leaf(inner, getattr(own, field.name), scoring)
    return out


@cache
def groups() -> frozenset[str]:
    """Paths that hold further settings."""
    return frozenset(path.rpartition(".")[0] for name in OPTIONS for path in leaves(name)) | {"case"}


def flatten(node: Node, errors: list[str], prefix: str = "") -> Layer:
    """A mapping of dotted or nested names as one layer; a setting stands in it once."""
    out: Layer = {}
    if not isinstance(node.value, dict):
        errors.append(f"{node.mark}: {prefix.rstrip('.') or 'settings'}: found {found(node.value)}; allowed: a mapping")
        return out
    for name, inner in node.value.items():
        path = prefix + name
        nested = isinstance(inner.value, dict) and path in groups()
        for key, leaf in (flatten(inner, errors, f"{path}.") if nested else {path: inner}).items():
            if key in out:
                errors.append(f"{leaf.key}: {key}: set twice (first in line {out[key].key.line})")
            out[key] = leaf
    return out


@cache
def defaults(baseline: str) -> Mapping[str, Node]:
    """The dataclasses' own values as the lowest layer."""
    place = Mark("model/settings.py")
    own = {path: wrap(leaf.default, place) for path, leaf in leaves(baseline).items()}
    return own | {BASELINE: wrap(baseline, place)}


def fold(layers: Iterable[Layer]) -> Layer:
    """The layers over the defaults, the last one on top."""
    state = dict(defaults(CaseSettings().baseline))
    for layer in layers:
        state |= chosen(state, layer)
        for path, node in layer.items():
            whole = path.rpartition(".")[0]
            if whole in state and isinstance(state[whole].value, dict):  # one entry of a mapping
                name = path.rpartition(".")[2]
                state[whole] = Node({**state[whole].value, name: node}, node.mark, node.key)
            else:
                state[path] = node
    return state


def chosen(state: Layer, layer: Layer) -> Layer:
    """What choosing another baseline in ``layer`` sets; its earlier options are taken out of ``state``."""
    node = layer.get(BASELINE, state[BASELINE])
    name = node.value
    if name == state[BASELINE].value or not isinstance(name, str) or name not in OPTIONS:
        return {}
    for path in [path for path in state if path.startswith("case.options.")]:
        del state[path]
    own = {path: leaf.default for path, leaf in leaves(name).items() if path.startswith("case.options.")}
    sets: Mapping[str, Any] = OPTIONS[name].sets  # type: ignore[attr-defined]
    return {path: wrap(value, node.mark) for path, value in {**own, **sets}.items()}


def build(state: Layer, errors: list[str]) -> Settings:
    """Validated settings of a folded state; what is wrong is added to ``errors`` and left at its default."""
    baseline = state[BASELINE].value
    if not isinstance(baseline, str) or baseline not in OPTIONS:
        errors.append(f"{state[BASELINE].mark}: {BASELINE}: found {found(baseline)}; {hint(str(baseline), OPTIONS)}")
        state = {path: node for path, node in state.items() if not path.startswith("case.options.")}
        baseline = CaseSettings().baseline
    known = leaves(baseline)
    values = {path: leaf.default for path, leaf in known.items()} | {BASELINE: baseline}
    wrong: set[str] = set()
    for path, node in state.items():
        if path not in known:
            errors.append(f"{node.mark if path in groups() else node.key}: {unknown(path, node, known)}")
        elif path != BASELINE:
            try:
                values[path] = adapter(path, known[path].kind).validate_python(node.plain())
            except ValidationError as error:
                wrong.add(path)
                errors.append(refusal(path, known[path].kind, node, error))
    for paths, text in clashes(values.get):
        if not wrong.intersection(paths):
            errors.append(f"{place(state, paths)}: {paths[0]}: {text}")
    return assembled(values, baseline)


def refusal(path: str, kind: Any, node: Node, error: ValidationError) -> str:
    """What was found, at the entry that is wrong, and what the setting allows."""
    inner = node.at(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"])
    is_name = get_origin(kind) is Literal and isinstance(inner.value, str)
    allowed = hint(inner.value, get_args(kind)) if is_name else f"allowed: {words(kind, limit(path))}"
    had = "an empty list" if inner.value == [] else found(inner.value)
    return f"{inner.mark}: {path}: found {had}; {allowed}"


def unknown(path: str, node: Node, known: Mapping[str, Leaf]) -> str:
    """Message for a path that is no setting, with the nearest one that is."""
    if path in groups():
        below = [name.removeprefix(f"{path}.").partition(".")[0] for name in known if name.startswith(f"{path}.")]
        inside = dict.fromkeys(below)
        return f"{path}: found {found(node.value)}; allowed: a mapping with {', '.join(inside)}"
    parent, _, name = path.rpartition(".")
    siblings = [p.removeprefix(f"{parent}.") for p in known if p.rpartition(".")[0] == parent] if parent else []
    siblings += [g.removeprefix(f"{parent}.") for g in sorted(groups()) if parent and g.rpartition(".")[0] == parent]
    if siblings:
        return f"{path}: unknown key; {hint(name, siblings)}"
    ends = {p.rpartition(".")[2]: p for p in known}
    near = [ends[n] for n in get_close_matches(name, ends, 1, 0.8)] or get_close_matches(path, known, 1)
    allowed = ", ".join(f"{group}.NAME" for group in sorted(groups()) if "." not in group)
    return f"{path}: unknown key; " + (f"did you mean '{near[0]}'? " if near else "") + f"allowed: {allowed}"


def place(state: Layer, paths: Iterable[str]) -> Mark:
    """Where to change something: the first of these settings that a file or the command line sets."""
    marks = [state[path].mark for path in paths if path in state]
    return next((mark for mark in marks if mark.line), marks[0])


def assembled(values: Mapping[str, Any], baseline: str) -> Settings:
    """``Settings`` from validated values by path."""

    def make(cls: Any, prefix: str) -> Any:
        inner = {field.name: prefix + field.name for field in fields(cls)}
        kinds = get_type_hints(cls) | ({"options": OPTIONS[baseline]} if cls is CaseSettings else {})
        return cls(**{n: values[p] if p in values else make(kinds[n], f"{p}.") for n, p in inner.items()})

    settings: Settings = make(Settings, "")
    return settings
