"""Layers of settings: dotted path -> value with its place, folded into one frozen ``Settings``.

Later layers win. Choosing another ``case.baseline`` starts ``case.options`` anew from that baseline's defaults and
applies what its ``Options.sets`` says; the rest of the same layer comes after that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from harness.config import Mark, Node, found, hint, wrap
from harness.limits import adapter, clashes, limit, words
from harness.settings import Settings
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
    """Validated settings of a folded state; what is wrong is added to ``errors`` (then the defaults come back)."""
    before, baseline = len(errors), state[BASELINE].value
    if not isinstance(baseline, str) or baseline not in OPTIONS:
        errors.append(f"{state[BASELINE].mark}: {BASELINE}: unknown baseline; {hint(str(baseline), OPTIONS)}")
        state = {path: node for path, node in state.items() if not path.startswith("case.options.")}
        baseline = CaseSettings().baseline
    known = leaves(baseline)
    values = {path: leaf.default for path, leaf in known.items()} | {BASELINE: baseline}
    for path, node in state.items():
        if path in known:
            values[path] = checked(path, known[path].kind, node, errors)
        else:
            errors.append(f"{node.key}: {unknown(path, node, known)}")
    if len(errors) == before:
        errors.extend(f"{place(state, paths)}: {paths[0]}: {text}" for paths, text in clashes(values.get))
    return assembled(values, baseline) if len(errors) == before else Settings()


def checked(path: str, kind: Any, node: Node, errors: list[str]) -> Any:
    """The value of a node as the setting's type has it."""
    if path == BASELINE:
        return node.value
    plain = node.plain()
    try:
        return adapter(path, kind).validate_python(plain)
    except ValidationError as error:
        steps = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
        wrong = node.at(steps)
        near = f"{hint(wrong.value, get_args(kind))}" if nameable(kind, wrong.value) else ""
        allowed = near or f"allowed: {words(kind, limit(path))}"
        errors.append(
            f"{wrong.mark}: {path}: found {found(wrong.value) if wrong.value != [] else 'an empty list'}; {allowed}"
        )
        return None


def nameable(kind: Any, value: Any) -> bool:
    """Whether ``value`` is a name that stands for none of the allowed ones."""
    return get_origin(kind) is Literal and isinstance(value, str)


def unknown(path: str, node: Node, known: Mapping[str, Leaf]) -> str:
    """Message for a path that is no setting, with the nearest one that is."""
    if path in groups():
        inside = [name.removeprefix(f"{path}.") for name in known if name.startswith(f"{path}.")]
        return f"{path}: found {found(node.value)}; allowed: a mapping with {', '.join(inside)}"
    parent, _, name = path.rpartition(".")
    siblings = [p.removeprefix(f"{parent}.") for p in known if p.rpartition(".")[0] == parent] if parent else []
    siblings += [g.removeprefix(f"{parent}.") for g in sorted(groups()) if parent and g.rpartition(".")[0] == parent]
    if siblings:
        return f"{path}: unknown key; {hint(name, siblings)}"
    same = [p for p in known if p.rpartition(".")[2] == name]
    near = f"did you mean '{same[0]}'? allowed: {', '.join(sorted(g for g in groups() if '.' not in g and g))}"
    return f"{path}: unknown key; {near if same else hint(path, known)}"


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
