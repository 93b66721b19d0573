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
STEPPED = ("uniform", "int")  # may have a step
WHOLE = ("int", "logint")

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
    wrong = check_spec(path, node, baseline)
    errors += wrong
    return () if wrong else tuple(node.plain())


def check_spec(path: str, node: Node, baseline: str) -> list[str]:
    """What is wrong with a specification: its kind, the number of its values, each of them, their order."""
    where = f"{node.mark}: {path}: tune"
    first, *values = node.value if isinstance(node.value, list) and node.value else [node]
    kind = first.value
    if not isinstance(kind, str) or kind not in KINDS:
        return [f"{where}: found {name_value(kind)}; {hint(str(kind), KINDS)}"]
    ordered = kind != "categorical"
    most = 3 if kind in STEPPED else 2
    if len(values) < 2 or (ordered and len(values) > most):
        return [f"{where}: {kind} takes {KINDS[kind]}; found {len(values)} values"]
    bounds = values[:2] if ordered else values
    wrong = [text for value in bounds for text in check_choice(path, value, baseline)]
    if wrong or not ordered:
        return wrong
    plain = [value.plain() for value in values]
    return check_range(f"{where}: {kind}", kind, plain) or check_drawn(f"{where}: {kind}", path, kind, plain, baseline)


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
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return [f"{where}: found a bound that is no number"]
    low, high, *step = values
    if low >= high:
        return [f"{where}: low {low:g} is not below high {high:g}"]
    if kind.startswith("log") and low <= 0:
        return [f"{where}: low {low:g} is not above 0"]
    if step and not 0 < step[0] <= high - low:
        return [f"{where}: found step {step[0]:g}; allowed: above 0, at most {high - low:g}"]
    broken = [value for value in values if kind in WHOLE and value != int(value)]
    return [f"{where}: found {broken[0]:g}; allowed: whole numbers"] if broken else []


def check_drawn(where: str, path: str, kind: str, values: list[Any], baseline: str) -> list[str]:
    """Whether what stands between the bounds can be the setting's value: a number of clusters is a whole one."""
    leaf = list_leaves(baseline).get(path)
    low, high, *step = values
    drawn = low + float(step[0] if step else (high - low) / 3)
    if kind in WHOLE or leaf is None or not refuse(leaf.kind, drawn):
        return []
    return [f"{where}: {complain(leaf.kind, drawn)}; whole numbers are drawn by {', '.join(WHOLE)}"]


def set_values(settings: Settings, values: Values) -> Settings:
    """``settings`` with a trial's values; ConfigError says why they do not fit the settings or each other."""
    baseline = settings.case.baseline
    errors: list[str] = []
    known = list_leaves(baseline)
    for path, value in values.items():
        owner, whole = path, value
        if path not in known:  # an entry of a mapping
            owner, _, name = path.rpartition(".")
            whole = {**get_value(settings, owner), name: value}
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
