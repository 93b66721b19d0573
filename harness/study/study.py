"""A study as it is handed on: rows, columns, runs and seeds as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.settings import Settings
from harness.study.claims import AnyClaim, Level
from harness.study.keys import keys
from harness.study.metrics import CURVE, is_evaluated

Scored = Mapping[tuple[str, ...], Settings]  # columns -> the settings that score them


@dataclass(frozen=True)
class Column:
    """A metric read under the row's scoring settings or under ``scoring``; of the last or the best checkpoint."""

    name: str
    metric: str
    scoring: Mapping[str, Any] = field(default_factory=dict)
    selection: str = "last"


@dataclass(frozen=True)
class Row:
    """A line of the table; ``number`` counts from 1, ``reference`` is the row that differences refer to."""

    label: str
    settings: Settings
    paper: Mapping[str, float | None]
    on: tuple[str, ...]
    number: int
    note: str = ""
    reference: int = 1
    fingerprint: str = ""  # of the row's data
    base: str = ""  # preset that it starts from: its own, or the study's
    paper_std: Mapping[str, float] = field(default_factory=dict)  # of the printed numbers


@dataclass(frozen=True)
class Run:
    """A row under a seed and one scoring; ``columns`` are the names of the cells it fills.

    ``watched``: something reads its metrics over the steps of training, not only at the end.
    """

    study: str
    row: int
    seed: int
    settings: Settings
    training_key: str
    scoring_key: str
    columns: tuple[str, ...]
    watched: bool = False


@dataclass(frozen=True)
class Seeds:
    """Seeds are added to rows of undecided claims up to ``at_most``."""

    at_least: int
    at_most: int


@dataclass(frozen=True)
class Study:
    """A study file, expanded. ``missing`` says why its data set is not here (then it has no runs).

    ``name``, ``base_name`` and ``data_name`` are told apart from others of that name (``harness.study.names``).
    """

    name: str
    title: str
    path: Path
    base: str
    data: str
    seeds: int
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    claims: tuple[AnyClaim, ...]
    figures: tuple[str, ...]
    toggles: tuple[str, ...]
    reference: int
    reported: tuple[Mapping[str, Any], ...]
    quick: bool
    runs: list[Run]
    notes: str = ""
    until: Seeds | None = None  # sequential: how many seeds at most
    missing: str = ""
    sets: tuple[str, ...] = ()  # --set, as given
    exact: bool = False  # --seeds was given: so many seeds, no more
    data_asked: str | None = None  # the data set or folder by the name that asked for it, if any
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # {tune: [...]} by path
    search: Mapping[str, Any] = field(default_factory=dict)  # objective, search and constraints of a search study
    scored: tuple[Scored, ...] = ()  # per row
    base_name: str = ""  # of the preset; with a digest where it is a file given by path
    data_name: str = ""  # of the data set, likewise


def with_seeds(study: Study, counts: Mapping[int, int]) -> Study:
    """The study with seeds 0 .. n-1 for row number -> n, ``study.seeds`` for rows not named."""
    runs = []
    watched = find_watched(study)
    for row, scored in zip(study.rows, study.scored):
        for seed in range(0 if study.missing else counts.get(row.number, study.seeds)):
            for columns, settings in scored.items():
                training, scoring = keys(settings, seed, row.fingerprint)
                reads_curve = not watched.isdisjoint(columns)
                runs.append(Run(study.name, row.number, seed, settings, training, scoring, columns, reads_curve))
    return replace(study, runs=runs)


def find_watched(study: Study) -> frozenset[str]:
    """Columns of which evaluations during training are read: the best of them, their curve, or a claim on that.

    A figure of the study's own code may read anything. Losses and monitors are there for each step in any case.
    """
    if any(":" in figure for figure in study.figures):
        return frozenset(column.name for column in study.columns)
    levels = {claim.on for claim in study.claims if isinstance(claim, Level)}
    out = set()
    for column in study.columns:
        over_steps = column.metric.startswith(CURVE) or column.name in levels
        if column.selection == "best" or (over_steps and is_evaluated(column.metric.removeprefix(CURVE))):
            out.add(column.name)
    return frozenset(out)
