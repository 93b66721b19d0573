"""One contrast, one test: what a claim compares, and the share of the error rate that its test may spend.

A contrast is the settings of its rows, a column and a direction. Sentences that assert the same contrast, in one table
or in several, share it, its margin and its verdict. The paper's claims on a data set and preset are one family,
whatever study shows them: the chance that *any* of its verdicts is wrong, over all contrasts and looks, is at most
``ALPHA``. It is the family-wise rate, since a report that calls eight effects real should hold no false one; and by
Bonferroni, which holds whatever rows the contrasts share and lets each verdict be read off its interval (Holm's steps
would not: a contrast found "smaller than claimed" can still be falsely reversed, so it frees no error for the others).
Whatever a contrast's true effect is, its own chance stays within its share: at 0 either direction is wrong, each by a
two-sided test; above the margin "smaller" is, by a one-sided one, and "reversed" is found only together with it.
Table 2, the paper's headline, has half of the rate to itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from harness.claims import statistics as stats
from harness.study.claims import Beats, Extreme, Level, Pairs, StableWithin

if TYPE_CHECKING:
    from harness.study import Study
    from harness.study.claims import AnyClaim

HEADLINE = "table2"
HEADLINE_SHARE = 0.5  # of the error rate
AVERAGE = "map/avg"


@dataclass(frozen=True)
class Test:
    """How a contrast is tested: its share of the error rate, the looks that spend it, and the margin of "smaller"."""

    level: float
    looks: tuple[int, ...]
    margin: float | None
    family: int  # contrasts that the error rate is shared by

    @property
    def levels(self) -> list[float]:
        """The level of each look."""
        return stats.spend(self.level, self.looks)


@dataclass(frozen=True)
class Asserted:
    """A contrast that a study asserts, under a preset, with the margin of that sentence."""

    contrast: str
    preset: str
    study: str
    margin: float | None


def preset_of(study: "Study", rows: Iterable[int]) -> str:
    """The preset of rows by number, several joined; a row may have its own."""
    named = set(rows)
    own = [Path(row.base).stem for row in study.rows if row.number in named]
    *first, last = dict.fromkeys(own or [Path(study.base).stem])
    return f"{', '.join(first)} and {last}" if first else last


def name_cell(study: "Study", row: int, column: str) -> str:
    """A row's settings and a column's metric: the same in every study, whatever row and column are called there."""
    shown = next(c for c in study.columns if c.name == column)
    run = next(run for run in study.runs if run.row == row and column in run.columns)
    metric, tiou = shown.metric, run.settings.metrics.tiou
    if metric == AVERAGE:
        metric = f"map/{tiou[0]:g}:{tiou[-1]:g}"
    best = "" if shown.selection == "last" else f" ({shown.selection} checkpoint)"
    return f"{metric} of {run.scoring_key}{best}"


def name_contrast(study: "Study", claim: "AnyClaim") -> str:
    """What a claim compares, by settings and metrics; empty where the study has no runs."""
    if not study.runs:
        return ""
    numbers = claim.row_numbers(len(study.rows))
    cells = [name_cell(study, row, column) for row in numbers for column in claim.columns]
    match claim:
        case Beats():
            ours, theirs = cells
            return f"{ours} above {theirs}"
        case Pairs():
            named = dict(zip(numbers, cells))
            above = sorted(f"{named[row]} above {named[partner]}" for row, partner in claim.pairs)
            return ", ".join(above) + (" on average" if claim.on_average else "")
        case StableWithin():
            return f"{', '.join(sorted(cells))} within {claim.stable_within:g}"
        case Extreme():
            own = name_cell(study, claim.row, claim.columns[0])
            return f"{own} {name_side(claim.sign)} {', '.join(sorted(set(cells) - {own}))}"
        case Level():
            (cell,) = cells
            return f"{cell} {name_side(claim.sign)} {claim.bound:g} at {claim.by_share:g}"
        case _:
            assert_never(claim)


def name_side(sign: int) -> str:
    """On which side of the others, or of a bound, something should lie."""
    return "above" if sign > 0 else "below"


def list_asserted(study: "Study") -> list[Asserted]:
    """What a study asserts and has judged."""
    out = []
    for claim in study.claims:
        contrast = name_contrast(study, claim)
        if contrast and not claim.unjudged:
            margin = claim.least if isinstance(claim, Beats) else None
            preset = preset_of(study, claim.row_numbers(len(study.rows)))
            out.append(Asserted(contrast, preset, study.name, margin))
    return out


@lru_cache(maxsize=64)
def list_paper(base: str, data: str | None, sets: tuple[str, ...], root: Path) -> tuple[Asserted, ...]:
    """What all studies of ``studies/`` assert on a data set and preset."""
    from harness import study
    from harness.errors import ConfigError
    from harness.study.presets import STUDIES

    out: list[Asserted] = []
    for path in sorted(STUDIES.glob("*.yaml")):
        try:
            loaded = study.load(path, base=base, data=data, sets=sets, root=root)
        except ConfigError:  # a study that cannot be asked there asserts nothing there
            continue
        out += list_asserted(loaded)
    return tuple(out)


def plan_tests(study: "Study", root: Path) -> Mapping[str, Test]:
    """The test of each contrast that a study asserts; a study of one's own is a family of its own."""
    own, shipped, looks = list_asserted(study), is_shipped(study), looks_of(study)
    tests: dict[str, Test] = {}
    for preset in dict.fromkeys(entry.preset for entry in own):
        base = study.base if " and " in preset else preset
        paper = list_paper(base, study.data_asked, study.sets, root) if shipped else ()
        family = [entry for entry in (*paper, *own) if entry.preset == preset]
        tests |= share_error(family, looks)
    return {entry.contrast: tests[entry.contrast] for entry in own}


def share_error(family: Sequence[Asserted], looks: tuple[int, ...]) -> dict[str, Test]:
    """The error rate, shared by the distinct contrasts of a family; of several margins the smallest is a contrast's."""
    contrasts = list(dict.fromkeys(entry.contrast for entry in family))
    headline = {entry.contrast for entry in family if entry.study == HEADLINE}
    share = dict.fromkeys(contrasts, 1 / len(contrasts))
    rest = len(contrasts) - len(headline)
    if headline and rest:
        share = dict.fromkeys(contrasts, (1 - HEADLINE_SHARE) / rest)
        share |= dict.fromkeys(headline, HEADLINE_SHARE / len(headline))
    tests = {}
    for contrast in contrasts:
        margins = [entry.margin for entry in family if entry.contrast == contrast and entry.margin is not None]
        tests[contrast] = Test(stats.ALPHA * share[contrast], looks, min(margins, default=None), len(contrasts))
    return tests


def is_shipped(study: "Study") -> bool:
    """Whether a study is one of ``studies/``, whose claims are the paper's."""
    from harness.study.presets import STUDIES

    return study.path.resolve().is_relative_to(STUDIES)


def looks_of(study: "Study") -> tuple[int, ...]:
    """Numbers of seeds at which contrasts are tested: the same for all of the paper's, unless --seeds asks for one."""
    shipped = is_shipped(study)
    if study.exact or (study.until is None and not shipped):
        return (study.seeds,)
    if study.until is None or shipped:
        return stats.LOOKS
    return stats.looks_until(study.until.at_least, study.until.at_most)
