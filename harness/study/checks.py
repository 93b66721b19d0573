"""What the parts of a study say of each other: metrics, columns, rows and claims must exist."""

import re

from harness.errors import hint
from harness.study.claims import Beats
from harness.study.document import Node
from harness.study.parts import listed
from harness.study.schema import Steps, StudyPart, dotted

METRICS = (  # names that harness/compute/score.py writes; beside them map/0.50, map/0.1:0.5 and curve/NAME
    *("map/avg", "map/0.1:0.5", "map/0.3:0.7", "map/0.1:0.7", "map/0.5:0.95", "video_map"),
    *(
        "acc",
        "acc/attention",
        "acc/clusters",
        "acc/fused",
        "acc/majority",
        "auc/attention",
        "auc/clusters",
        "auc/fused",
    ),
    *("entropy/P_C", "entropy/mean_P_C", "entropy/Q_C", "entropy/Q_R"),
)
PATTERN = re.compile(r"map/0\.\d\d|map/0\.\d+:0\.\d+|curve/.+")


def check_columns(node: Node, part: StudyPart, errors: list[str]) -> None:
    """Metrics that nothing measures, published numbers for columns that are not there, seeds that go backwards."""
    if "at_most" in part.seeds.model_fields_set and part.seeds.at_most < part.seeds.at_least:
        mark = node.at(["seeds", "at_most"]).mark
        errors.append(f"{mark}: seeds.at_most: found {part.seeds.at_most}; allowed: from {part.seeds.at_least} on")
    for name, column in part.columns.items():
        if column.metric not in METRICS and not PATTERN.fullmatch(column.metric):
            mark = node.at(["columns", name, "metric"]).mark
            more = "map/0.50, map/0.3:0.7, curve/NAME"
            errors.append(
                f"{mark}: columns.{name}: unknown metric '{column.metric}'; {hint(column.metric, METRICS)}, {more}"
            )
    for head in ("rows", "reported"):
        for i, row in enumerate(getattr(part, head)):
            for name in row.paper:
                check_column(node, (head, i, "paper", name), name, part, errors)


def check_column(node: Node, steps: Steps, name: str, part: StudyPart, errors: list[str]) -> None:
    if name not in part.columns:
        where = node.at(steps)
        mark = where.key if steps[-1] == name else where.mark
        errors.append(f"{mark}: {dotted(steps)}: unknown column '{name}'; {hint(name, part.columns)}")


def check_claims(node: Node, part: StudyPart, rows: int, errors: list[str]) -> None:
    """Claims that speak of rows and columns that are not there."""
    for i, claim in enumerate(part.claims):
        for key in ("on", "highest_on", "lowest_on"):
            for name in listed(getattr(claim, key, None)) or []:
                check_column(node, ("claims", i, key), name, part, errors)
        for key in ("row", "beats", "rows"):
            check_rows(node, ("claims", i, key), getattr(claim, key, []), rows, errors)
        if isinstance(claim, Beats) and claim.row == claim.beats:
            errors.append(f"{node.at(['claims', i, 'beats']).mark}: claims.{i + 1}.beats: a row cannot beat itself")


def check_rows(node: Node, steps: Steps, named: int | list[int], rows: int, errors: list[str]) -> None:
    """Row numbers of a claim."""
    for j, number in enumerate(named if isinstance(named, list) else [named]):
        if number > rows:
            mark = node.at([*steps, j]).mark
            errors.append(f"{mark}: {dotted(steps)}: no row {number}; allowed: 1 to {rows}")
