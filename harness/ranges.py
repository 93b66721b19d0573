"""What a setting may be: plain values checked by the types and ranges on dataclass fields, and both in words."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from math import inf
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import TypeAdapter, ValidationError

from harness.errors import hint, name_value

Steps = tuple[str | int, ...]
NUMBERS = (int, float)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Pydantic's validator of a type, for plain values as JSON has them: whole numbers may stand for floats."""
    return TypeAdapter(kind)


def validate(cls: Any, values: Mapping[str, Any]) -> tuple[Any, dict[Steps, Steps]]:
    """A dataclass with nested ``values`` in its fields, and what was refused and left at its default.

    Returned as field -> entry: the way to each refused field, and the way from there to its first wrong entry. Every
    name must be a field's.
    """
    wrong: dict[Steps, Steps] = {}
    for way in refuse(cls, values):
        depth = depth_of_field(cls, way)
        wrong.setdefault(way[:depth], way[depth:])
    return adapter(cls).validate_json(json.dumps(take_out(values, wrong)), strict=True), wrong


def refuse(kind: Any, value: Any) -> list[Steps]:
    """Ways to what a type does not allow in a plain value; empty where all is allowed."""
    try:
        adapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return [detail["loc"] for detail in error.errors(include_url=False, include_context=False)]
    return []


def depth_of_field(cls: Any, way: Steps) -> int:
    """How many steps of a way lead through dataclasses."""
    depth = 0
    while is_dataclass(cls):
        cls = get_type_hints(cls)[str(way[depth])]
        depth += 1
    return depth


def take_out(values: Mapping[str, Any], ways: Sequence[Steps] | Mapping[Steps, Any]) -> dict[str, Any]:
    """A nested mapping without what lies at the ends of these ways."""
    heads = {way[0] for way in ways if len(way) == 1}
    kept = {name: value for name, value in values.items() if name not in heads}
    for head in {str(way[0]) for way in ways if len(way) > 1}:
        kept[head] = take_out(kept[head], [way[1:] for way in ways if way[0] == head])
    return kept


def complain(kind: Any, value: Any) -> str:
    """'found VALUE; allowed: ...' for a message, with the nearest name where ``kind`` is a list of names."""
    had = "an empty list" if value == [] else name_value(value)
    if get_origin(kind) is Literal and isinstance(value, str):
        return f"found {had}; {hint(value, get_args(kind))}"
    return f"found {had}; allowed: {describe(kind)}"


def describe(kind: Any) -> str:
    """What a type allows, for people."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        most = next((f", {bound.max_length} at most" for bound in inner if isinstance(bound, MaxLen)), "")
        return describe_number(inner[0], inner[1:]) if inner[0] in NUMBERS else describe(inner[0]) + most
    if origin is Literal:
        return " or ".join(f"'{name}'" for name in inner)
    if origin in {Union, UnionType}:
        return " or ".join(map(describe, inner))
    if origin is tuple:
        size = "" if inner[-1] is ... else f" of {len(inner)}"
        return f"a list{size}, each entry {describe(inner[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a mapping of names, each {describe(inner[1])}"
    return {bool: "true or false", str: "text", int: "a whole number", float: "a number"}.get(kind, "any value")


def describe_number(kind: type, bounds: Sequence[Any]) -> str:
    """A number and its range: 'a number from 0 to 1', 'a whole number from 1 on', 'a number above 0 or .inf'."""
    words = ["a whole number" if kind is int else "a number"]
    ends = [bound for bound in bounds if isinstance(bound, Le | Lt)]
    for bound in bounds:
        if isinstance(bound, Ge):
            words.append(f"from {bound.ge:g}")
        elif isinstance(bound, Gt):
            words.append(f"above {bound.gt:g}")
        elif isinstance(bound, Le):
            words.append(f"to {bound.le:g}")
        elif isinstance(bound, Lt) and bound.lt != inf:
            words.append(f"below {bound.lt:g}")
    if isinstance(bounds[0], Ge) and len(words) == 2:
        words.append("on")
    if kind is float and not ends:
        words.append("or .inf")
    return " ".join(words)
