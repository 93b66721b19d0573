"""Toggles, rows and sweeps of a study file -> a flat list of rows, each with the layer that makes it.

A toggle's value is what "off" means: a row lists what is on, every other toggle is applied. A sweep is one row per
value (per combination, when it names several settings; times every row, when the study has rows too).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod

from harness.errors import hint, name_value
from harness.study.document import Mark, Node
from harness.study.layers import Layer, flatten
from harness.study.schema import RowPart, StudyPart

MOST = 1000  # rows of a study


@dataclass(frozen=True)
class Draft:
    """A row before its settings are folded."""

    label: str
    layer: Layer
    paper: Mapping[str, float | None]
    on: tuple[str, ...] = ()
    note: str = ""
    base: str | None = None
    base_mark: Mark | None = None
    reference: int | None = None
    paper_std: Mapping[str, float] = field(default_factory=dict)


def make_drafts(node: Node, part: StudyPart, errors: list[str]) -> list[Draft]:
    """The rows of a study, in order; one row of the bare settings where it names none. There is always a row."""
    toggles = {name: flatten(node.at(["toggles", name]), errors) for name in part.toggles}
    if len(part.rows) > MOST:
        errors.append(f"{node.at(['rows']).mark}: rows: found {len(part.rows)}; allowed: {MOST}")
    rows = [make_draft(node, i, row, toggles, errors) for i, row in enumerate(part.rows[:MOST])]
    points = list(expand_sweep(node, part, errors)) if part.sweep else []
    if not points:
        return rows or [Draft(part.title or "settings", {}, {})]
    if len(points) * max(len(rows), 1) > MOST:
        errors.append(f"{node.at(['sweep']).mark}: sweep: {len(points) * max(len(rows), 1)} rows; allowed: {MOST}")
        return rows or points[:1]
    return [join_point(point, row) for point in points for row in rows] if rows else points


def make_draft(node: Node, i: int, row: RowPart, toggles: Mapping[str, Layer], errors: list[str]) -> Draft:
    """Row ``i`` (from 0): what is off, then what it sets itself."""
    where = node.at(["rows", i])
    if row.on is None and toggles:
        errors.append(
            f"{where.mark}: rows.{i + 1}: no 'on'; the study has toggles: list what is on, 'on: []' for nothing"
        )
    on = row.on or []
    for j, name in enumerate(on):
        if name not in toggles:
            errors.append(
                f"{where.at(['on', j]).mark}: rows.{i + 1}.on: unknown toggle '{name}'; {hint(name, toggles)}"
            )
    layer: Layer = {}
    for name, off in toggles.items():
        layer |= {} if name in on else off
    own = flatten(where.at(["set"]), errors) if row.set else {}
    label = row.label or (" + ".join(on) or "baseline" if toggles else name_layer(own))
    base_mark = where.at(["base"]).mark if row.base else None
    told = (row.note, row.base, base_mark, row.reference, row.paper_std)
    return Draft(label, {**layer, **own}, row.paper, tuple(on), *told)


def expand_sweep(node: Node, part: StudyPart, errors: list[str]) -> Iterator[Draft]:
    """One draft per combination of the swept values; ``paper`` has the printed numbers in the same order."""
    where = node.at(["sweep"])
    swept = {key: inner for key, inner in where.value.items() if key not in {"paper", "label"}}
    axes = flatten(replace(where, value=swept), errors)
    for path, values in list(axes.items()):
        if not isinstance(values.value, list) or not values.value:
            errors.append(f"{values.mark}: sweep.{path}: found {name_value(values.value)}; allowed: a list of values")
            del axes[path]
    short = where.value["label"].value if "label" in where.value and len(axes) == 1 else None
    sizes = [len(values.value) for values in axes.values()]
    if not axes or prod(sizes) > MOST:
        errors.append(f"{where.mark}: sweep: {prod(sizes) if axes else 0} rows; allowed: 1 to {MOST}")
        return
    paper = read_published(where, part, prod(sizes), errors)
    for i, point in enumerate(product(*(values.value for values in axes.values()))):
        layer = {path: replace(value, key=axes[path].key) for path, value in zip(axes, point)}
        yield Draft(name_layer(layer, short), layer, {name: numbers[i] for name, numbers in paper.items()})


def read_published(where: Node, part: StudyPart, size: int, errors: list[str]) -> dict[str, list[float | None]]:
    """Printed numbers of a sweep: per column as many as there are rows."""
    out: dict[str, list[float | None]] = {}
    paper = where.value.get("paper", Node({}, where.mark, where.key))
    if not isinstance(paper.value, dict):
        errors.append(
            f"{paper.mark}: sweep.paper: found {name_value(paper.value)}; allowed: a mapping of columns to lists"
        )
        return out
    for name, values in paper.value.items():
        numbers = values.plain()
        if name not in part.columns:
            errors.append(f"{values.key}: sweep.paper: unknown column '{name}'; {hint(name, part.columns)}")
        elif not isinstance(numbers, list) or len(numbers) != size:
            had = f"{len(numbers)} values" if isinstance(numbers, list) else name_value(numbers)
            errors.append(f"{values.mark}: sweep.paper.{name}: found {had}; allowed: a list of {size}, one per row")
        elif wrong := [v for v in values.value if isinstance(v.value, bool | str | list | dict)]:
            errors.append(
                f"{wrong[0].mark}: sweep.paper.{name}: found {name_value(wrong[0].value)}; allowed: a number or null"
            )
        else:
            out[name] = numbers
    return out


def join_point(point: Draft, row: Draft) -> Draft:
    """A row at a point of a sweep."""
    layer = {**row.layer, **point.layer}
    return replace(row, label=f"{point.label}, {row.label}", layer=layer, paper=row.paper or point.paper)


def name_layer(layer: Layer, short: str | None = None) -> str:
    """What a layer sets, as a label."""
    return ", ".join(f"{short or path} = {format_value(node.plain())}" for path, node in layer.items()) or "settings"


def format_value(value: object) -> str:
    """A value as a label shows it."""
    if isinstance(value, list):
        return f"[{', '.join(format_value(item) for item in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def number_references(rows: Sequence[Draft], default: int, node: Node, errors: list[str]) -> list[int]:
    """The row each row is compared with."""
    out = []
    for i, row in enumerate(rows):
        reference = row.reference or default
        if reference > len(rows):
            where = node.at(["rows", i, "reference"]) if row.reference else node.at(["reference"])
            errors.append(f"{where.mark}: reference: no row {reference}; allowed: 1 to {len(rows)}")
        out.append(reference)
    return out
