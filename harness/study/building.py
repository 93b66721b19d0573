"""From a folded state of layers to one frozen ``Settings``; every mistake becomes one line at its place."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from harness.errors import ConfigError, hint, name_value
from harness.ranges import complain, validate
from harness.settings import Settings
from harness.study.document import Mark, Node, wrap
from harness.study.layers import BASELINE, Layer, Leaf, fold, list_groups, list_leaves, read_baseline_layer
from harness.study.rules import find_clashes
from model.options import OPTIONS
from model.settings import CaseSettings

OPTIONS_STEPS = ("case", "options")
INFINITE = {"inf": math.inf, "-inf": -math.inf}  # as ``keys.plain`` writes them


def build(state: Layer, errors: list[str]) -> Settings:
    """Validated settings of a folded state; what is wrong is added to ``errors`` and left at its default."""
    baseline = read_baseline(state, errors)
    known = list_leaves(baseline)
    for path, node in state.items():
        if path not in known and not (path.startswith("case.options.") and state[BASELINE].value != baseline):
            place = node.mark if path in list_groups() else node.key
            errors.append(f"{place}: {complain_unknown(path, node, known)}")
    values = nest({path: node.plain() for path, node in state.items() if path in known} | {BASELINE: baseline})
    options, wrong_options = validate(OPTIONS[baseline], values["case"].pop("options", {}))
    settings, wrong = validate(Settings, values)
    settings = replace(settings, case=replace(settings.case, options=options))
    wrong |= {(*OPTIONS_STEPS, *field): entry for field, entry in wrong_options.items()}
    refused = {".".join(map(str, field)): entry for field, entry in wrong.items()}
    for path, entry in refused.items():
        inner = state[path].at(entry)
        errors.append(f"{inner.mark}: {path}: {complain(known[path].kind, inner.value)}")
    sequences = read_baseline_layer(baseline)["localization.thresholds"].value
    for paths, text in find_clashes(settings, sequences):
        if refused.keys().isdisjoint(paths):
            errors.append(f"{find_place(state, paths)}: {paths[0]}: {text}")
    return settings


def rebuild(flat: Mapping[str, Any]) -> Settings:
    """Settings from the flat form in which records keep them (``keys.flat``). ConfigError where they cannot be."""
    here, layer = Mark("training.json"), {}
    for path, value in flat.items():
        plain = json.loads(value) if isinstance(value, str) and value.startswith(("[", "{")) else value
        layer[path] = wrap(INFINITE.get(plain, plain) if isinstance(plain, str) else plain, here)
    errors: list[str] = []
    settings = build(fold([layer]), errors)
    if errors:
        raise ConfigError(errors)
    return settings


def read_baseline(state: Layer, errors: list[str]) -> str:
    """The baseline's name; the default one where there is none of that name."""
    node = state[BASELINE]
    if isinstance(node.value, str) and node.value in OPTIONS:
        return node.value
    errors.append(f"{node.mark}: {BASELINE}: found {name_value(node.value)}; {hint(str(node.value), OPTIONS)}")
    return CaseSettings().baseline


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted paths as nested mappings."""
    out: dict[str, Any] = {}
    for path, value in values.items():
        *heads, name = path.split(".")
        inner = out
        for head in heads:
            inner = inner.setdefault(head, {})
        inner[name] = value
    return out


def complain_unknown(path: str, node: Node, known: Mapping[str, Leaf]) -> str:
    """Message for a path that is no setting, with the nearest one that is."""
    if path in list_groups():
        below = [name.removeprefix(f"{path}.").partition(".")[0] for name in known if name.startswith(f"{path}.")]
        return f"{path}: found {name_value(node.value)}; allowed: a mapping with {', '.join(dict.fromkeys(below))}"
    parent, _, name = path.rpartition(".")
    siblings = [p.rpartition(".")[2] for p in (*known, *sorted(list_groups())) if p.rpartition(".")[0] == parent]
    if parent and siblings:
        return f"{path}: unknown key; {hint(name, siblings)}"
    ends = {p.rpartition(".")[2]: p for p in known}
    near = [ends[n] for n in get_close_matches(name, ends, 1, 0.8)] or get_close_matches(path, known, 1)
    allowed = ", ".join(f"{group}.NAME" for group in sorted(list_groups()) if "." not in group)
    question = f"did you mean '{near[0]}'? " if near else ""
    return f"{path}: unknown key; {question}allowed: {allowed}"


def find_place(state: Layer, paths: Iterable[str]) -> Mark:
    """Where to change something: the first of these settings that a file or the command line sets."""
    marks = [state[path].mark for path in paths if path in state]
    return next((mark for mark in marks if mark.line), marks[0])
