"""What is wrong with a data set, all of it at once, and the nearest allowed name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, get_type_hints

from harness.errors import DataError, explain_unsafe, report_unknown
from harness.ranges import complain, validate

Constants = TypeVar("Constants")


def check_streams(streams: Sequence[str], allowed: Iterable[str] | None = None) -> list[str]:
    """What is wrong with ``source.streams``; ``allowed`` None accepts any plain folder name."""
    names = None if allowed is None else list(allowed)
    errors = [] if streams else ["source.streams: empty; at least one stream is needed"]
    for stream in sorted(set(streams)):
        if list(streams).count(stream) > 1:
            errors.append(f"source.streams: '{stream}' is named twice")
        if names is not None and stream not in names:
            errors.append(f"source.streams: {report_unknown('stream', stream, names)}")
        if names is None and (trouble := explain_unsafe(stream)):
            errors.append(f"source.streams: '{stream}' {trouble}")
    return errors


def replace_constants(base: Constants, values: Mapping[str, Any]) -> Constants:
    """The dataclass ``base`` with ``values`` (``source.knobs``) in place of its own constants.

    A number given for a pair stands for both of its entries. DataError lists every wrong name and value.
    """
    own = asdict(base)  # type: ignore[call-overload]  # any dataclass instance
    errors = [f"source.knobs.{name}: {report_unknown('knob', name, own)}" for name in values if name not in own]
    new = {name: spread(value, own[name]) for name, value in values.items() if name in own}
    made: Constants
    made, wrong = validate(type(base), own | new)
    kinds = get_type_hints(type(base), include_extras=True)
    errors += [f"source.knobs.{name}: {complain(kinds[str(name)], values[str(name)])}" for name, *_ in wrong]
    if errors:
        raise DataError(errors)
    return made


def spread(value: Any, own: Any) -> Any:
    """One number for a pair as a pair."""
    return [value] * len(own) if isinstance(own, tuple) and not isinstance(value, list | tuple) else value
