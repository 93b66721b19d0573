"""What the parts of a study file have in common: a mapping with known keys, counts, and names that may stand alone."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def wrap_name(value: Any) -> Any:
    """One name as a list of one."""
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(wrap_name, json_schema_input_type=str | list[str])]
Count = Annotated[int, Field(ge=1)]


class Part(BaseModel):
    """A mapping with these keys and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
