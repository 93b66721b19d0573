"""Verdicts in words: one line of evidence, a Markdown table, JSON, totals."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from harness.claims import statistics as stats
from harness.claims.verdicts import STATUSES, Verdict

ON_BED = " on the test bed"  # how outcomes on the embedded data set end


def count_statuses(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many claims have each status."""
    statuses = [verdict.status for verdict in verdicts]
    return {status: statuses.count(status) for status in STATUSES}


def as_json(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """JSON values; NaN as null."""
    return [hide_nan(asdict(verdict)) for verdict in verdicts]


def hide_nan(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values with None for numbers that JSON does not have."""
    return {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in values.items()}


def interval_text(v: Verdict) -> str:
    """'+2.3 [0.4, 4.2]', with as many digits as the interval bears."""
    if not isfinite(v.delta):
        return ""
    digits = stats.decimals((v.high - v.low) / 2)
    interval = f" [{v.low:z.{digits}f}, {v.high:z.{digits}f}]" if isfinite(v.low) else ""
    return f"{v.delta:+z.{digits}f}{interval}"


def needed_text(v: Verdict) -> str:
    """'about 31 seeds would decide', of an undecided claim with a measured spread."""
    if v.status != "undecided" or not isfinite(v.low):
        return ""
    if v.seeds_needed is None:
        return f"over {stats.MOST_SEEDS} seeds would be needed"
    return f"about {v.seeds_needed} seeds would decide"


def evidence_text(v: Verdict) -> str:
    """'+2.3 [0.4, 4.2], d 1.9, p 0.001 (0.04 over 7 contrasts x 5 looks), n 5; claimed 2.3 inside the interval'."""
    if not isfinite(v.delta):
        return v.reason
    parts = [interval_text(v) + v.unit]
    parts += [f"d {v.effect:z.1f}"] if isfinite(v.effect) else []
    parts += [f"p {v.p:.2g} ({v.p_adjusted:.2g} over {v.correction})"] if isfinite(v.p) else []
    text = ", ".join([*parts, f"n {v.n}"])
    text += f"; claimed {v.claimed:g} {v.size}" if v.size else ""
    return "; ".join(part for part in (text, v.reason, needed_text(v)) if part)


def words_of(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """How each status is said where these verdicts hold."""
    return {v.status: v.words for v in verdicts}


def list_distinct(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Each contrast once, as the first of its sentences has it."""
    found: dict[str, Verdict] = {}
    for number, v in enumerate(verdicts):
        found.setdefault(v.contrast or str(number), v)
    return list(found.values())


def totals(verdicts: Sequence[Verdict]) -> str:
    """'8 claims, 7 contrasts: 2 appear, 5 undecided on the test bed'; each contrast counts once."""
    claims, distinct = say_number(len(verdicts), "claim"), list_distinct(verdicts)
    if all(v.status == "no data" for v in distinct):
        return f"{claims}: no data"
    return f"{claims}, {say_number(len(distinct), 'contrast')}: {say_counts(distinct)}"


def say_counts(verdicts: Sequence[Verdict]) -> str:
    """'2 appear, 5 undecided on the test bed': how many verdicts have each status."""
    words = words_of(verdicts)
    found = [count_word(n, words[status]) for status, n in count_statuses(verdicts).items() if n]
    return ", ".join(text.removesuffix(ON_BED) for text in found) + (ON_BED if ON_BED in str(found) else "")


def count_word(n: int, words: str) -> str:
    """'1 appears on the test bed', '2 appear on the test bed'."""
    return f"{n} {words if n == 1 else re.sub('^appears', 'appear', words)}"


def say_number(n: int, noun: str) -> str:
    """'1 claim', '2 claims'."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def list_findings(verdicts: Sequence[Verdict]) -> list[str]:
    """What became of all claims in a sentence, then of each contrast in a line; empty where there are none."""
    lines = []
    for v in list_distinct(verdicts):
        claimed = "" if v.claimed is None else f"; claimed {v.claimed:+g}"
        lines.append(f"**{v.words}**: {v.brief}: {interval_text(v)}{claimed} (n {v.n})")
    return [totals(verdicts), *lines] if lines else []


def error_rate(verdicts: Sequence[Verdict]) -> str:
    """What the verdicts' error rate is, in a sentence."""
    tested = [v for v in verdicts if v.correction]
    if not tested:
        return ""
    shared = " or ".join(dict.fromkeys(v.correction for v in tested))
    return f"The chance that any verdict is wrong is at most {stats.ALPHA:.0%} over {shared} (family-wise, Bonferroni)."


def markdown(verdicts: Sequence[Verdict]) -> str:
    """Verdicts as a Markdown table, each with its scope."""
    lines = ["| claim | asserted | verdict | scope | evidence |", "| --- | --- | --- | --- | --- |"]
    for v in verdicts:
        claim = f"“{v.quote}” (Section {v.section})" + (f" ({v.note})" if v.note else "")
        cells = (claim, v.asserted, v.words, v.scope, evidence_text(v))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    said = error_rate(verdicts)
    return "\n".join(lines) + "\n" + (f"\n{said}\n" if said else "")
