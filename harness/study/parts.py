"""What the parts of a study file have in common: mappings with known keys, counts, lone names, rows."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from harness.errors import hint, quote

UNKNOWN_ROW = "unknown_row"  # pydantic's name of the mistake


def wrap_name(value: Any) -> Any:
    """One name as a list of one."""
    return [value] if isinstance(value, str) else value


def find_number(value: Any, info: ValidationInfo) -> Any:
    """A row's label as its number; ``info.context`` is a function that gives the labels of all rows in order."""
    if not isinstance(value, str) or info.context is None:
        return value
    labels = info.context()
    numbers = [number for number, label in enumerate(labels, 1) if label == value]
    if len(numbers) == 1:
        return numbers[0]
    text = f"no row {quote(value)}; {hint(value, dict.fromkeys(labels))}"
    if numbers:
        text = f"rows {', '.join(map(str, numbers))} are called {quote(value)}; allowed: one row's number"
    raise PydanticCustomError(UNKNOWN_ROW, "{text}", {"text": text})


Names = Annotated[list[str], BeforeValidator(wrap_name, json_schema_input_type=str | list[str])]
Count = Annotated[int, Field(ge=1)]
RowNumber = Annotated[Count, BeforeValidator(find_number, json_schema_input_type=Count | str)]


class Part(BaseModel):
    """A mapping with these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
