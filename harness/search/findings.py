"""What a search found, as files and on the terminal: trials.csv, best.yaml, report.md, report.html and figures."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from harness.claims import statistics as stats
from harness.report.writing import folder
from harness.search.task import MEASURED, Params, Task
from harness.search.trials import Measured
from harness.store import files
from harness.study import keys

SHOWN = ("map/avg", "video_map", "acc")  # compared on the test split
HEADLINE = "map/avg"
CEILING = 99.0  # percent, from which a proxy hardly tells settings apart
BY_SEED = Mapping[int, Measured]


@dataclass(frozen=True)
class Findings:
    """All that the report says. ``best`` is the winner's number; ``own``, ``tuned``: default and winner by seed."""

    task: Task
    trials: Sequence[Mapping[str, Any]]
    best: int
    params: Params
    validation: BY_SEED  # the default settings on held-out videos, under the search's seeds
    own: BY_SEED  # on the test split, fresh seeds
    tuned: BY_SEED
    front: Sequence[int] = ()
    objectives: Sequence[float] = ()  # the winner's
    importances: Mapping[str, Sequence[float]] = field(default_factory=dict)
    drawn: Sequence[Path] = ()
    said: Sequence[str] = ()
    journal: Path = Path()

    def count(self, state: str) -> int:
        return sum(line["state"] == state for line in self.trials)

    @property
    def measured(self) -> list[dict[str, Any]]:
        """Default and tuned on the test split: means over seeds and the paired difference, per metric."""
        out = []
        for name in SHOWN:
            ours, theirs = values(self.tuned, name), values(self.own, name)
            line = {
                "metric": name,
                "default": stats.summary([*theirs.values()]),
                "tuned": stats.summary([*ours.values()]),
            }
            out.append(line | {"difference": stats.difference(stats.pairs(ours, theirs))})
        return out

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """Tuned settings: (path, default, best)."""
        own = keys.flat(self.task.default)
        whole = {path: own.get(path, "") for path in self.params}
        return [(path, str(whole[path]), shown(value)) for path, value in self.params.items()]

    @property
    def influence(self) -> list[tuple[str, float, float]]:
        """Importance of each setting: mean over seeds and half of its 95 % interval (NaN for one seed)."""
        out = []
        for path, found in self.importances.items():
            d = stats.difference(np.asarray(found, float))
            out.append((path, d.delta, (d.high - d.low) / 2))
        return out


def values(found: BY_SEED, name: str) -> dict[int, float]:
    return {seed: float(measured.values.get(name, nan)) for seed, measured in found.items()}


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def mean(found: BY_SEED, name: str) -> float:
    return stats.summary([*values(found, name).values()]).mean


def supervision(task: Task) -> str:
    """Which annotations of training videos the search looked at."""
    if task.temporal:
        return (
            "TEMPORAL ANNOTATIONS of held-out training videos chose these settings (supervision: temporal). "
            "That is more than weak supervision has."
        )
    return "Video labels alone chose these settings (supervision: video): weak supervision, as the method assumes."


def verdict(found: Findings) -> str:
    """Is the tuned setting really better? One sentence."""
    d = next(line["difference"] for line in found.measured if line["metric"] == HEADLINE)
    if d.n < len(found.task.fresh) or not isfinite(d.low):
        return f"Not decided: {d.n} of {len(found.task.fresh)} fresh seeds have a result for both settings."
    span = f"{d.delta:+.2f} mAP on test, 95 % interval [{d.low:.2f}, {d.high:.2f}], {d.n} fresh seeds, paired"
    if d.low > 0:
        return f"The tuned settings are better than the default: {span}."
    if d.high < 0:
        return (
            f"The tuned settings are WORSE than the default: {span}. What they gained on validation did not carry over."
        )
    return f"No difference to the default can be told: {span}. The gain on validation is not confirmed."


def notes(found: Findings) -> list[str]:
    """What must be said beside the numbers."""
    task, first = found.task, found.task.objectives[0]
    own = mean(found.validation, first.metric)
    out = [
        supervision(task),
        f"Objective on {task.study.data} (preset {task.study.base}): mean of {first.metric} over seeds "
        f"{task.seeds[0]}-{task.seeds[-1]} on held-out training videos, {first.direction}d. "
        f"Default {shown(own)}, best {shown(float(found.objectives[0]))} (trial {found.best}).",
        f"Test: both settings retrained on all training videos under seeds {task.fresh[0]}-{task.fresh[-1]}, "
        "which the search has not used, and scored once.",
        pruned(found),
    ]
    if first.metric == "video_map" and own >= CEILING:
        out.append(
            f"The proxy is at its ceiling: the default settings already have {own:.2f} % video mAP on held-out videos. "
            "It can hardly tell good settings from each other here; what won may have won by chance."
        )
    if len(found.front) > 1:
        out.append(f"Pareto front: trials {', '.join(map(str, found.front))}. The test compares trial {found.best}.")
    out += [f"Trial {t['trial']} failed: {t['reason']}." for t in found.trials if t["state"] == "failed"]
    if set(task.metrics) & set(MEASURED):
        out.append("Seconds and memory were measured once, on this machine; they differ from call to call.")
    if task.default.source.name == "synthetic":
        out.append("The embedded data set is a test bed: no evidence about THUMOS14.")
    if task.study.quick:
        out.append("Quick run at tiny scale: it checks mechanics, never findings.")
    return [*out, *found.said, *([task.study.notes] if task.study.notes else [])]


def pruned(found: Findings) -> str:
    """How many trials ended how, and what pruning saved."""
    task, name = found.task, found.task.metrics[0]
    states = {state: found.count(state) for state in ("complete", "pruned", "failed")}
    said = ", ".join(f"{number} {state}" for state, number in states.items())
    if task.rescores:
        return f"{len(found.trials)} trials ({said}), read from {len(task.seeds)} finished trainings; none was pruned."
    cut = [t for t in found.trials if t["state"] == "pruned" and f"{name} seed 0" in t]
    saved = sum(not isfinite(t[f"{name} seed {s}"]) for t in cut for s in task.seeds)
    whole = len(found.trials) * len(task.seeds)
    how = f"pruner {task.rules.pruner}" if len(task.objectives) == 1 else "several objectives prune nothing"
    return f"{len(found.trials)} trials ({said}); {how}: {saved} of {whole} trainings saved."


def best_yaml(found: Findings) -> str:
    """The winner as a preset: ``python -m harness.run STUDY --base best.yaml``."""
    content = {
        "title": f"Best of {found.task.study.name} on {found.task.study.data}",
        "notes": f"{supervision(found.task)} {verdict(found)}",
        "base": found.task.study.base,
        "tuned": {**(found.task.fixed or {}), **found.params},
    }
    head = "# Written by harness.search. What stands under 'tuned' lies over the data set's own settings.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def trials_csv(found: Findings) -> str:
    out = io.StringIO()
    names = list(dict.fromkeys(name for line in found.trials for name in line))
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    for line in found.trials:
        writer.writerow({k: "" if isinstance(v, float) and not isfinite(v) else v for k, v in line.items()})
    return out.getvalue()


def cells(line: Mapping[str, Any]) -> list[str]:
    """A line of the comparison on the test split."""
    d = line["difference"]
    spread = [f"{s.mean:.2f} ± {s.std:.2f}" for s in (line["default"], line["tuned"])]
    return [line["metric"], *spread, f"{d.delta:+.2f}", f"[{d.low:.2f}, {d.high:.2f}]", f"{d.p:.2g}", str(d.n)]


HEADS = ("metric", "default", "tuned", "difference", "95 % interval", "p", "seeds")


def markdown(found: Findings) -> str:
    """report.md."""

    def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
        return [f"| {' | '.join(line)} |" for line in (heads, ["---"] * len(heads), *lines)]

    out = [f"# {found.task.study.title}", "", f"**{verdict(found)}**", "", f"**{supervision(found.task)}**", ""]
    out += [*table(HEADS, [cells(line) for line in found.measured]), "", "## Settings", ""]
    out += [*table(("setting", "default", "best"), found.changes), "", "## Importance (fANOVA, over seeds)", ""]
    out += table(("setting", "importance", "±"), [(p, f"{m:.3f}", f"{h:.3f}") for p, m, h in found.influence])
    out += ["", *(f"- {note}" for note in notes(found)), ""]
    return "\n".join(out + [f"![{path.stem}]({path.name})" for path in found.drawn]) + "\n"


def write(found: Findings, root: Path) -> Path:
    """Write the report; returns its folder. Figures are there already."""
    from jinja2 import Environment, PackageLoader

    from harness.report.page import inline

    place = folder(found.task.study, root)
    place.mkdir(parents=True, exist_ok=True)
    templates = Environment(
        loader=PackageLoader("harness.report", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters["inline"] = inline
    page = templates.get_template("search.html").render(
        found=found,
        verdict=verdict(found),
        supervision=supervision(found.task),
        heads=HEADS,
        lines=[cells(line) for line in found.measured],
        notes=notes(found)[1:],
        journal=found.journal.as_posix(),
    )
    texts = {"trials.csv": trials_csv(found), "best.yaml": best_yaml(found), "report.md": markdown(found)}
    for name, text in {**texts, "report.html": page}.items():
        with files.landing(place / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return place


def show(found: Findings, console: Any) -> None:
    """The summary on the terminal."""
    from rich.table import Table

    table = Table(*HEADS, title=f"{found.task.study.title} (test split)")
    for line in found.measured:
        table.add_row(*cells(line))
    settings = Table("setting", "default", "best", "importance")
    influence = {path: f"{m:.2f} ± {half:.2f}" for path, m, half in found.influence}
    for path, own, best in found.changes:
        settings.add_row(path, own, best, influence.get(path, ""))
    console.print(settings, table)
    for text in (verdict(found), *notes(found)):
        console.print(text, markup=False, highlight=False)
