"""JSON Schema of study files, for editors; settings stand in it by dotted path with their comments.

``python -m harness.study.json_schema`` prints it.
"""

import inspect
import json
import re
from dataclasses import fields, is_dataclass
from typing import Any

from harness.ranges import adapter
from harness.settings import Settings
from harness.study.layers import list_leaves
from harness.study.schema import StudyPart
from model.options import OPTIONS
from model.settings import CaseSettings, CoLabel


def make_schema() -> dict[str, Any]:
    """The schema of a whole study file."""
    schema = StudyPart.model_json_schema()
    settings = {"type": "object", "properties": list_settings(), "additionalProperties": True}
    schema["properties"]["set"] = settings
    schema["properties"]["toggles"]["additionalProperties"] = settings
    schema["$defs"]["RowPart"]["properties"]["set"] = settings
    schema["$defs"]["ColumnPart"]["properties"]["scoring"] = settings
    return schema


def list_settings() -> dict[str, Any]:
    """Dotted path -> JSON Schema of that setting, for every baseline's options."""
    groups = [getattr(Settings(), field.name) for field in fields(Settings)]
    classes: list[Any] = [CaseSettings, CoLabel, *OPTIONS.values(), *(type(group) for group in groups)]
    notes = {name: text for cls in classes if is_dataclass(cls) for name, text in read_comments(cls).items()}
    known = {path: leaf for name in reversed(list(OPTIONS)) for path, leaf in list_leaves(name).items()}
    out = {}
    for path, leaf in known.items():
        out[path] = adapter(leaf.kind).json_schema() | {"description": notes.get(path.rpartition(".")[2], "")}
    out["case.baseline"]["enum"] = list(OPTIONS)
    return out


def read_comments(cls: Any) -> dict[str, str]:
    """The comment behind each field in the source of a dataclass."""
    pattern = re.compile(r"^    (\w+): .*?  # (.*)$", re.MULTILINE)
    parents: list[Any] = [c for c in reversed(cls.__mro__) if is_dataclass(c)]
    return {name: text for c in parents for name, text in pattern.findall(inspect.getsource(c))}


if __name__ == "__main__":
    print(json.dumps(make_schema(), indent=1))
