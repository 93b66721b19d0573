"""Layers of settings: dotted path -> value with its place, folded one over the other.

Later layers win. Choosing another ``case.baseline`` starts ``case.options`` anew from that baseline's defaults and
applies ``studies/baselines/NAME.yaml``; the rest of the same layer comes after that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, get_type_hints

from harness.errors import name_value
from harness.settings import Settings
from harness.sources import HOME
from harness.study.document import Mark, Node, read_document, wrap
from model.options import OPTIONS
from model.settings import CaseSettings

BASELINES = HOME / "studies" / "baselines"
Layer = dict[str, Node]
BASELINE = "case.baseline"


@dataclass(frozen=True)
class Leaf:
    """A setting: its type with its range, its default and whether it changes only how stored scores are read."""

    kind: Any
    default: Any
    scoring: bool


@cache
def list_leaves(baseline: str) -> Mapping[str, Leaf]:
    """Every setting by dotted path, with the options of ``baseline``."""
    return collect_leaves(Settings, "", baseline)


def collect_leaves(cls: Any, prefix: str, baseline: str) -> dict[str, Leaf]:
    kinds, own = get_type_hints(cls, include_extras=True), cls()
    out: dict[str, Leaf] = {}
    for field in fields(cls):
        path = prefix + field.name
        inner = OPTIONS[baseline] if path == "case.options" else kinds[field.name]
        if is_dataclass(inner):
            out |= collect_leaves(inner, f"{path}.", baseline)
        else:
            scoring = path.startswith(("localization.", "metrics.")) or bool(field.metadata.get("scoring"))
            out[path] = Leaf(inner, getattr(own, field.name), scoring)
    return out


@cache
def list_groups() -> frozenset[str]:
    """Paths that hold further settings."""
    return frozenset(path.rpartition(".")[0] for name in OPTIONS for path in list_leaves(name)) | {"case"}


def flatten(node: Node, errors: list[str], prefix: str = "") -> Layer:
    """A mapping of dotted or nested names as one layer; a setting stands in it once."""
    out: Layer = {}
    if not isinstance(node.value, dict):
        errors.append(
            f"{node.mark}: {prefix.rstrip('.') or 'settings'}: found {name_value(node.value)}; allowed: a mapping"
        )
        return out
    for name, inner in node.value.items():
        path = prefix + name
        nested = isinstance(inner.value, dict) and path in list_groups()
        for key, leaf in (flatten(inner, errors, f"{path}.") if nested else {path: inner}).items():
            if key in out:
                errors.append(f"{leaf.key}: {key}: set twice (first in line {out[key].key.line})")
            out[key] = leaf
    return out


@cache
def make_defaults(baseline: str) -> Mapping[str, Node]:
    """The dataclasses' own values as the lowest layer."""
    place = Mark("model/settings.py")
    own = {path: wrap(leaf.default, place) for path, leaf in list_leaves(baseline).items()}
    return own | {BASELINE: wrap(baseline, place)}


def fold(layers: Iterable[Layer]) -> Layer:
    """The layers over the defaults, the last one on top."""
    state = dict(make_defaults(CaseSettings().baseline))
    for layer in layers:
        state |= choose(state, layer)
        for path, node in layer.items():
            whole = path.rpartition(".")[0]
            if whole in state and isinstance(state[whole].value, dict):  # one entry of a mapping
                name = path.rpartition(".")[2]
                state[whole] = Node({**state[whole].value, name: node}, node.mark, node.key)
            else:
                state[path] = node
    return state


def choose(state: Layer, layer: Layer) -> Layer:
    """What choosing another baseline in ``layer`` sets; its earlier options are taken out of ``state``."""
    node = layer.get(BASELINE, state[BASELINE])
    name = node.value
    if name == state[BASELINE].value or not isinstance(name, str) or name not in OPTIONS:
        return {}
    for path in [path for path in state if path.startswith("case.options.")]:
        del state[path]
    options = {path: leaf.default for path, leaf in list_leaves(name).items() if path.startswith("case.options.")}
    return {path: wrap(value, node.mark) for path, value in options.items()} | read_baseline_layer(name)


@cache
def read_baseline_layer(name: str) -> Layer:
    """``studies/baselines/NAME.yaml``: what choosing a baseline sets beside its options."""
    return flatten(read_document(BASELINES / f"{name}.yaml"), [])
