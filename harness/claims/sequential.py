"""Sequential studies (``seeds: {at_least, at_most, until: decided}``): more seeds for the rows of undecided claims.

Looks are fixed beforehand (``contrasts.looks_of``); at each one the rows of claims that are still undecided get seeds
up to it, 0 .. n-1 without gaps. A call that finds all results stored walks the same way to the same seeds, so a look
is taken at the study's own seeds, not at those that other studies have added.
"""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store.records import Records
    from harness.study import Study


def plan_look(records: "Records") -> "Study | None":
    """The study with the seeds of its next look; None where nothing is undecided or all looks are taken."""
    study = records.study
    if study.until is None:
        return None
    from harness.claims import statistics as stats
    from harness.claims import verdicts
    from harness.claims.evidence import name_gap
    from harness.study import with_seeds

    counts = count_seeds(study)
    looks = stats.looks_until(study.until.at_least, study.until.at_most)
    ahead = [look for look in looks if look > max(counts.values(), default=0)]
    judged = verdicts.judge_seeds(records)
    rows: set[int] = set()
    for claim, verdict in zip(study.claims, judged):
        if verdict.status == "undecided" and not name_gap(records, claim):  # no seed replaces one that failed
            rows.update(verdict.rows)
    return with_seeds(study, counts | dict.fromkeys(rows, ahead[0])) if ahead and rows else None


def count_seeds(study: "Study") -> dict[int, int]:
    """Seeds per row number."""
    pairs = {(run.row, run.seed) for run in study.runs}
    return dict(Counter(row for row, _ in pairs))
