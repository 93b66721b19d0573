"""From a folded state of layers to one frozen ``Settings``; every mistake becomes one line at its place."""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from harness.errors import ConfigError, hint, name_value
from harness.ranges import Steps, complain, validate
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
    errors += list_unknown(state, baseline, known)
    settings, wrong = validate_settings(state, baseline, known)
    for path, entry in wrong.items():
        inner = state[path].at(entry)
        errors.append(f"{inner.mark}: {path}: {complain(known[path].kind, inner.value)}")
    sequences = read_baseline_layer(baseline)["localization.thresholds"].value
    for paths, text in find_clashes(settings, sequences):
        if wrong.keys().isdisjoint(paths):
            errors.append(f"{find_place(state, paths)}: {paths[0]}: {text}")
    return settings


def list_unknown(state: Layer, baseline: str, known: Mapping[str, Leaf]) -> list[str]:
    """Paths that are no settings; options are not held against a baseline that was misspelt."""
    misspelt = state[BASELINE].value != baseline
    out = []
    for path, node in state.items():
        if path not in known and not (misspelt and path.startswith("case.options.")):
            place = node.mark if path in list_groups() else node.key
            out.append(f"{place}: {complain_unknown(path, node, known)}")
    return out


def validate_settings(state: Layer, baseline: str, known: Mapping[str, Leaf]) -> tuple[Settings, dict[str, Steps]]:
    """Settings of what is known, and path -> entry in it of each value that was refused and is at its default."""
    values = nest({path: node.plain() for path, node in state.items() if path in known} | {BASELINE: baseline})
    options, wrong_options = validate(OPTIONS[baseline], values["case"].pop("options", {}))
    settings, wrong = validate(Settings, values)
    wrong |= {(*OPTIONS_STEPS, *steps): entry for steps, entry in wrong_options.items()}
    whole = replace(settings, case=replace(settings.case, options=options))
    return whole, {".".join(map(str, steps)): entry for steps, entry in wrong.items()}


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
    groups = sorted(list_groups())
    if path in groups:
        below = [name.removeprefix(f"{path}.").partition(".")[0] for name in known if name.startswith(f"{path}.")]
        return f"{path}: found {name_value(node.value)}; allowed: a mapping with {', '.join(dict.fromkeys(below))}"
    parent, _, name = path.rpartition(".")
    siblings = [other.rpartition(".")[2] for other in (*known, *groups) if other.rpartition(".")[0] == parent]
    if parent and siblings:
        return f"{path}: unknown key; {hint(name, siblings)}"
    near = find_near(path, known)
    question = f"did you mean '{near}'? " if near else ""
    allowed = ", ".join(f"{group}.NAME" for group in groups if "." not in group)
    return f"{path}: unknown key; {question}allowed: {allowed}"


def find_near(path: str, known: Mapping[str, Leaf]) -> str:
    """The setting that may have been meant: one whose last name is much like this path's, else one whose path is."""
    by_name = {other.rpartition(".")[2]: other for other in known}
    close = get_close_matches(path.rpartition(".")[2], by_name, 1, 0.8)
    if close:
        return by_name[close[0]]
    return next(iter(get_close_matches(path, known, 1)), "")


def find_place(state: Layer, paths: Iterable[str]) -> Mark:
    """Where to change something: the first of these settings that a file or the command line sets."""
    marks = [state[path].mark for path in paths if path in state]
    return next((mark for mark in marks if mark.line), marks[0])
