"""Search spaces: ``{tune: [loguniform, 1, 100]}`` stands in a study's ``set`` where the value would stand.

``read_space`` checks such a space, ``set_values`` puts the values of a trial into settings.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.errors import ConfigError, hint, name_value
from harness.ranges import adapter, complain, refuse
from harness.settings import Settings
from harness.study.document import Node
from harness.study.layers import Layer, list_leaves, read_baseline_layer
from harness.study.rules import find_clashes

KINDS: Mapping[str, str] = {  # kind -> what follows it
    "uniform": "low, high and perhaps a step",
    "loguniform": "low and high",
    "int": "low, high and perhaps a step",
    "logint": "low and high",
    "categorical": "at least two values",
}

Space = Mapping[str, tuple[Any, ...]]  # path -> (kind, ...)
Values = Mapping[str, Any]  # path -> value of a trial


def read_space(layer: Layer, baseline: str, errors: list[str]) -> Space:
    """The tuned settings of a layer; bounds and choices are checked like values."""
    tuned = {path: node.value["tune"] for path, node in layer.items() if is_tuned(node)}
    specs = {path: read_spec(path, node, baseline, errors) for path, node in tuned.items()}
    return {path: spec for path, spec in specs.items() if spec}


def is_tuned(node: Node) -> bool:
    return isinstance(node.value, dict) and list(node.value) == ["tune"]


def read_spec(path: str, node: Node, baseline: str, errors: list[str]) -> tuple[Any, ...]:
    """One specification as a tuple; empty when it is wrong."""
    items = node.value if isinstance(node.value, list) else []
    kind = items[0].value if items else node.value
    if not isinstance(kind, str) or kind not in KINDS:
        errors.append(f"{node.mark}: {path}: tune: found {name_value(kind)}; {hint(str(kind), KINDS)}")
        return ()
    values, ordered = items[1:], kind != "categorical"
    if len(values) < 2 or (ordered and len(values) > 3 - kind.startswith("log")):
        errors.append(f"{node.mark}: {path}: tune: {kind} takes {KINDS[kind]}; found {len(values)} values")
        return ()
    plain, before = [value.plain() for value in values], len(errors)
    for value in values[:2] if ordered else values:
        errors.extend(check_choice(path, value, baseline))
    if len(errors) == before and ordered:
        errors.extend(check_range(f"{node.mark}: {path}: tune: {kind}", kind, plain))
    return (kind, *plain) if len(errors) == before else ()


def check_choice(path: str, node: Node, baseline: str) -> list[str]:
    """Why a bound or choice cannot be this setting's value; entries of mappings are left to the trial."""
    leaf = list_leaves(baseline).get(path)
    if leaf is None and path.rpartition(".")[0] not in list_leaves(baseline):
        return [f"{node.mark}: {path}: unknown key; {hint(path, list_leaves(baseline))}"]
    if leaf is not None and refuse(leaf.kind, node.plain()):
        return [f"{node.mark}: {path}: tune: {complain(leaf.kind, node.value)}"]
    return []


def check_range(where: str, kind: str, values: list[Any]) -> list[str]:
    """What is wrong with an ordered range."""
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return [f"{where}: found a bound that is no number"]
    if values[0] >= values[1]:
        return [f"{where}: low {values[0]:g} is not below high {values[1]:g}"]
    return [f"{where}: low {values[0]:g} is not above 0"] if kind.startswith("log") and values[0] <= 0 else []


def set_values(settings: Settings, values: Values) -> Settings:
    """``settings`` with a trial's values; ConfigError says why they do not fit the settings or each other."""
    baseline, errors = settings.case.baseline, list[str]()
    known = list_leaves(baseline)
    for path, value in values.items():
        owner = path if path in known else path.rpartition(".")[0]
        whole = value if owner == path else {**get_value(settings, owner), path.rpartition(".")[2]: value}
        kind = known[owner].kind
        if refuse(kind, whole):
            errors.append(f"{path}: {complain(kind, value)}")
        else:
            settings = replace_at(settings, owner.split("."), adapter(kind).validate_python(whole))
    sequences = read_baseline_layer(baseline)["localization.thresholds"].value
    errors += [f"{paths[0]}: {text}" for paths, text in find_clashes(settings, sequences)]
    if errors:
        raise ConfigError(errors)
    return settings


def get_value(settings: Settings, path: str) -> Any:
    """The setting at a dotted path; None where these settings have none (options of another baseline)."""
    value: Any = settings
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def replace_at(part: Any, steps: list[str], value: Any) -> Any:
    """A dataclass with the field at the end of ``steps`` replaced, and every dataclass on the way to it."""
    name, *rest = steps
    return replace(part, **{name: replace_at(getattr(part, name), rest, value) if rest else value})
