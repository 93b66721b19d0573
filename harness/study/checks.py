"""What the parts of a study say of each other: metrics, columns, rows and claims must exist."""

import re
from collections.abc import Mapping
from typing import Any

from harness.errors import hint
from harness.study.document import Node
from harness.study.schema import Steps, StudyPart, dotted, listed

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
CLAIMS: Mapping[str, frozenset[str]] = {  # what decides a claim's kind -> what it needs beside that
    "beats": frozenset({"row", "on"}),
    "stable_within": frozenset({"rows", "on"}),
    "below": frozenset({"row", "on", "by_share"}),
    "above": frozenset({"row", "on", "by_share"}),
    "highest_on": frozenset({"row"}),
    "lowest_on": frozenset({"row"}),
}
FREE = frozenset({"quote", "section", "also", "note"})


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
    """Claims that are of no kind, or speak of rows and columns that are not there."""
    for i, claim in enumerate(part.claims):
        said = claim.model_dump(exclude_unset=True, exclude_none=True)
        kinds = [kind for kind in CLAIMS if kind in said]
        where = node.at(["claims", i])
        if len(kinds) != 1:
            had = " and ".join(kinds) or "no kind"
            errors.append(f"{where.mark}: claims.{i + 1}: found {had}; allowed: one of {', '.join(CLAIMS)}")
            continue
        needed = CLAIMS[kinds[0]]
        errors.extend(
            f"{where.mark}: claims.{i + 1}: '{kinds[0]}' needs '{name}'" for name in sorted(needed - said.keys())
        )
        more = said.keys() - needed - FREE - {kinds[0]} - ({"by"} if kinds[0] == "beats" else set())
        errors.extend(
            f"{where.at([n]).key}: claims.{i + 1}: '{n}' means nothing beside '{kinds[0]}'" for n in sorted(more)
        )
        for key in ("on", "highest_on", "lowest_on"):
            for name in listed(said.get(key, [])):
                check_column(node, ("claims", i, key), name, part, errors)
        check_rows(node, i, said, rows, errors)


def check_rows(node: Node, i: int, said: Mapping[str, Any], rows: int, errors: list[str]) -> None:
    """Row numbers of a claim."""
    for key in ("row", "beats", "rows"):
        value = said.get(key, [])
        for j, number in enumerate(value if isinstance(value, list) else [value]):
            if number > rows:
                mark = node.at(["claims", i, key, j]).mark
                errors.append(f"{mark}: claims.{i + 1}.{key}: no row {number}; allowed: 1 to {rows}")
    if said.get("row") is not None and said.get("row") == said.get("beats"):
        errors.append(f"{node.at(['claims', i, 'beats']).mark}: claims.{i + 1}.beats: a row cannot beat itself")
