"""What settings must agree on with each other, beside the range that each has on its own field."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, get_type_hints

from harness.errors import hint, report_unknown
from harness.settings import Settings
from model.options import PADDED
from model.ranges import DIVIDES, ODD

Clash = tuple[tuple[str, ...], str]  # paths, the one to change first; what is wrong
SOURCES = ("synthetic", "folder")


def find_clashes(settings: Settings, sequences: Mapping[str, Any]) -> Iterator[Clash]:
    """Settings that contradict each other; ``sequences`` are those that the baseline's inference rule thresholds."""
    yield from check_clusters(settings)
    yield from check_options(settings)
    yield from check_sequences(settings, sequences)
    if settings.training.sampling == "window" and settings.case.baseline not in PADDED:
        message = f"'window' pads short videos, and {settings.case.baseline} knows no padding; allowed: "
        yield ("training.sampling", "case.baseline"), message + "'bins' or 'draws', or one of " + ", ".join(PADDED)
    tiou = settings.metrics.tiou
    if list(tiou) != sorted(set(tiou)):
        yield ("metrics.tiou",), "allowed: increasing numbers"
    if settings.source.name not in SOURCES:
        yield ("source.name",), report_unknown("data source", settings.source.name, SOURCES)


def check_clusters(settings: Settings) -> Iterator[Clash]:
    """K^C is 0 or 2 on, and CAT needs a head."""
    clusters, cat = settings.case.clusters, settings.case.cat
    if clusters == 1:
        yield ("case.clusters",), "found 1; a single cluster separates nothing; allowed: 0 (no head) or 2 on"
    if clusters == 0 and cat > 0:
        message = f"case.clusters is 0 (no clustering head) and case.cat is {cat:g}; without a head allowed: case.cat 0"
        yield ("case.clusters", "case.cat"), message


def check_options(settings: Settings) -> Iterator[Clash]:
    """Options that divide T, and kernels that keep it."""
    options, T = settings.case.options, settings.training.snippets
    kinds = get_type_hints(type(options), include_extras=True)
    for field in fields(options):
        path, value = f"case.options.{field.name}", getattr(options, field.name)
        rules = getattr(kinds[field.name], "__metadata__", ())
        if DIVIDES in rules and value > T:
            message = (
                f"{path} is {value} and training.snippets {T}: T // {field.name} selects nothing; allowed: up to {T}"
            )
            yield (path, "training.snippets"), message
        if ODD in rules and value % 2 == 0:
            yield (path,), f"found {value}; allowed: an odd number, so that time keeps its length"


def check_sequences(settings: Settings, sequences: Mapping[str, Any]) -> Iterator[Clash]:
    """Thresholds for each sequence of the baseline's inference rule, and for no other."""
    paths, given = ("localization.thresholds", "case.baseline"), settings.localization.thresholds
    for name in given:
        if name not in sequences:
            yield paths, f"unknown sequence '{name}'; {hint(name, sequences)}"
    for name in sequences:
        if name not in given:
            yield paths, f"no thresholds for '{name}' of '{settings.case.baseline}'"
