"""From a study's parts to layers: what lies on what, how columns score, and the data behind each row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, hint
from harness.settings import Settings
from harness.study.building import build
from harness.study.document import Mark, Node, parse
from harness.study.layers import Layer, flatten, fold, list_leaves
from harness.study.presets import read_base_layers, read_tuned_layers
from harness.study.rows import Draft
from harness.study.schema import StudyPart
from harness.study.study import Column
from harness.study.tune import is_tuned


@dataclass(frozen=True)
class Asked:
    """The preset a study starts from, where that was said, where else presets may lie, and the results folder."""

    base: str
    mark: Mark
    beside: Path
    root: Path


def read_own_layer(node: Node, part: StudyPart, errors: list[str]) -> Layer:
    """The study's ``set``."""
    return flatten(node.at(["set"]), errors) if part.set else {}


def read_command_line(sets: Sequence[str], errors: list[str]) -> Layer:
    """``--set PATH=VALUE``, the n-th one as line n of "--set"; a later one wins."""
    out: Layer = {}
    for number, text in enumerate(sets, 1):
        path, equals, value = text.partition("=")
        here = Mark("--set", number, 1)
        if not equals or not path.strip():
            errors.append(f"{here}: found '{text}'; allowed: PATH=VALUE, e.g. case.clusters=32")
            continue
        try:
            node = parse(value, Mark("--set", number, len(path) + 2)) if value.strip() else Node(None, here, here)
        except ConfigError as error:
            errors.extend(error.errors)
            continue
        whole = Node({path.strip(): replace(node, key=here)}, here, here)
        out |= flatten(whole, errors)
    return out


def stack_layers(
    rows: Sequence[Draft], asked: Asked, below: Sequence[Layer], line: Layer, errors: list[str]
) -> list[list[Layer]]:
    """Per row its layers, the lowest first: preset, data set, the preset's ``tuned``, study, row, command line.

    ``below`` is the data set's layers and, last, the study's own.
    """
    *data, own = map(drop_tuned, below)
    bases: dict[str, list[Layer]] = {}
    for row in rows:
        name = row.base or asked.base
        if name not in bases:
            lowest = read_base_layers(name, row.base_mark or asked.mark, errors, asked.beside)
            bases[name] = [*lowest, *data, *read_tuned_layers(name, asked.beside), own]
    return [[*bases[row.base or asked.base], row.layer, line] for row in rows]


def drop_tuned(layer: Layer) -> Layer:
    """A layer without what a search tunes."""
    return {path: node for path, node in layer.items() if not is_tuned(node)}


def read_columns(
    node: Node, part: StudyPart, piles: Sequence[list[Layer]], settings: Sequence[Settings], errors: list[str]
) -> tuple[tuple[Column, ...], tuple[Mapping[tuple[str, ...], Settings], ...]]:
    """The columns, and per row the settings under which each group of them is scored."""
    layers = {name: read_scoring(node, name, settings, errors) for name, c in part.columns.items() if c.scoring}
    columns = tuple(
        Column(name, c.metric, strip_places(layers.get(name, {})), c.selection) for name, c in part.columns.items()
    )
    groups = group_columns(columns, layers)
    scored = []
    for pile, own in zip(piles, settings):
        by_names = {}
        for layer, names in groups:
            by_names[names] = build(fold([*pile, layer]), errors) if layer else own
        scored.append(by_names)
    return columns, tuple(scored)


def group_columns(columns: Sequence[Column], layers: Mapping[str, Layer]) -> list[tuple[Layer, tuple[str, ...]]]:
    """Columns that are scored alike, by name, with the layer that says how (empty: as the row is)."""
    names: dict[str, list[str]] = {}
    for column in columns:
        names.setdefault(repr(column.scoring), []).append(column.name)
    return [(layers.get(alike[0], {}), tuple(alike)) for alike in names.values()]


def strip_places(layer: Layer) -> dict[str, Any]:
    """A layer without places."""
    return {path: node.plain() for path, node in layer.items()}


def read_scoring(node: Node, name: str, settings: Sequence[Settings], errors: list[str]) -> Layer:
    """A column's ``scoring``: it may only change how stored scores are read."""
    layer = flatten(node.at(["columns", name, "scoring"]), errors)
    known: dict[str, bool] = {}
    for own in settings:
        known |= {path: leaf.scoring for path, leaf in list_leaves(own.case.baseline).items()}
    scoring = [path for path, reads in known.items() if reads]
    for path, inner in list(layer.items()):
        parent = path.rpartition(".")[0]
        if not known.get(path, known.get(parent, True)):
            errors.append(f"{inner.key}: columns.{name}.scoring: '{path}' changes the training; {hint(path, scoring)}")
            del layer[path]
    return layer


def read_fingerprints(
    states: Sequence[Layer], settings: Sequence[Settings], root: Path, errors: list[str]
) -> list[str]:
    """Fingerprint of each row's data; what is wrong with a data set is told once, with the place that chose it."""
    from harness import data

    done: dict[str, str] = {}
    for state, own in zip(states, settings):
        if (name := repr(own.source)) in done:
            continue
        try:
            done[name] = data.fingerprint(own.source, root)
        except data.DataError as error:
            done[name] = ""
            errors.extend(f"{locate_setting(state, text)}{text}" for text in error.errors)
    return [done[repr(own.source)] for own in settings]


def locate_setting(state: Layer, text: str) -> str:
    """'PLACE: ' where the setting that a message begins with was given; empty when it begins with none."""
    path, _, _ = text.partition(":")
    node = state.get(path) or state.get(path.rpartition(".")[0])
    if node is None:
        return ""
    inner = node.at([path.rpartition(".")[2]])
    return f"{inner.mark}: " if inner is node else f"{inner.key}: "
