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
from harness.study.schema import RowPart, StudyPart, read_study_part

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
    rows = read_rows(node, part, errors)
    points = list(expand_sweep(node, part, errors)) if part.sweep else []
    if not points:
        return rows or [Draft(part.title or "settings", {}, {})]
    if not rows:
        return points
    count = len(points) * len(rows)
    if count > MOST:
        errors.append(f"{node.at(['sweep']).mark}: sweep: {count} rows; allowed: {MOST}")
        return rows
    return [join_point(point, row) for point in points for row in rows]


def name_rows(node: Node) -> list[str]:
    """The labels of a study's rows, for the claims that name rows so; mistakes are told where rows are made."""
    bare = replace(node, value={key: inner for key, inner in node.value.items() if key != "claims"})
    ignored: list[str] = []
    return [draft.label for draft in make_drafts(bare, read_study_part(bare, ignored), ignored)]


def read_rows(node: Node, part: StudyPart, errors: list[str]) -> list[Draft]:
    """The rows that a study lists."""
    toggles = {name: flatten(node.at(["toggles", name]), errors) for name in part.toggles}
    if len(part.rows) > MOST:
        errors.append(f"{node.at(['rows']).mark}: rows: found {len(part.rows)}; allowed: {MOST}")
    return [make_draft(node, i, row, toggles, errors) for i, row in enumerate(part.rows[:MOST])]


def make_draft(node: Node, i: int, row: RowPart, toggles: Mapping[str, Layer], errors: list[str]) -> Draft:
    """Row ``i`` (from 0): what is off, then what it sets itself."""
    where = node.at(["rows", i])
    on = row.on or []
    check_toggles(where, i, row, toggles, errors)
    layer: Layer = {}
    for name, off in toggles.items():
        layer |= {} if name in on else off
    own = flatten(where.at(["set"]), errors) if row.set else {}
    spelled = " + ".join(on) or "baseline" if toggles else name_layer(own)
    return Draft(
        label=row.label or spelled,
        layer={**layer, **own},
        paper=row.paper,
        on=tuple(on),
        note=row.note,
        base=row.base,
        base_mark=where.at(["base"]).mark if row.base else None,
        reference=row.reference,
        paper_std=row.paper_std,
    )


def check_toggles(where: Node, i: int, row: RowPart, toggles: Mapping[str, Layer], errors: list[str]) -> None:
    """A row lists toggles that are there, and does list them where there are any."""
    number = i + 1
    if row.on is None and toggles:
        errors.append(
            f"{where.mark}: rows.{number}: no 'on'; the study has toggles: list what is on, 'on: []' for nothing"
        )
    for j, name in enumerate(row.on or []):
        if name not in toggles:
            mark = where.at(["on", j]).mark
            errors.append(f"{mark}: rows.{number}.on: unknown toggle '{name}'; {hint(name, toggles)}")


def expand_sweep(node: Node, part: StudyPart, errors: list[str]) -> Iterator[Draft]:
    """One draft per combination of the swept values; ``paper`` has the printed numbers in the same order."""
    where = node.at(["sweep"])
    axes = read_axes(where, errors)
    size = prod(len(values) for values in axes.values()) if axes else 0
    if not 0 < size <= MOST:
        errors.append(f"{where.mark}: sweep: {size} rows; allowed: 1 to {MOST}")
        return
    short = where.value["label"].value if "label" in where.value and len(axes) == 1 else None
    paper = read_published(where, part, size, errors)
    for i, point in enumerate(product(*axes.values())):
        layer = dict(zip(axes, point))
        yield Draft(name_layer(layer, short), layer, {name: numbers[i] for name, numbers in paper.items()})


def read_axes(where: Node, errors: list[str]) -> dict[str, list[Node]]:
    """Setting -> its values in a sweep, each as if it stood alone behind the setting's key."""
    swept = {key: inner for key, inner in where.value.items() if key not in {"paper", "label"}}
    axes = {}
    for path, values in flatten(replace(where, value=swept), errors).items():
        if isinstance(values.value, list) and values.value:
            axes[path] = [replace(value, key=values.key) for value in values.value]
        else:
            errors.append(f"{values.mark}: sweep.{path}: found {name_value(values.value)}; allowed: a list of values")
    return axes


def read_published(where: Node, part: StudyPart, size: int, errors: list[str]) -> dict[str, list[float | None]]:
    """Printed numbers of a sweep: per column as many as there are rows."""
    if "paper" not in where.value:
        return {}
    paper = where.value["paper"]
    if not isinstance(paper.value, dict):
        found = name_value(paper.value)
        errors.append(f"{paper.mark}: sweep.paper: found {found}; allowed: a mapping of columns to lists")
        return {}
    out = {}
    for name, values in paper.value.items():
        trouble = complain_published(name, values, part, size)
        if trouble:
            errors.append(trouble)
        else:
            out[name] = values.plain()
    return out


def complain_published(name: str, values: Node, part: StudyPart, size: int) -> str:
    """What is wrong with a column's printed numbers in a sweep of so many rows; empty for nothing."""
    if name not in part.columns:
        return f"{values.key}: sweep.paper: unknown column '{name}'; {hint(name, part.columns)}"
    where = f"sweep.paper.{name}"
    if not isinstance(values.value, list):
        return f"{values.mark}: {where}: found {name_value(values.value)}; allowed: a list of {size}, one per row"
    if len(values.value) != size:
        return f"{values.mark}: {where}: found {len(values.value)} values; allowed: a list of {size}, one per row"
    for number in values.value:
        if isinstance(number.value, bool | str | list | dict):
            return f"{number.mark}: {where}: found {name_value(number.value)}; allowed: a number or null"
    return ""


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
