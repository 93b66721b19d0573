"""Studies and run stores made by hand, for tests of what is rendered from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from harness import study
from harness.store import results
from harness.store.records import FRAME, Record, Records
from harness.study.metrics import CURVE

HEAD = """
title: A study with P^A & 100 % care
base: paper
seeds: {seeds}
toggles: {{SCC: {{case.lambda_c: 0}}, CAT: {{case.cat: 0}}}}
rows:
  - {{on: [], paper: {{mAP: 38.3, H: 2.77}}}}
  - {{on: [SCC], paper: {{mAP: 40.3, H: 1.25}}}}
  - {{on: [SCC, CAT], paper: {{mAP: 46.2, H: null}}}}
columns: {{mAP: map/avg, H: entropy/Q_R}}
"""
Values = Mapping[tuple[int, str], Sequence[float]]  # (row, column) -> by seed
BEATS = "row: 2, beats: 1, on: mAP, by: 2.0"
BASE = np.array([38.0, 39.1, 37.5, 38.6, 38.2])
NOISE = np.array([0.1, -0.2, 0.15, 0.05, -0.1])


def load(folder, claims="[]", seeds="5", text=HEAD, **options):
    """The study above (or ``text``) with these claims, from a file in ``folder``."""
    path = folder / "made.yaml"
    path.write_text(text.format(seeds=seeds) + f"claims: {claims}\n")
    return study.load(path, root=folder / "mlruns", **options)


def claim(text):
    """One claim with quote and section, as YAML in a list."""
    return f'[{{quote: "as the paper says", section: "4.3", {text}}}]'


def frame(loaded: study.Study, values: Values) -> pd.DataFrame:
    """The tidy frame of a study: the n-th value of a row and column is that of seed n; NaN where none is given."""
    lines = []
    for run in loaded.runs:
        row = next(row for row in loaded.rows if row.number == run.row)
        for column in (column for column in loaded.columns if column.name in run.columns):
            given = values.get((run.row, column.name), ())
            value = given[run.seed] if run.seed < len(given) else np.nan
            lines.append((loaded.name, run.row, row.label, run.seed, column.name, column.metric, value, "last", "ok"))
    return pd.DataFrame(lines, columns=list(FRAME))


def records(loaded: study.Study, values: Values) -> Records:
    """Records that hold these values, without a store."""
    made = [record(run, loaded.columns, values) for run in loaded.runs]
    return Records(loaded, tuple(made), Path("nowhere"))


def record(run: study.Run, columns: Sequence[study.Column], values: Values) -> Record:
    """The record of one run whose n-th value is that of seed n."""
    metrics, curves = {}, {"step": np.array([run.settings.training.steps])}
    for column in (column for column in columns if column.name in run.columns):
        given = values.get((run.row, column.name), ())
        if run.seed < len(given):
            metrics[column.metric] = given[run.seed]
            curves[column.metric.removeprefix(CURVE)] = np.array([given[run.seed]])
    made = Record(run, "ok", {}, {"metrics": metrics, "best": {"metrics": metrics}}, Path("nowhere"))
    made.__dict__["curves"] = curves  # as read from a store
    return made


def fill(loaded: study.Study, root, metric=None, curve=None, failed=()):
    """Write a run store: ``metric(row, seed, name)`` at the end, ``curve(row, seed)`` (100,) as curve entropy/Q_R."""
    metric = metric or (lambda row, seed, name: 40.0 + row + 0.1 * np.random.default_rng([row, seed]).normal())
    for run in loaded.runs:
        broke = (run.row, run.seed) in failed
        steps = np.linspace(0, run.settings.training.steps, 101)[1:]
        curves = {"step": steps, "entropy/Q_R": np.ones(100) if curve is None else curve(run.row, run.seed)}
        record = {
            "status": "failed" if broke else "ok",
            "reason": "made to",
            "seed": run.seed,
            "seconds": {"total": 2.0},
        }
        arrays = {} if broke else {"curves": curves}
        results.write_training(root, run.training_key, {**record, "torch": "2"}, arrays, {}, run.settings)
    for run in (run for run in loaded.runs if (run.row, run.seed) not in failed):
        names = {"map/avg", "map/0.1:0.7"} | {column.metric for column in loaded.columns}
        found = {name: metric(run.row, run.seed, name) for name in sorted(names)}
        result = {"metrics": found, "curve": {"step": [1]}, "best": {"step": 1, "metrics": found}}
        results.write_result(root, run.training_key, run.scoring_key, result, {"results": {}}, run.settings)
