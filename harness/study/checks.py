"""What the parts of a study say of each other: metrics, columns, rows and claims must exist."""

import re
from collections.abc import Iterator, Sequence

from harness.errors import hint
from harness.study.claims import Beats, Extreme, Pairs, StableWithin
from harness.study.document import Mark, Node
from harness.study.figures import FIGURES
from harness.study.metrics import CURVE, CURVES, find_metric, is_curve, list_names
from harness.study.parts import wrap_name
from harness.study.schema import ColumnPart, Steps, StudyPart, join_steps

OWN_FIGURE = re.compile(r"[a-zA-Z_]\w*(\.[a-zA-Z_]\w*)*:[a-zA-Z_]\w*")
MOST_RUNS = 100_000  # of a study: each one is planned, listed and stored


def check_study(node: Node, part: StudyPart, rows: int, scorings: int, asked: int | None, errors: list[str]) -> None:
    """All of them; ``scorings`` are those of one row, ``asked`` the seeds of the command line."""
    check_columns(node, part, errors)
    check_figures(node, part, errors)
    check_claims(node, part, rows, errors)
    check_size(node, part, rows * scorings, asked, errors)


def check_columns(node: Node, part: StudyPart, errors: list[str]) -> None:
    """Metrics that nothing measures, published numbers for columns that are not there, seeds that go backwards."""
    if "at_most" in part.seeds.model_fields_set and part.seeds.at_most < part.seeds.at_least:
        mark = node.at(["seeds", "at_most"]).mark
        errors.append(f"{mark}: seeds.at_most: found {part.seeds.at_most}; allowed: from {part.seeds.at_least} on")
    for name, column in part.columns.items():
        mark = node.at(["columns", name, "metric"]).mark
        errors.extend(f"{mark}: columns.{name}: {trouble}" for trouble in check_metric(column))
    for head in ("rows", "reported"):
        for i, row in enumerate(getattr(part, head)):
            for name in row.paper:
                check_column(node, (head, i, "paper", name), name, part, errors)
    for i, row in enumerate(part.rows):
        for name in row.paper_std:
            check_column(node, ("rows", i, "paper_std", name), name, part, errors)


def check_metric(column: ColumnPart) -> Iterator[str]:
    """Why a column would stay empty."""
    metric, curve = find_metric(column.metric), column.metric.removeprefix(CURVE)
    if metric is None or metric.held_in == "training":
        yield f"unknown metric '{column.metric}'; {hint(column.metric, list_names('result', 'curves'))}"
    elif metric.held_in == "curves" and not is_curve(curve):
        yield f"unknown curve '{curve}'; {hint(curve, dict.fromkeys([*CURVES, *list_names('result')]))}"
    elif metric.held_in == "curves" and column.selection == "best":
        yield "a curve is read at its end; allowed: selection: last"


def check_figures(node: Node, part: StudyPart, errors: list[str]) -> None:
    """Figures that nothing draws; ``module:function`` is drawn by the study's own code."""
    for i, name in enumerate(part.figures):
        if name not in FIGURES and not OWN_FIGURE.fullmatch(name):
            own = "or MODULE:FUNCTION beside the study"
            mark = node.at(["figures", i]).mark
            errors.append(f"{mark}: figures: unknown figure '{name}'; {hint(name, FIGURES)}, {own}")


def check_size(node: Node, part: StudyPart, scorings: int, asked: int | None, errors: list[str]) -> None:
    """More runs than can be planned; ``scorings`` are those of all rows, for one seed."""
    most = MOST_RUNS // max(scorings, 1)
    largest = max(("at_least", "at_most"), key=lambda name: getattr(part.seeds, name))
    number = getattr(part.seeds, largest) if asked is None else asked
    mark = node.at(["seeds", largest]).mark if asked is None else Mark("--seeds", 1, 1)
    if number > most:
        runs = f"{number} seeds of {scorings} scorings are {number * scorings} runs"
        errors.append(f"{mark}: seeds: {runs}; allowed: {MOST_RUNS}, here {most} seeds")


def check_column(node: Node, steps: Steps, name: str, part: StudyPart, errors: list[str]) -> None:
    if name not in part.columns:
        where = node.at(steps)
        mark = where.key if steps[-1] == name else where.mark
        errors.append(f"{mark}: {join_steps(steps)}: unknown column '{name}'; {hint(name, part.columns)}")


def check_claims(node: Node, part: StudyPart, rows: int, errors: list[str]) -> None:
    """Claims that speak of rows and columns that are not there."""
    for i, claim in enumerate(part.claims):
        for key in ("on", "highest_on", "lowest_on"):
            for name in wrap_name(getattr(claim, key, None)) or []:
                check_column(node, ("claims", i, key), name, part, errors)
        for key in ("row", "beats", "rows", "beat"):
            check_rows(node, ("claims", i, key), getattr(claim, key, []), rows, errors)
        if isinstance(claim, Beats) and claim.row == claim.beats:
            errors.append(f"{node.at(['claims', i, 'beats']).mark}: claims.{i + 1}.beats: a row cannot beat itself")
        if isinstance(claim, Pairs):
            check_partners(node, ("claims", i, "beat"), claim, errors)
        if isinstance(claim, StableWithin):
            check_repeats(node, ("claims", i, "rows"), claim.rows, errors)
        if isinstance(claim, Extreme):
            check_extreme(node, ("claims", i, "lowest_on" if claim.sign < 0 else "highest_on"), claim, rows, errors)


def check_partners(node: Node, steps: Steps, claim: Pairs, errors: list[str]) -> None:
    """Each row has one partner, another row."""
    where = f"{node.at(steps).mark}: {join_steps(steps)}"
    if len(claim.beat) != len(claim.rows):
        errors.append(
            f"{where}: found {len(claim.beat)} rows; allowed: {len(claim.rows)}, a partner for each of 'rows'"
        )
    if any(row == partner for row, partner in claim.pairs):
        errors.append(f"{where}: a row cannot beat itself")


def check_extreme(node: Node, steps: Steps, claim: Extreme, rows: int, errors: list[str]) -> None:
    """There is something that the row, or the first column, could be higher or lower than."""
    where = node.at(steps)
    if where.plain() == []:
        errors.append(f"{where.mark}: {join_steps(steps)}: found an empty list; allowed: a column, or several")
    if len(claim.columns) == 1 and rows == 1:
        errors.append(f"{where.mark}: {join_steps(steps)}: the study has one row; there is nothing to compare it with")
    check_repeats(node, steps, claim.columns, errors)


def check_repeats(node: Node, steps: Steps, named: Sequence[int | str], errors: list[str]) -> None:
    """A row or column named twice: it would be compared with itself."""
    for j, name in enumerate(named):
        if name in named[:j]:
            errors.append(f"{node.at([*steps, j]).mark}: {join_steps(steps)}: {name} is named twice")


def check_rows(node: Node, steps: Steps, named: int | list[int], rows: int, errors: list[str]) -> None:
    """Row numbers of a claim."""
    for j, number in enumerate(named if isinstance(named, list) else [named]):
        if number > rows:
            mark = node.at([*steps, j]).mark
            errors.append(f"{mark}: {join_steps(steps)}: no row {number}; allowed: 1 to {rows}")
