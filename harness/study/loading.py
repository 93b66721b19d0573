"""A study: one YAML file, one table. ``load`` checks everything at once and expands it to rows and runs.

Layers, the last one on top: base preset, data set, tiny scale (``--quick``), the study's ``set``, the row, ``--set``.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from harness.errors import LONGEST, ConfigError, hint, quote
from harness.settings import Settings
from harness.study.building import build
from harness.study.checks import check_study
from harness.study.document import Mark, Node, is_file, read_document
from harness.study.layers import Layer, fold
from harness.study.names import list_own_studies, name_files
from harness.study.presets import DATA, STUDIES, Below, read_data_layers
from harness.study.rows import Draft, make_drafts, name_rows, number_references
from harness.study.schema import StudyPart, read_study_part
from harness.study.sizes import check_memory
from harness.study.stack import Asked, read_columns, read_command_line, read_fingerprints, read_own_layer, stack_layers
from harness.study.study import Row, Seeds, Study, with_seeds
from harness.study.tune import read_space

QUICK_SEEDS = 2  # under --quick, which judges nothing


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
    file = locate_study(Path(path))
    errors: list[str] = []
    node = read_study(file)
    part = read_study_part(node, errors, cache(lambda: name_rows(node)))
    line = read_command_line(sets, errors)
    asked = Asked(part.base if base is None else base, find_mark("base", base, node), file.parent, root)
    wanted = part.data or DATA if data is None else data
    where, moved = find_mark("data", data, node), "source.path" in line
    below = read_data_layers(wanted, where, quick, errors, root, data is not None, moved)
    own = read_own_layer(node, part, errors)
    rows = make_drafts(node, part, errors)
    piles = stack_layers(rows, asked, [*below.layers, own], line, errors)
    states = [fold(pile) for pile in piles]
    settings = build_rows(states, errors)
    columns, scored = read_columns(node, part, piles, settings, errors)
    references = number_references(rows, part.reference, node, errors)
    tuned = read_space(own, settings[0].case.baseline, errors)
    check_study(node, part, len(rows), len(scored[0]), seeds, errors)
    prints = [""] * len(rows) if below.missing else read_fingerprints(states, settings, root, errors)
    if errors:
        raise ConfigError(errors)
    study = replace(
        describe_study(file, part, below),
        base=asked.base,
        seeds=count_seeds(part, seeds, quick),
        until=plan_seeds(part) if seeds is None else None,
        rows=make_rows(rows, settings, references, prints, asked.base),
        columns=columns,
        scored=scored,
        quick=quick,
        sets=tuple(sets),
        exact=seeds is not None,
        data_asked=data or part.data,
        space={path: spec for path, spec in tuned.items() if path not in line},
    )
    return with_seeds(name_files(study, root), {})


def build_rows(states: Sequence[Layer], errors: list[str]) -> list[Settings]:
    """Settings of each row; what no memory holds is refused."""
    settings = [build(state, errors) for state in states]
    for state, own in zip(states, settings):
        check_memory(state, own, errors)
    return settings


def make_rows(
    rows: Sequence[Draft],
    settings: Sequence[Settings],
    references: Sequence[int],
    prints: Sequence[str],
    base: str,
) -> tuple[Row, ...]:
    """The table's rows; one without a preset of its own starts from the study's ``base``."""
    numbers = range(1, len(rows) + 1)
    out = []
    for number, row, own, reference, fingerprint in zip(numbers, rows, settings, references, prints):
        out.append(
            Row(
                label=row.label,
                settings=own,
                paper=row.paper,
                on=row.on,
                number=number,
                note=row.note,
                reference=reference,
                fingerprint=fingerprint,
                base=row.base or base,
                paper_std=row.paper_std,
            )
        )
    return tuple(out)


def describe_study(file: Path, part: StudyPart, below: Below) -> Study:
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


def locate_study(path: Path) -> Path:
    """The file itself, or the study of that name in ``studies/``."""
    if is_file(path):
        if path.resolve().parent == STUDIES / "base":
            raise ConfigError([f"{path}: a preset, not a study; use it with --base {path.stem}"])
        return path
    own = list_own_studies()
    if str(path) in own:
        return own[str(path)]
    name = str(path) if len(str(path)) <= LONGEST else quote(path)
    raise ConfigError([f"{name}: no such study file; {hint(path.stem, own)}"])


def read_study(file: Path) -> Node:
    """The document in ``file``; with ``like: NAME`` the rest of it is that study's, as if it stood here."""
    node = read_document(file)
    if not isinstance(node.value, dict) or "like" not in node.value:
        return node
    like = node.value["like"]
    try:
        other = read_document(locate_study(STUDIES / f"{like.value}.yaml"))
    except ConfigError as error:
        raise ConfigError([f"{like.mark}: like: {line}" for line in error.errors]) from error
    return replace(node, value={**other.value, **node.value}) if isinstance(other.value, dict) else node


def find_mark(key: str, value: str | None, node: Node) -> Mark:
    """Where a choice was made: on the command line or in the study."""
    return Mark(f"--{key}", 1, 1) if value is not None else node.at([key]).mark


def count_seeds(part: StudyPart, asked: int | None, quick: bool) -> int:
    """Seeds per row; --quick takes two at most unless asked for more."""
    if asked is not None:
        return asked
    return min(part.seeds.at_least, QUICK_SEEDS) if quick else part.seeds.at_least


def plan_seeds(part: StudyPart) -> Seeds | None:
    """The plan to add seeds, where the study has one."""
    return Seeds(part.seeds.at_least, part.seeds.at_most) if part.seeds.at_most > part.seeds.at_least else None
