"""JSON Schema of study files, for editors; settings stand in it by dotted path with their comments.

``python -m harness.study.json_schema`` prints it.
"""

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from harness.ranges import adapter
from harness.settings import Settings
from harness.study.layers import list_leaves
from harness.study.schema import StudyPart
from model.options import OPTIONS
from model.settings import CoLabel


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
    """Dotted path -> JSON Schema of that setting; of an option that several baselines have, what any of them takes."""
    found: dict[str, dict[str, dict[str, Any]]] = {}  # path -> baseline -> schema
    for baseline in OPTIONS:
        comments = list_comments(baseline)
        for path, leaf in list_leaves(baseline).items():
            schema = adapter(leaf.kind).json_schema() | {"description": comments.get(path, "")}
            found.setdefault(path, {})[baseline] = schema
    out = {path: join_schemas(by_baseline) for path, by_baseline in found.items()}
    out["case.baseline"]["enum"] = list(OPTIONS)
    return out


def join_schemas(by_baseline: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """One schema for all baselines; where they say different things of a setting, each with its names."""
    said: dict[str, list[str]] = {}
    shapes: list[dict[str, Any]] = []
    for baseline, schema in by_baseline.items():
        said.setdefault(schema["description"], []).append(baseline)
        shape = {key: value for key, value in schema.items() if key != "description"}
        if shape not in shapes:
            shapes.append(shape)
    texts = [f"{', '.join(names)}: {text}" for text, names in said.items()]
    description = next(iter(said)) if len(said) == 1 else "; ".join(texts)
    whole = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    return {**whole, "description": description}


def list_comments(baseline: str) -> dict[str, str]:
    """Dotted path -> the comment on that setting, with the options of a baseline."""
    settings = Settings()
    parts: dict[str, Any] = {field.name: type(getattr(settings, field.name)) for field in fields(Settings)}
    parts |= {"case.co_label": CoLabel, "case.options": OPTIONS[baseline]}
    out: dict[str, str] = {}
    for prefix, cls in parts.items():
        out |= {f"{prefix}.{name}": text for name, text in read_comments(cls).items()}
    return out


def read_comments(cls: Any) -> dict[str, str]:
    """The comment behind each field in the source of a dataclass, and of those that it extends."""
    pattern = re.compile(r"^    (\w+): .*?  # (.*)$", re.MULTILINE)
    parents: list[Any] = [parent for parent in reversed(cls.__mro__) if is_dataclass(parent)]
    out: dict[str, str] = {}
    for parent in parents:
        out |= dict(pattern.findall(inspect.getsource(parent)))
    return out


if __name__ == "__main__":
    print(json.dumps(make_schema(), indent=1))
