"""A study: one YAML file, one table. ``load`` checks everything at once and expands it to rows and runs.

Layers, the last one on top: base preset, data set, tiny scale (``--quick``), the study's ``set``, the row, ``--set``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, hint
from harness.settings import Settings
from harness.study.building import build
from harness.study.checks import check_claims, check_columns
from harness.study.claims import AnyClaim
from harness.study.document import Mark, Node, read
from harness.study.keys import flat, keys
from harness.study.layers import fold
from harness.study.presets import DATA, STUDIES, Below, data_layers, known, preset
from harness.study.rows import Draft, drafts, numbered
from harness.study.schema import StudyPart, study_part
from harness.study.stack import Asked, Column, columns_of, command_line, fingerprints, own_layer, stacks
from harness.study.tune import read_space

__all__ = ["Column", "Row", "Run", "Seeds", "Study", "flat", "known", "load", "preset", "with_seeds"]
QUICK_SEEDS = 2  # under --quick, which judges nothing
Scored = Mapping[tuple[str, ...], Settings]  # columns -> the settings that score them


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
    base: str = ""  # the preset that the row starts from


@dataclass(frozen=True)
class Run:
    """A row under a seed and one scoring; ``columns`` are the names of the cells it fills."""

    study: str
    row: int
    seed: int
    settings: Settings
    training_key: str
    scoring_key: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Seeds:
    """Seeds are added to rows of undecided claims up to ``at_most``."""

    at_least: int
    at_most: int


@dataclass(frozen=True)
class Study:
    """A study file, expanded. ``missing`` says why its data set is not here (then it has no runs)."""

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


def load(
    path: Path | str,
    *,
    base: str | None = None,
    data: str | None = None,
    quick: bool = False,
    seeds: int | None = None,
    sets: Sequence[str] = (),
    root: Path = Path("mlruns"),
) -> Study:
    """The study in a file (or of that name in ``studies/``), validated and expanded.

    ConfigError lists everything that is wrong, each line with file:line:column. Nothing is written.
    """
    file, errors = located(Path(path)), list[str]()
    node = read(file)
    part = study_part(node, errors)
    line = command_line(sets, errors)
    asked = Asked(base or part.base, given("base", base, node), file.parent, root)
    below = data_layers(data or part.data or DATA, given("data", data, node), quick, errors, root, data is not None)
    own = own_layer(node, part, errors)
    rows = drafts(node, part, errors)
    piles = stacks(rows, asked, [*below.layers, own], line, errors)
    states = [fold(pile) for pile in piles]
    settings = [build(state, errors) for state in states]
    columns, scored = columns_of(node, part, piles, settings, errors)
    references = numbered(rows, part.reference, node, errors)
    tuned = read_space(own, settings[0].case.baseline, errors)
    check_columns(node, part, errors)
    check_claims(node, part, len(rows), errors)
    prints = [""] * len(rows) if below.missing else fingerprints(states, settings, root, errors)
    if errors:
        raise ConfigError(errors)
    table = zip(rows, settings, references, prints)
    study = described(file, part, below)
    study = replace(
        study,
        base=asked.base,
        seeds=counted(part, seeds, quick),
        until=sequential(part) if seeds is None else None,
        rows=tuple(row_of(i, *entry, asked.base) for i, entry in enumerate(table, 1)),
        columns=columns,
        scored=scored,
        quick=quick,
        sets=tuple(sets),
        exact=seeds is not None,
        data_asked=data or part.data,
        space={path: spec for path, spec in tuned.items() if path not in line},
    )
    return with_seeds(study, {})


def row_of(number: int, draft: Draft, settings: Settings, reference: int, fingerprint: str, base: str) -> Row:
    """A row with what it is compared with, its data, and the preset that it starts from (its own or the study's)."""
    said = (draft.label, settings, draft.paper, draft.on, number, draft.note)
    return Row(*said, reference, fingerprint, draft.base or base)


def described(file: Path, part: StudyPart, below: Below) -> Study:
    """What a study says about itself; rows, columns and runs come later."""
    return Study(
        name=file.stem,
        title=part.title or file.stem,
        path=file,
        base=part.base,
        data=below.label,
        seeds=0,
        rows=(),
        columns=(),
        claims=tuple(part.claims),
        figures=tuple(part.figures),
        toggles=tuple(part.toggles),
        reference=part.reference,
        reported=tuple(row.model_dump() for row in part.reported),
        quick=False,
        runs=[],
        notes=part.notes,
        missing=below.missing,
        search=part.model_dump(include={"objective", "search", "constraints"}, exclude_unset=True),
    )


def located(path: Path) -> Path:
    """The file itself, or the study of that name in ``studies/``."""
    if path.is_file():
        if path.resolve().parent == STUDIES / "base":
            raise ConfigError([f"{path}: a preset, not a study; use it with --base {path.stem}"])
        return path
    own = {file.stem: file for file in sorted(STUDIES.glob("*.yaml"))}
    if str(path) in own:
        return own[str(path)]
    raise ConfigError([f"{path}: no such study file; {hint(path.stem, own)}"])


def given(key: str, value: str | None, node: Node) -> Mark:
    """Where a choice was made: on the command line or in the study."""
    return Mark(f"--{key}", 1, 1) if value else node.at([key]).mark


def counted(part: StudyPart, asked: int | None, quick: bool) -> int:
    """Seeds per row; --quick takes two at most unless asked for more."""
    if asked is not None:
        return asked
    return min(part.seeds.at_least, QUICK_SEEDS) if quick else part.seeds.at_least


def sequential(part: StudyPart) -> Seeds | None:
    """The plan to add seeds, where the study has one."""
    return Seeds(part.seeds.at_least, part.seeds.at_most) if part.seeds.at_most > part.seeds.at_least else None


def with_seeds(study: Study, counts: Mapping[int, int]) -> Study:
    """The study with seeds 0 .. n-1 for row number -> n, ``study.seeds`` for rows not named."""
    runs = []
    for row, scored in zip(study.rows, study.scored):
        for seed in range(0 if study.missing else counts.get(row.number, study.seeds)):
            for columns, settings in scored.items():
                training, scoring = keys(settings, seed, row.fingerprint)
                runs.append(Run(study.name, row.number, seed, settings, training, scoring, columns))
    return replace(study, runs=runs)
