"""Search spaces: ``{tune: [loguniform, 1, 100]}`` stands in a study's ``set`` where the value would stand."""

from collections.abc import Mapping
from typing import Any

from harness.errors import found, hint
from harness.ranges import complain, refuse
from harness.study.document import Node
from harness.study.layers import Layer, leaves

KINDS: Mapping[str, str] = {  # kind -> what follows it
    "uniform": "low, high and perhaps a step",
    "loguniform": "low and high",
    "int": "low, high and perhaps a step",
    "logint": "low and high",
    "categorical": "at least two values",
}


def space(layer: Layer, baseline: str, errors: list[str]) -> dict[str, tuple[Any, ...]]:
    """The tuned settings of a layer, (kind, ...) by path; bounds and choices are checked like values."""
    tuned = {path: node.value["tune"] for path, node in layer.items() if is_tuned(node)}
    return {path: spec for path, node in tuned.items() if (spec := checked(path, node, baseline, errors))}


def is_tuned(node: Node) -> bool:
    return isinstance(node.value, dict) and list(node.value) == ["tune"]


def checked(path: str, node: Node, baseline: str, errors: list[str]) -> tuple[Any, ...]:
    """One specification as a tuple; empty when it is wrong."""
    items = node.value if isinstance(node.value, list) else []
    kind = items[0].value if items else node.value
    if not isinstance(kind, str) or kind not in KINDS:
        errors.append(f"{node.mark}: {path}: tune: found {found(kind)}; {hint(str(kind), KINDS)}")
        return ()
    values, ordered = items[1:], kind != "categorical"
    if len(values) < 2 or (ordered and len(values) > 3 - kind.startswith("log")):
        errors.append(f"{node.mark}: {path}: tune: {kind} takes {KINDS[kind]}; found {len(values)} values")
        return ()
    plain, before = [value.plain() for value in values], len(errors)
    for value in values[:2] if ordered else values:
        errors.extend(refused(path, value, baseline))
    if len(errors) == before and ordered:
        errors.extend(trouble(f"{node.mark}: {path}: tune: {kind}", kind, plain))
    return (kind, *plain) if len(errors) == before else ()


def refused(path: str, node: Node, baseline: str) -> list[str]:
    """Why a bound or choice cannot be this setting's value; entries of mappings are left to the trial."""
    leaf = leaves(baseline).get(path)
    if leaf is None and path.rpartition(".")[0] not in leaves(baseline):
        return [f"{node.mark}: {path}: unknown key; {hint(path, leaves(baseline))}"]
    if leaf is not None and refuse(leaf.kind, node.plain()):
        return [f"{node.mark}: {path}: tune: {complain(leaf.kind, node.value)}"]
    return []


def trouble(where: str, kind: str, values: list[Any]) -> list[str]:
    """What is wrong with an ordered range."""
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return [f"{where}: found a bound that is no number"]
    if values[0] >= values[1]:
        return [f"{where}: low {values[0]:g} is not below high {values[1]:g}"]
    return [f"{where}: low {values[0]:g} is not above 0"] if kind.startswith("log") and values[0] <= 0 else []
