"""A search's report: trials.csv, best.yaml, report.md, report.html and figures; the summary on the terminal."""

from collections import Counter
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from rich.text import Text

from harness.report.figures.drawing import Drawn
from harness.report.terminal import print_table, start_table
from harness.report.writing import locate_report
from harness.search.figures import draw_figures
from harness.search.findings import Comparison, Findings, average, name_metric, show, word_verdict
from harness.search.task import MEASURED, Task
from harness.store import files

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

CEILING = 99.0  # percent, from which a proxy hardly tells settings apart
SHOWN = 200  # trials on the page
HEADS = ("metric", "default", "tuned", "difference", "95 % interval", "p", "seeds")


def write_report(found: Findings, root: Path, journal: Path) -> tuple[Path, list[str]]:
    """Write files and figures; returns their folder, and the notes that stand beside the numbers."""
    place = locate_report(found.task.study, root)
    place.mkdir(parents=True, exist_ok=True)
    pictures, trouble = draw_figures(found, place)
    notes = [*list_notes(found), *trouble]
    files.write_text(place / "trials.csv", format_trials(found))
    files.write_text(place / "best.yaml", format_best(found))
    files.write_text(place / "report.md", format_markdown(found, notes, pictures))
    files.write_text(place / "report.html", format_page(found, notes, pictures, journal))
    return place, notes


def describe_supervision(task: Task) -> str:
    """Which annotations of training videos the search looked at."""
    if task.temporal:
        return (
            "TEMPORAL ANNOTATIONS of held-out training videos chose these settings (supervision: temporal). "
            "That is more than weak supervision has."
        )
    return "Video labels alone chose these settings (supervision: video): weak supervision, as the method assumes."


def list_notes(found: Findings) -> list[str]:
    """What must be said beside the numbers."""
    task, first = found.task, found.task.objectives[0]
    default = average(found.validation, first.metric)
    out = [
        describe_supervision(task),
        f"Objective on {task.study.data} (preset {task.study.base}): mean of {name_metric(first.metric)} over seeds "
        f"{name_seeds(task.seeds)} on held-out training videos, {first.direction}d. "
        f"Default {show(default)}, best {show(float(found.best.objectives[0]))} (trial {found.best.number}).",
        f"Test: both settings retrained on all training videos under seeds {name_seeds(task.fresh)}, "
        "which the search has not used, and scored once.",
        count_trials(found),
    ]
    if first.metric == "video_map" and default >= CEILING:
        out.append(
            f"The proxy is at its ceiling: the default settings already have {default:.2f} % video mAP on held-out "
            "videos. It can hardly tell good settings from each other here; what won may have won by chance."
        )
    if len(found.front) > 1:
        numbers = ", ".join(map(str, found.front))
        out.append(f"Pareto front: trials {numbers}. The test compares trial {found.best.number}.")
    out += [f"Trial {trial.number} failed: {trial.reason}." for trial in found.done if trial.state == "failed"]
    if set(task.metrics) & set(MEASURED):
        out.append("Seconds and memory were measured once, on this machine; they differ from call to call.")
    if task.default.source.name == "synthetic":
        out.append("The embedded data set is a test bed: no evidence about THUMOS14.")
    if task.study.quick:
        out.append("Quick run at tiny scale: it checks mechanics, never findings.")
    return out + ([task.study.notes] if task.study.notes else [])


def name_seeds(seeds: range) -> str:
    """'0-2', or '0' alone."""
    return f"{seeds[0]}-{seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def count_trials(found: Findings) -> str:
    """How many trials ended how, and what pruning saved."""
    task, trials, seeds = found.task, found.done, len(found.task.seeds)
    states = Counter(trial.state for trial in trials)
    listed = ", ".join(f"{states[state]} {state}" for state in ("complete", "pruned", "failed"))
    head = f"{len(trials)} trials ({listed})"
    if task.rescores:
        return f"{head}, read from {seeds} finished trainings; none was pruned."
    pruned = [trial for trial in trials if trial.state == "pruned"]
    saved = sum(seeds - len(trial.seeds[0]) for trial in pruned)
    how = f"pruner {task.rules.pruner}" if len(task.objectives) == 1 else "several objectives prune nothing"
    return f"{head}; {how}: {saved} of {len(trials) * seeds} trainings saved."


def format_best(found: Findings) -> str:
    """The winner as a preset: ``python -m harness.run STUDY --base best.yaml``."""
    content = {
        "title": f"Best of {found.task.study.name} on {found.task.study.data}",
        "notes": f"{describe_supervision(found.task)} {word_verdict(found)}",
        "base": found.task.study.base,
        "tuned": {**found.task.fixed, **found.best.values},
    }
    head = "# Written by harness.search. What stands under 'tuned' lies over the data set's own settings.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def format_trials(found: Findings) -> str:
    """trials.csv: a line per trial, empty where there is no number."""
    import pandas as pd

    return pd.DataFrame(found.trials, dtype=object).to_csv(index=False, lineterminator="\n")


def format_cells(line: Comparison) -> list[str]:
    """A line of the comparison on the test split."""
    d = line.difference
    spread = [f"{summary.mean:.2f} ± {summary.std:.2f}" for summary in (line.default, line.tuned)]
    interval = f"[{d.low:.2f}, {d.high:.2f}]"
    return [name_metric(line.metric), *spread, f"{d.delta:+.2f}", interval, f"{d.p:.2g}", str(d.n)]


def format_markdown(found: Findings, notes: Sequence[str], pictures: Sequence[Drawn]) -> str:
    """report.md."""
    comparison = [format_cells(line) for line in found.comparison]
    influence = [(path, f"{share:.3f}", f"{half:.3f}") for path, share, half in found.influence]
    bullets = [f"- {note}" for note in notes]
    shown = [f"![{picture.title}]({picture.path.name})\n\n{picture.caption}" for picture in pictures]
    parts = [
        f"# {found.task.study.title}",
        f"**{word_verdict(found)}**",
        f"**{describe_supervision(found.task)}**",
        format_table(HEADS, comparison),
        "## Settings",
        format_table(("setting", "default", "best"), found.changes),
        "## Importance (fANOVA, over seeds)",
        format_table(("setting", "importance", "±"), influence),
        "\n".join(bullets),
        *shown,
    ]
    return "\n\n".join(parts) + "\n"


def format_summary(found: Findings, notes: Sequence[str]) -> str:
    """What MLflow's pages show of a search, which draw no tables: what it found, then numbers and settings as lists."""
    metrics = []
    for name, default, tuned, delta, interval, _, seeds in map(format_cells, found.comparison):
        metrics.append(f"- **{name}**: default {default}, tuned {tuned}, {delta} {interval}, {seeds} seeds")
    settings = [f"- **{path}**: default {default}, best {best}" for path, default, best in found.changes]
    head = f"**{found.task.study.title}**: {word_verdict(found)}"
    bullets = [f"- {note}" for note in notes]
    return "\n\n".join([head, "\n".join(metrics), "\n".join(settings), "\n".join(bullets)])


def format_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines))


def format_page(found: Findings, notes: Sequence[str], pictures: Sequence[Drawn], journal: Path) -> str:
    """report.html, self-contained."""
    from harness.report.page import make_environment

    page = make_environment().get_template("search.html")
    return page.render(
        found=found,
        up="../" * len(locate_report(found.task.study, Path()).parts[1:]),
        verdict=word_verdict(found),
        supervision=describe_supervision(found.task),
        heads=HEADS,
        lines=[format_cells(line) for line in found.comparison],
        shares=format_shares(found),
        notes=notes[1:],
        pictures=pictures,
        shown=SHOWN,
        journal=journal.as_posix(),
    )


def show_findings(found: Findings, notes: Sequence[str], console: "Console") -> None:
    """The summary on the terminal: the comparison first, as it decides."""
    shares = format_shares(found)
    changes = [(*change, shares.get(change[0], "")) for change in found.changes]
    console.print(Text(found.task.study.title, style="bold"), no_wrap=True, overflow="ellipsis")
    print_table(fill_table(HEADS, [format_cells(line) for line in found.comparison]), console)
    console.print(Text(word_verdict(found), style="bold"))
    print_table(fill_table(("setting", "default", "best", "importance"), changes), console)
    for text in notes:
        console.print(Text(text, style="dim"))


def fill_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> "Table":
    """A table for rich: names on the left, numbers on the right."""
    out = start_table(1)
    for number, head in enumerate(heads):
        out.add_column(head, justify="right" if number else "left", vertical="bottom")
    for line in lines:
        out.add_row(*map(Text, line))
    return out


def format_shares(found: Findings) -> dict[str, str]:
    """Setting -> its importance, '0.42 ± 0.05'; empty where nothing could be told."""
    return {path: format_share(share, half) for path, share, half in found.influence}


def format_share(share: float, half: float) -> str:
    return f"{share:.2f} ± {half:.2f}" if isfinite(half) else f"{share:.2f}"
