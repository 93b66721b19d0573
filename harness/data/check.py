"""What is wrong with a data set, all of it at once, and the nearest allowed name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any, TypeVar, get_type_hints

from harness.errors import DataError, unknown, unsafe

Constants = TypeVar("Constants")


def check_streams(streams: Sequence[str], allowed: Iterable[str] | None = None) -> list[str]:
    """What is wrong with ``source.streams``; ``allowed`` None accepts any plain folder name."""
    names = None if allowed is None else list(allowed)
    errors = [] if streams else ["source.streams: empty; at least one stream is needed"]
    for stream in sorted(set(streams)):
        if list(streams).count(stream) > 1:
            errors.append(f"source.streams: '{stream}' is named twice")
        if names is not None and stream not in names:
            errors.append(f"source.streams: {unknown('stream', stream, names)}")
        if names is None and (trouble := unsafe(stream)):
            errors.append(f"source.streams: '{stream}' {trouble}")
    return errors


@dataclass(frozen=True)
class Limits:
    """Closed range of the values a constant may be replaced by."""

    low: float = 0.0
    high: float = inf


def fitted(base: Constants, values: Mapping[str, Any]) -> Constants:
    """The dataclass ``base`` with ``values`` in place of its own (``source.knobs``).

    Each field is ``Annotated`` with its Limits. A number given for a pair stands for both of its entries. DataError
    lists every wrong name and value.
    """
    known, errors, new = get_type_hints(type(base), include_extras=True), [], {}
    for name, value in values.items():
        if name not in known:
            errors.append(f"source.knobs.{name}: {unknown('knob', name, known)}")
            continue
        like = getattr(base, name)
        new[name] = coerced(value, like)
        if trouble := refusal(new[name], like, known[name].__metadata__[0]):
            errors.append(f"source.knobs.{name}: {value!r} {trouble}")
    if errors:
        raise DataError(errors)
    return replace(base, **new)  # type: ignore[type-var]  # any dataclass instance


def coerced(value: Any, like: Any) -> Any:
    """``value`` in the form of the constant it replaces: lists to pairs, whole numbers to floats."""
    if isinstance(like, tuple):
        items = list(value) if isinstance(value, list | tuple) else [value] * len(like)
        return tuple(coerced(item, 0.0) for item in items)
    return float(value) if isinstance(like, float) and type(value) is int else value


def refusal(value: Any, like: Any, limits: Limits) -> str:
    """Why ``value`` cannot stand for the constant ``like``; empty when it can."""
    items, models = (value, like) if isinstance(like, tuple) else ((value,), (like,))
    if len(items) != len(models):
        return f"is not one number or {len(models)} numbers"
    kind = type(models[0])
    if any(type(item) is not kind or not isfinite(item) for item in items):
        return "is not a whole number" if kind is int else "is not a finite number"
    inside = all(limits.low <= item <= limits.high for item in items)
    return "" if inside else f"is outside {limits.low:g} .. {limits.high:g}"
