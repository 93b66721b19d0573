"""What the paper claims, judged on the runs at hand: each claim gets a verdict with its evidence and its scope.

A verdict is read off an interval at the level that its contrast may spend (``harness.claims.contrasts``): above 0,
below 0, or (being a one-sided test, at up to twice that level) below the least effect that would still count as the
claimed one. The first look that decides is the last one, whatever is measured after it. The claimed size is reported
apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

from harness.claims import statistics as stats
from harness.claims.contrasts import Test, looks_of, name_contrast, plan_tests, preset_of
from harness.claims.evidence import collect, name_gap
from harness.claims.looks import Outcome, find_deciding, look
from harness.claims.steps import name_claim
from harness.study.claims import Beats

if TYPE_CHECKING:
    from harness.store.records import Records
    from harness.study import Study
    from harness.study.claims import AnyClaim

STATUSES = ("supported", "contradicted", "smaller", "undecided", "no data", "not judged")
WORDS: Mapping[str, str] = {  # where they are not the status itself
    "smaller": "smaller than claimed",
}
BED_WORDS: Mapping[str, str] = {  # on the embedded data set
    "supported": "appears on the test bed",
    "contradicted": "reversed on the test bed",
    "smaller": "smaller than claimed on the test bed",
    "undecided": "undecided on the test bed",
}
UNTESTED = Test(nan, (), None, 0)


@dataclass(frozen=True)
class Verdict:
    """A judged claim. ``status`` is one of ``STATUSES``; ``words`` is how to say it on these data."""

    quote: str
    section: str
    note: str
    asserted: str
    brief: str  # which part makes the difference, and where: "SCC on mAP (row 2 over 1)"
    contrast: str  # what was compared, by settings and metric: equal wherever the same is asserted
    status: str
    words: str
    reason: str
    unit: str  # what follows delta: nothing for a difference, " to the bound" for a level
    delta: float  # of the comparison that decides, with the interval that the verdict is read off, and effect size
    low: float
    high: float
    effect: float
    level: float  # of the look
    p: float
    p_adjusted: float  # to be held against 0.05
    correction: str
    n: int
    seeds_needed: int | None
    claimed: float | None
    size: str  # "inside" or "outside the interval", of the claimed size; empty without one
    margin: float | None  # an effect below it is smaller than claimed
    data: str
    preset: str
    scope: str
    rows: tuple[int, ...]


def synthetic(study: "Study") -> bool:
    """Whether the embedded data set was measured."""
    return any(row.settings.source.name == "synthetic" for row in study.rows)


def mechanics(study: "Study") -> bool:
    """Whether the scale is one that only checks that everything works."""
    return study.quick or any(row.settings.source.scale == "tiny" for row in study.rows)


def count_seeds(numbers: Sequence[int]) -> str:
    """'5 seeds', '5 to 20 seeds'."""
    least, most = min(numbers, default=0), max(numbers, default=0)
    number = f"{most}" if least == most else f"{least} to {most}"
    return f"{number} seed" if most == 1 else f"{number} seeds"


def scope(study: "Study", rows: Sequence[int]) -> str:
    """'on synthetic, preset paper, 5 seeds': where what is said of these rows holds."""
    pairs = {(run.row, run.seed) for run in study.runs}
    per_row = Counter(row for row, _ in pairs)
    counts = [per_row[number] for number in rows]
    return f"on {study.data}, preset {preset_of(study, rows)}, {count_seeds(counts)}"


def judge(records: "Records") -> list[Verdict]:
    """A verdict on each claim of a study, on the seeds that it was run with and those that other studies added."""
    return judge_seeds(widen(records))


def widen(records: "Records") -> "Records":
    """The records with further seeds of the same settings, as far as other studies have them and a look can come."""
    from harness.store.records import FINISHED, read_runs
    from harness.study import with_seeds

    study = records.study
    if mechanics(study):
        return records
    rows = {row for claim in study.claims for row in claim.row_numbers(len(study.rows))}
    asked = {(run.row, run.seed) for run in study.runs}
    wide = with_seeds(study, dict.fromkeys(rows, looks_of(study)[-1]))
    further = [run for run in wide.runs if (run.row, run.seed) not in asked]
    usable = {"ok", *records.states} & FINISHED  # of other sources only where the study shows such results itself
    added = [record for record in read_runs(further, records.root) if record.status in usable]
    return records.plus(added)


def judge_seeds(records: "Records") -> list[Verdict]:
    """A verdict on each claim of a study, on these records alone."""
    study = records.study
    tests = {} if mechanics(study) else plan_tests(study, records.root)
    verdicts = []
    for claim in study.claims:
        contrast = name_contrast(study, claim)
        test = tests.get(contrast, UNTESTED)
        outcome = decide(records, claim, test)
        verdicts.append(describe(study, claim, contrast, test, outcome))
    return verdicts


def decide(records: "Records", claim: "AnyClaim", test: Test) -> Outcome:
    """What becomes of a claim: the outcome of its looks, or why there are none."""
    evidence = collect(records, claim)
    measured = evidence.finite()
    if records.study.missing or not any(len(x) for x in measured.differences):
        return Outcome("no data", records.study.missing or name_gap(records, claim) or "nothing measured", measured)
    if mechanics(records.study):
        return Outcome("not judged", "tiny scale", measured)
    if claim.unjudged:
        return Outcome("not judged", claim.unjudged, measured)
    return look(evidence, test, name_gap(records, claim))


def describe(study: "Study", claim: "AnyClaim", contrast: str, test: Test, outcome: Outcome) -> Verdict:
    """The verdict as tables and pages show it."""
    level = outcome.level if isfinite(outcome.level) else stats.ALPHA
    shown = find_deciding(outcome.evidence, level, outcome.status == "smaller")
    rows = claim.row_numbers(len(study.rows))
    claimed = claim.by if isinstance(claim, Beats) else None
    preset = preset_of(study, rows)
    return Verdict(
        quote=claim.quote,
        section=claim.section,
        note=claim.note or claim.also,
        asserted=claim.words,
        brief=name_claim(study, claim),
        contrast=contrast,
        status=outcome.status,
        words=say_status(study, outcome.status),
        reason=outcome.reason,
        unit=outcome.evidence.unit,
        delta=shown.delta,
        low=shown.low,
        high=shown.high,
        effect=shown.effect,
        level=outcome.level,
        p=outcome.p,
        p_adjusted=min(1.0, outcome.p * stats.ALPHA / outcome.level) if isfinite(outcome.p) else nan,
        correction=name_correction(test),
        n=shown.n,
        seeds_needed=outcome.seeds_needed,
        claimed=claimed,
        size=place_claimed(claimed, shown),
        margin=test.margin,
        data=study.data,
        preset=preset,
        scope=f"on {study.data}, preset {preset}, {count_seeds([shown.n])}",
        rows=rows,
    )


def name_correction(test: Test) -> str:
    """'7 contrasts x 5 looks': what the error rate is shared by."""
    if not test.family:
        return ""
    looks = "1 look" if len(test.looks) == 1 else f"{len(test.looks)} looks"
    return f"{test.family} contrast{'s' if test.family > 1 else ''} x {looks}"


def say_status(study: "Study", status: str) -> str:
    """A status in words; on the embedded data set those of a test bed."""
    plain = WORDS.get(status, status)
    return BED_WORDS.get(status, plain) if synthetic(study) else plain


def place_claimed(claimed: float | None, found: stats.Difference) -> str:
    """Whether the claimed size lies in the interval; empty where there is no size or no interval."""
    if claimed is None or not isfinite(found.low):
        return ""
    return f"{'inside' if found.low <= claimed <= found.high else 'outside'} the interval"
