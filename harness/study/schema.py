"""What may stand in a study file beside settings: its keys, rows, columns and claims, checked by pydantic.

Every mistake becomes one line with its place; the file is then read on without it, so that all mistakes show at once.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.errors import found, hint
from harness.study.document import Node

Steps = tuple[str | int, ...]


def listed(value: Any) -> Any:
    """One name as a list of one."""
    return [value] if isinstance(value, str) else value


def metric(value: Any) -> Any:
    """A metric's name as the column it makes."""
    return {"metric": value} if isinstance(value, str) else value


def counted(value: Any) -> Any:
    """A number of seeds as the plan that stays at it."""
    return {"at_least": value} if type(value) is int else value


Names = Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])]
Paper = dict[str, float | None]
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A mapping with these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Seeds(Part):
    """Seeds 0 .. at_least-1; where claims stay undecided, up to at_most."""

    at_least: Count
    at_most: Count = 1
    until: Literal["decided"] = "decided"


class RowPart(Part):
    """A row: what is on, what it sets, and the printed numbers."""

    on: list[str] | None = None
    set: dict[str, Any] = {}
    base: str | None = None
    label: str = ""
    paper: Paper = {}
    note: str = ""
    reference: Count | None = None


class ColumnPart(Part):
    """A column: a metric, under the row's scoring or another one, of the last or the best checkpoint."""

    metric: str
    scoring: dict[str, Any] = {}
    selection: Literal["last", "best"] = "last"


class ClaimPart(Part):
    """A sentence of the paper, and what it says about rows and columns."""

    quote: str
    section: str
    row: Count | None = None
    beats: Count | None = None
    by: float | None = None
    rows: Annotated[list[Count], Field(min_length=2)] | None = None
    stable_within: Annotated[float, Field(gt=0)] | None = None
    on: str | None = None
    below: float | None = None
    above: float | None = None
    by_share: Annotated[float, Field(ge=0, le=1)] | None = None
    highest_on: Names | None = None
    lowest_on: Names | None = None
    also: str = ""
    note: str = ""


class ReportedPart(Part):
    """A row of another method, as printed; it is never run."""

    label: str
    venue: str = ""
    group: str = ""
    paper: Paper = {}
    note: str = ""


Measured = Annotated[ColumnPart, BeforeValidator(metric, json_schema_input_type=str | ColumnPart)]


class StudyPart(Part):
    """A study file."""

    title: str = ""
    base: str = "paper"
    data: str | None = None
    seeds: Annotated[Seeds, BeforeValidator(counted, json_schema_input_type=int | Seeds)] = Seeds(at_least=5)
    set: dict[str, Any] = {}
    toggles: dict[str, dict[str, Any]] = {}
    rows: list[RowPart] = []
    sweep: dict[str, Any] = {}
    columns: Annotated[dict[str, Measured], Field(min_length=1)] = {
        "mAP": ColumnPart(metric="map/avg"),
        "ACC": ColumnPart(metric="acc"),
    }
    claims: list[ClaimPart] = []
    figures: list[str] = []
    reference: Count = 1
    reported: list[ReportedPart] = []
    notes: str = ""
    objective: Any = None  # of a search study
    search: dict[str, Any] = {}  # trials, sampler, ... of a search study
    constraints: list[str] = []  # of a search study


PARTS: Mapping[str, type[Part]] = {
    "seeds": Seeds,
    "rows": RowPart,
    "columns": ColumnPart,
    "claims": ClaimPart,
    "reported": ReportedPart,
}


SOUND: Mapping[str, Any] = {  # what passes every check
    "rows": {"on": []},
    "toggles": {},
    "columns": "map/avg",
    "claims": {"quote": "", "section": "", "row": 1, "highest_on": []},
    "reported": {"label": ""},
}


def study_part(node: Node, errors: list[str]) -> StudyPart:
    """The study in ``node``; mistakes are added to ``errors`` and left out of what comes back."""
    if not isinstance(node.value, dict):
        errors.append(
            f"{node.mark}: found {found(node.value)}; allowed: a mapping with {', '.join(StudyPart.model_fields)}"
        )
        return StudyPart()
    try:
        return StudyPart.model_validate(node.plain())
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        errors.extend(message(node, detail) for detail in details)
        sound = node.plain()
        for detail in details:
            take_out(sound, detail["loc"])
        return StudyPart.model_validate(sound)


def dotted(steps: Steps) -> str:
    """A path for people: rows and claims count from 1."""
    return ".".join(str(step + 1) if isinstance(step, int) else step for step in steps)


def message(node: Node, detail: Mapping[str, Any]) -> str:
    """One of pydantic's findings with its place, in words."""
    steps: Steps = detail["loc"]
    path, where = dotted(steps), node.at(steps)
    if detail["type"] == "extra_forbidden":
        part = StudyPart if len(steps) == 1 else PARTS[str(steps[0])]
        return f"{where.key}: {path}: unknown key; {hint(str(steps[-1]), part.model_fields)}"
    if detail["type"] == "missing":
        return f"{where.mark}: {path}: missing"
    if detail["type"] == "literal_error" and isinstance(where.value, str):
        part = PARTS[str(steps[0])]
        choices = part.model_fields[str(steps[-1])].annotation.__args__  # type: ignore[union-attr]
        return f"{where.mark}: {path}: found {found(where.value)}; {hint(where.value, choices)}"
    return f"{where.mark}: {path}: found {found(where.value)}; allowed: {allowed(detail)}"


def allowed(detail: Mapping[str, Any]) -> str:
    """What a finding's type says is allowed."""
    kinds = {"string_type": "text (in quotes)", "int_type": "a whole number", "float_type": "a number"}
    kinds |= {"dict_type": "a mapping", "list_type": "a list", "model_type": "a mapping", "none_required": "nothing"}
    kinds |= {"finite_number": "a finite number"}
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
