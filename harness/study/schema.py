"""What may stand in a study file beside settings: its keys, rows, columns and claims, checked by pydantic.

Every mistake becomes one line with its place; the file is then read on without it, so that all mistakes show at once.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from harness.errors import hint, name_value
from harness.study.claims import KINDS, NAMED, AnyClaim, kinds_in
from harness.study.document import Node
from harness.study.parts import UNKNOWN_ROW, Count, Part, RowNumber

Steps = tuple[str | int, ...]


def wrap_metric(value: Any) -> Any:
    """A metric's name as the column it makes."""
    return {"metric": value} if isinstance(value, str) else value


def wrap_seeds(value: Any) -> Any:
    """A number of seeds as the plan that stays at it."""
    return {"at_least": value} if type(value) is int else value


Paper = dict[str, float | None]


class Seeds(Part):
    """Seeds 0 .. at_least-1; where claims stay undecided, up to at_most."""

    at_least: Count
    at_most: Count = 1
    until: Literal["decided"] = "decided"


class RowPart(Part):
    """A row: what is on, what it sets, and the printed numbers, with standard deviations where they are printed."""

    on: list[str] | None = None
    set: dict[str, Any] = {}
    base: str | None = None
    label: str = ""
    paper: Paper = {}
    paper_std: dict[str, float] = {}
    note: str = ""
    reference: RowNumber | None = None


class ColumnPart(Part):
    """A column: a metric, under the row's scoring or another one, of the last or the best checkpoint."""

    metric: str
    scoring: dict[str, Any] = {}
    selection: Literal["last", "best"] = "last"


class ReportedPart(Part):
    """A row of another method, as printed; it is never run."""

    label: str
    venue: str = ""
    group: str = ""
    paper: Paper = {}
    note: str = ""


Measured = Annotated[ColumnPart, BeforeValidator(wrap_metric, json_schema_input_type=str | ColumnPart)]


class StudyPart(Part):
    """A study file."""

    title: str = ""
    base: str = "paper"
    data: Annotated[str, Field(min_length=1)] | None = None
    seeds: Annotated[Seeds, BeforeValidator(wrap_seeds, json_schema_input_type=int | Seeds)] = Seeds(at_least=5)
    set: dict[str, Any] = {}
    toggles: dict[str, dict[str, Any]] = {}
    rows: list[RowPart] = []
    sweep: dict[str, Any] = {}
    columns: Annotated[dict[str, Measured], Field(min_length=1)] = {
        "mAP": ColumnPart(metric="map/avg"),
        "ACC": ColumnPart(metric="acc"),
        "AUC": ColumnPart(metric="auc"),
    }
    claims: list[AnyClaim] = []
    figures: list[str] = []
    reference: RowNumber = 1
    reported: list[ReportedPart] = []
    notes: str = ""
    like: str | None = None  # a study of studies/ that fills in what is not said here
    objective: Any = None  # of a search study
    search: dict[str, Any] = {}  # trials, sampler, ... of a search study
    constraints: list[str] = []  # of a search study


PARTS: Mapping[str, type[Part]] = {
    "seeds": Seeds,
    "rows": RowPart,
    "columns": ColumnPart,
    "reported": ReportedPart,
}


SOUND: Mapping[str, Any] = {  # what passes every check
    "rows": {"on": []},
    "toggles": {},
    "columns": "map/avg",
    "claims": {"quote": "", "section": "", "row": 1, "highest_on": []},
    "reported": {"label": ""},
}


def read_study_part(node: Node, errors: list[str], name_rows: Callable[[], Sequence[str]] = tuple) -> StudyPart:
    """The study in ``node``; mistakes are added to ``errors`` and left out of what comes back.

    ``name_rows`` gives the labels of all rows; it is called where a claim or a reference names a row by its label.
    """
    if not isinstance(node.value, dict):
        errors.append(
            f"{node.mark}: found {name_value(node.value)}; allowed: a mapping with {', '.join(StudyPart.model_fields)}"
        )
        return StudyPart()
    try:
        return StudyPart.model_validate(node.plain(), context=name_rows)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        errors.extend(explain(node, detail) for detail in details)
        sound = node.plain()
        for detail in details:
            take_out(sound, untag(detail["loc"]))
        return StudyPart.model_validate(sound, context=name_rows)


def join_steps(steps: Steps) -> str:
    """A path for people: rows and claims count from 1."""
    return ".".join(str(step + 1) if isinstance(step, int) else step for step in steps)


def untag(steps: Steps) -> Steps:
    """Where a finding is in the file: pydantic puts a claim's class between its number and its keys."""
    return steps[:2] + steps[3:] if steps[0] == "claims" else steps


def find_part(steps: Steps) -> type[Part]:
    """What stands at a finding that names a key."""
    if steps[0] == "claims":
        return NAMED[str(steps[2])]
    return StudyPart if len(steps) == 1 else PARTS[str(steps[0])]


def explain(node: Node, detail: Mapping[str, Any]) -> str:
    """One of pydantic's findings with its place, in words."""
    steps = untag(detail["loc"])
    path, where = join_steps(steps), node.at(steps)
    if detail["type"] == "union_tag_not_found" and isinstance(where.value, dict):
        had = " and ".join(kinds_in(where.plain())) or "no kind"
        return f"{where.mark}: {path}: found {had}; allowed: one of {', '.join(KINDS)}"
    if detail["type"] == "extra_forbidden":
        part = find_part(detail["loc"])
        return f"{where.key}: {path}: unknown key; {hint(str(steps[-1]), part.model_fields)}"
    if detail["type"] == UNKNOWN_ROW:
        return f"{where.mark}: {path}: {detail['msg']}"
    if detail["type"] == "missing":
        return f"{where.mark}: {path}: missing"
    if detail["type"] == "literal_error" and isinstance(where.value, str):
        part = PARTS[str(steps[0])]
        choices = part.model_fields[str(steps[-1])].annotation.__args__  # type: ignore[union-attr]
        return f"{where.mark}: {path}: found {name_value(where.value)}; {hint(where.value, choices)}"
    return f"{where.mark}: {path}: found {name_value(where.value)}; allowed: {describe_allowed(detail)}"


def describe_allowed(detail: Mapping[str, Any]) -> str:
    """What a finding's type says is allowed."""
    kinds = {"string_type": "text (in quotes)", "int_type": "a whole number", "float_type": "a number"}
    kinds |= {"dict_type": "a mapping", "list_type": "a list", "model_type": "a mapping", "none_required": "nothing"}
    kinds |= {"string_too_short": "a name", "finite_number": "a finite number", "union_tag_not_found": "a mapping"}
    if detail["type"] == "model_type" and detail["loc"][0] in {"seeds", "columns"}:
        return "a whole number or a mapping" if detail["loc"][0] == "seeds" else "a metric's name or a mapping"
    text = str(detail["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return kinds.get(detail["type"], text[:1].lower() + text[1:])


def take_out(plain: dict[str, Any], steps: Steps) -> None:
    """Put something sound where a finding is, so that rows and claims keep their numbers and columns their names."""
    head = str(steps[0])
    if len(steps) == 1 or head not in SOUND:
        plain.pop(head, None)
    elif head == "rows" and len(steps) > 2:
        plain[head][steps[1]].pop(steps[2], None)
    else:
        plain[head][steps[1]] = deepcopy(SOUND[head])
