"""What must be said beside a table: where and how it was measured, and what is missing."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.claims import verdicts as claims
from harness.claims.flatness import describe_drift
from harness.store.records import FINISHED, Record, Records

if TYPE_CHECKING:
    from harness.study import Study

REASONS = 3  # the most frequent ones that are told
LONGEST = 100  # characters of a reason


def list_notes(records: Records) -> list[str]:
    """All notes on a study's table."""
    study = records.study
    if study.missing:
        return [f"Not measured: {study.missing}.", *quote_study(study)]
    drift = [] if claims.mechanics(study) else describe_drift(records)
    return [*describe_measurement(study), *drift, *describe_gaps(records), *quote_study(study)]


def describe_measurement(study: "Study") -> list[str]:
    """How the numbers came about, and what they are not."""
    scope = claims.scope(study, [row.number for row in study.rows])
    out = [f"Measured {scope}; mean ± sample standard deviation over seeds."]
    if claims.synthetic(study):
        out.append("The embedded data set is a test bed, not evidence about THUMOS14.")
    elif any(row.paper for row in study.rows):
        out.append("Numbers called paper are as printed there, for THUMOS14 or ActivityNet.")
    if claims.mechanics(study):
        out.append("Tiny scale: it checks mechanics, never findings.")
    if study.until and not claims.mechanics(study):
        most = study.until.at_most
        out.append(f"Sequential: seeds are added to rows of undecided claims, up to {most}, at looks fixed beforehand.")
    if study.exact and study.claims and not claims.mechanics(study):
        look = f"One look, at {claims.count_seeds([study.seeds])}, spends the whole error rate of the claims"
        out.append(f"{look}: that holds where no look at them came before.")
    trainings = [row.settings.training for row in study.rows]
    warm = sorted({min(training.warm_up, training.steps) for training in trainings} - {0})
    if warm:
        steps = "/".join(map(str, warm))
        out.append(f"Deviation from the paper: for the first {steps} steps P^V alone selects snippets (warm-up).")
    if any(column.selection == "best" for column in study.columns):
        out.append("Test-selected columns show the checkpoint that is best on the split it is reported on.")
    if study.sets:
        out.append(f"Set on the command line: {', '.join(study.sets)}.")
    return out


def describe_gaps(records: Records) -> list[str]:
    """Notes on runs without result, with the reasons, and on results of older sources."""
    states = records.states
    missing, stale = sum(state not in FINISHED for state in states), states.count("stale")
    out = []
    if missing:
        reasons = "; ".join(f"{count} {reason}" for reason, count in count_reasons(records).most_common(REASONS))
        out = [f"{missing} of {len(states)} runs have no result (n/N tells where): {reasons}."]
    return out + ([f"{stale} of {len(states)} results are of other sources than these (stale)."] if stale else [])


def count_reasons(records: Records) -> Counter[str]:
    """Why runs have no result, and how many have none for it."""
    lacking = [record for record in records.records if record.status not in FINISHED]
    return Counter(tell_reason(record) for record in lacking)


def tell_reason(record: Record) -> str:
    """Why a run has no result: "failed: ValueError: ..." in one short line."""
    if record.status == "missing":
        return "not run"
    lines = str(record.training.get("reason", "")).splitlines() or [""]
    return f"{'not finite' if record.status == 'nan' else 'failed'}: {lines[0][:LONGEST].rstrip('.')}"


def quote_study(study: "Study") -> list[str]:
    """Notes of the study file: of reported rows, of rows, of the study."""
    out = [f"{entry['label']}: {entry['note'].rstrip('.')}." for entry in study.reported if entry.get("note")]
    said: dict[str, list[int]] = {}
    for row in study.rows:
        said.setdefault(row.note.rstrip("."), []).append(row.number)
    out += [f"{name_rows(numbers)}: {note}." for note, numbers in said.items() if note]
    return out + ([study.notes] if study.notes else [])


def name_rows(numbers: Sequence[int]) -> str:
    """'Row 8', 'Rows 17, 19, 23'."""
    return f"Row{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"
