"""What addresses a result: settings as a flat mapping, and the two keys made from it.

The training key covers all that determines the weights; the scoring key adds what only the reading of stored scores
depends on (``cat``, ``omega_test``, localisation, metrics). Rows that differ only in scoring train once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import inf
from typing import Any

from harness.settings import Settings


def plain(value: Any) -> Any:
    """A setting as JSON has it: infinity as text, tuples as lists, whole floats alike however written."""
    if isinstance(value, float) and abs(value) == inf:
        return "inf" if value > 0 else "-inf"
    if isinstance(value, float):
        return value + 0.0
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in sorted(value.items())}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def flat(settings: Settings) -> dict[str, Any]:
    """Dotted path -> scalar or text; lists and mappings are JSON text, infinity is "inf"."""

    def leaves(part: Any, prefix: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for field in fields(part):
            value, path = getattr(part, field.name), prefix + field.name
            if is_dataclass(value):
                out |= leaves(value, f"{path}.")
            else:
                out[path] = json.dumps(plain(value)) if isinstance(value, tuple | list | Mapping) else plain(value)
        return out

    return leaves(settings, "")


def list_scoring_fields(cls: Any) -> frozenset[str]:
    return frozenset(field.name for field in fields(cls) if field.metadata.get("scoring"))


def list_scoring_paths(settings: Settings) -> frozenset[str]:
    """Paths of the settings that change only how stored scores are read, outside localisation and metrics."""
    options = {f"case.options.{name}" for name in list_scoring_fields(type(settings.case.options))}
    return frozenset(options | {f"case.{name}" for name in list_scoring_fields(type(settings.case))})


def digest(content: Any) -> str:
    """16 hex digits over a JSON value."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keys(settings: Settings, seed: int, fingerprint: str) -> tuple[str, str]:
    """Training key and scoring key of one run; the data enter by their fingerprint, never by their path."""
    values, scoring = flat(settings), list_scoring_paths(settings)
    training = {p: v for p, v in values.items() if p.startswith(("case.", "training.")) and p not in scoring}
    training["case.clustered"] = settings.case.clustered  # cat 0 may leave nobody to read clusters: none are labelled
    first = digest({"settings": training, "seed": seed, "data": fingerprint})
    rest = {p: v for p, v in values.items() if p.startswith(("localization.", "metrics.")) or p in scoring}
    return first, digest({"training": first, "settings": rest})
