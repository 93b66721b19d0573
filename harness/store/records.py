"""What the store holds of a study's runs, read once; tables, claims, figures and tracking are given these records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import data
from harness.store import results
from harness.study import keys
from harness.study.metrics import CURVE

if TYPE_CHECKING:
    import pandas as pd

    from harness.study import Column, Row, Run, Study

FRAME = ("study", "row", "label", "seed", "column", "metric", "value", "selection", "status")  # first columns
FINISHED = frozenset({"ok", "stale"})
WINDOW = 0.05  # share of a training over which a curve is averaged to give its value at the end of that window


@dataclass(frozen=True)
class Record:
    """One run as it was when read: its status, training.json and result.json (empty: none); arrays come when asked.

    Both are without their settings, which are the run's own: thousands of runs fit into memory.
    """

    run: "Run"
    status: str  # "ok", "stale" (other sources), "failed", "nan" or "missing"
    training: Mapping[str, Any]
    result: Mapping[str, Any]
    root: Path  # of the store; only the arrays below need it

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def value(self, column: "Column") -> float:
        """The column's number of the checkpoint that it shows, or of a curve at its end; NaN where there is none."""
        if not self.finished:
            return nan
        if column.metric.startswith(CURVE):
            return self.level(column.metric.removeprefix(CURVE), 1.0)
        source = self.result if column.selection == "last" else self.result.get("best") or {}
        return float(source.get("metrics", {}).get(column.metric, nan))

    @cached_property
    def curves(self) -> Mapping[str, np.ndarray]:
        """Per-step scalars of the training by name, and ``step``."""
        return results.read_curves(self.root, self.run.training_key)

    @cached_property
    def scores(self) -> Mapping[str, np.ndarray]:
        """Test scores of the training, video axis first (``model.case.Case.scores``)."""
        return results.read_scores(self.root, self.run.training_key)

    def log(self) -> Path:
        """What the attempt printed."""
        return results.training_folder(self.root, self.run.training_key) / "log.txt"

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """(steps, values) of a scalar: of each training step, else of the evaluations; None where neither has it."""
        if name in self.curves:
            return self.curves["step"], self.curves[name]
        evaluated = self.result.get("curve", {})
        return (np.array(evaluated["step"]), np.array(evaluated[name])) if name in evaluated else None

    def level(self, name: str, share: float) -> float:
        """A curve's value at a share of the training: its mean over the WINDOW before; NaN where there is none."""
        curve = self.curve(name)
        if curve is None:
            return nan
        steps, values = curve
        shares = steps / self.run.settings.training.steps
        inside = (shares <= share + 1e-9) & (shares > share - WINDOW)
        return float(values[inside].mean()) if inside.any() else nan


@dataclass(frozen=True)
class Records:
    """A study with the records of its runs, in the order of ``study.runs``."""

    study: "Study"
    records: tuple[Record, ...]
    root: Path  # of the store

    def plus(self, added: Sequence[Record]) -> "Records":
        """With further records, whose runs count as the study's then."""
        runs = [*self.study.runs, *(record.run for record in added)]
        return Records(replace(self.study, runs=runs), (*self.records, *added), self.root)

    def of(self, row: int, column: str | None = None) -> list[Record]:
        """Finished records of a row, one per seed, under its first column's scoring unless another is named."""
        name = column or self.study.columns[0].name
        mine = [record for record in self.by_row.get(row, []) if name in record.run.columns]
        return [record for record in mine if record.finished]

    @cached_property
    def by_row(self) -> Mapping[int, list[Record]]:
        """All records of each row, by its number."""
        out: dict[int, list[Record]] = {}
        for record in self.records:
            out.setdefault(record.run.row, []).append(record)
        return out

    @cached_property
    def values(self) -> Mapping[tuple[int, str], Mapping[int, float]]:
        """(row, column) -> seed -> value, NaN for a run without result."""
        out: dict[tuple[int, str], dict[int, float]] = {}
        columns = {column.name: column for column in self.study.columns}
        for record in self.records:
            for name in record.run.columns:
                out.setdefault((record.run.row, name), {})[record.run.seed] = record.value(columns[name])
        return out

    @property
    def states(self) -> list[str]:
        """Status of each run."""
        return [record.status for record in self.records]

    @cached_property
    def trainings(self) -> Mapping[str, Mapping[str, Any]]:
        """training.json by training key, each once; empty for a training that was not run."""
        return {record.run.training_key: record.training for record in self.records}

    def dataset(self, record: Record) -> data.Dataset:
        """The videos that a run was trained and scored on."""
        return data.load(record.run.settings.source, self.root)

    def frame(self) -> "pd.DataFrame":
        """One line per run and column; ``value`` is NaN where there is no result (``status`` says why).

        ``paper`` is the printed number; a column for each setting in which rows differ follows, by dotted path.
        """
        import pandas as pd

        rows = {row.number: row for row in self.study.rows}
        columns = {column.name: column for column in self.study.columns}
        differing = find_differences(self.study.rows)
        lines = []
        for record in self.records:
            run, row = record.run, rows[record.run.row]
            for column in (columns[name] for name in run.columns):
                line = {
                    "study": self.study.name,
                    "row": run.row,
                    "label": row.label,
                    "seed": run.seed,
                    "column": column.name,
                    "metric": column.metric,
                    "value": record.value(column),
                    "selection": column.selection,
                    "status": record.status,
                    "paper": row.paper.get(column.name),
                }
                lines.append(line | differing[run.row])
        settings = next(iter(differing.values()), {})
        return pd.DataFrame(lines, columns=[*FRAME, "paper", *settings]).astype({"paper": float})


def find_differences(rows: Sequence["Row"]) -> dict[int, dict[str, Any]]:
    """The settings that are not the same in all rows, by row number and dotted path; None where a row has none."""
    values = {row.number: keys.flat(row.settings) for row in rows}
    differing: dict[int, dict[str, Any]] = {number: {} for number in values}
    for path in dict.fromkeys(chain.from_iterable(values.values())):
        found = {number: own.get(path) for number, own in values.items()}
        if len(set(map(str, found.values()))) > 1:
            for number, value in found.items():
                differing[number][path] = value
    return differing


def read(study: "Study", root: Path) -> Records:
    """The records of a study's runs; each file is read once, also where runs share a training."""
    return Records(study, tuple(read_runs(study.runs, root)), root)


def read_runs(runs: Sequence["Run"], root: Path) -> Iterable[Record]:
    """The record of each run."""
    trainings: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        key = run.training_key
        if key not in trainings:
            trainings[key] = drop_settings(results.read_training(root, key))
        result = drop_settings(results.read_result(root, key, run.scoring_key))
        yield Record(run, results.state(trainings[key], result, run.settings), trainings[key], result, root)


def drop_settings(content: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A stored record without its settings; empty for none."""
    return {name: value for name, value in (content or {}).items() if name != "settings"}
