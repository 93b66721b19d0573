"""CONTRIBUTING.md followed to the letter: its least baseline, a toy metric, figure, data layout and executor.

The sources are copied, the steps of the guide are done there and nothing else, and the study runs on all five.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mutants.__main__ import copy_sources

FILES = {
    "studies/baselines/toy.yaml": """
localization.thresholds:
  product: [0.01, 0.02, 0.04, 0.08]
""",
    "harness/report/figures/toy.py": '''
"""A toy figure: how many seeds each row has."""

from harness.report.figures.drawing import Drawing
from harness.store.records import Records


def draw_toy(records: Records) -> Drawing | None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    rows = [row.number for row in records.study.rows]
    axes.bar(rows, [len(records.of(row)) for row in rows])
    return Drawing(figure, "Seeds per row.", "A bar for each row.")
''',
    "harness/data/toy.py": '''
"""A toy layout: ID.STREAM.npy beside toy.txt, annotations as in split folders."""

from pathlib import Path

from harness.data.features import Part
from harness.data.split_folders import list_texts, list_videos

__all__ = ["list_texts", "list_videos"]
HOLDS = "toy.txt, ID.STREAM.npy, gt.json"


def recognise(folder: Path) -> bool:
    return (folder / "toy.txt").exists()


def find_streams(folder: Path) -> tuple[str, ...]:
    return ("rgb", "flow")


def place(folder: Path, split: str, stream: str, video: str) -> Part:
    return Part(folder / f"{video}.{stream}.npy")
''',
    "harness/execute/toy.py": '''
"""A toy executor: one job after the other, in this process."""

import time
from collections.abc import Sequence

from harness.execute.events import LENIENT, Event, OnEvent, Policy, Slot
from harness.execute.queue import Queue
from harness.execute.worker import work
from harness.store.jobs import Job


def run_here(jobs: Sequence[Job], on_event: OnEvent, slots: Sequence[Slot], policy: Policy = LENIENT) -> None:
    if not jobs:
        return
    with Queue(jobs, on_event, policy) as queue:
        while queue.waiting:
            job = queue.take()
            if job is None:
                time.sleep(0.2)
                continue
            on_event(Event(job, "started"))
            began = time.perf_counter()
            reason = work(job, lambda progress: None)
            spent = time.perf_counter() - began
            queue.end(Event(job, "failed" if reason else "ok", None, reason, spent))
''',
}
OPTIONS = """
@dataclass(frozen=True)
class ToyOptions:
    topk: Divisor = 8  # T // topk snippets are pooled per class


OPTIONS: """
LINES = {  # file -> (before, what the guide puts there)
    "model/options.py": [
        ("\nOPTIONS: ", OPTIONS),
        ('    "proposed": ProposedOptions,\n', '    "proposed": ProposedOptions,\n    "toy": ToyOptions,\n'),
    ],
    "harness/study/metrics.py": [
        ('    Metric("acc", ', '    Metric("detections", "detections", "", temporal=False),\n    Metric("acc", '),
    ],
    "harness/compute/score.py": [
        ("    return out, detections\n", '    return out | {"detections": float(len(detections.score))}, detections\n'),
    ],
    "harness/study/figures.py": [('    "forest": (', '    "toy": ("toy", "A toy"),\n    "forest": (')],
    "harness/data/layouts.py": [
        ("import actionformer, activitynet, split_folders", "import actionformer, activitynet, split_folders, toy"),
        ('    "split folders": split_folders,\n', '    "toy": toy,\n    "split folders": split_folders,\n'),
    ],
    "harness/execute/executors.py": [
        ('    "local": Executor(', '    "toy": Executor("toy.run_here"),\n    "local": Executor('),
    ],
}
STUDY = """
title: Five toys
seeds: 2
set: {case.baseline: toy, training.steps: 4, training.warm_up: 0, training.evaluate_every: 4}
rows:
  - {label: plain, set: {case.clusters: 0, case.cat: 0, case.lambda_c: 0, case.lambda_r: 0}}
  - {label: CASE}
columns: {found: detections, mAP: map/avg}
figures: [toy]
"""


def call(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": str(cwd), "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which the guide was followed, with a data set in the toy layout beside it."""
    place = tmp_path_factory.mktemp("extended") / "main"
    copy_sources(place)
    guide = (place / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (least,) = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)  # the least file of a baseline
    for name, text in {"model/baselines/toy.py": least.replace("NameOptions", "ToyOptions"), **FILES}.items():
        (place / name).write_text(text.lstrip(), encoding="utf-8")
    for name, changes in LINES.items():
        text = (place / name).read_text(encoding="utf-8")
        for before, after in changes:
            assert text.count(before) == 1, f"{name}: {before}"
            text = text.replace(before, after)
        (place / name).write_text(text, encoding="utf-8")
    (place / "toys.yaml").write_text(STUDY, encoding="utf-8")
    move_features(place)
    return place


def move_features(place: Path) -> None:
    """The embedded set as a folder in the toy layout."""
    done = call("harness.data", "synthetic", "--out", "toydata", "--scale", "tiny", cwd=place)
    assert done.returncode == 0, done.stderr
    folder = place / "toydata"
    for path in folder.glob("features/*/*/*.npy"):
        path.rename(folder / f"{path.stem}.{path.parent.name}.npy")
    (folder / "toy.txt").touch()


def test_the_guide_is_all_it_takes(extended: Path) -> None:
    arguments = ("toys.yaml", "--data", "toydata", "--executor", "toy", "--no-mlflow", "--output", "out")
    done = call("harness.run", *arguments, cwd=extended)
    assert done.returncode == 0, done.stdout + done.stderr
    (table,) = extended.glob("out/reports/toys/**/table.csv")
    lines = [line.split(",") for line in table.read_text().splitlines()]
    found = [float(line[4]) for line in lines if line[2] == "found"]
    assert len(found) == 2
    assert min(found) > 0
    assert list(table.parent.glob("toy.png"))


def test_ranges_of_a_new_baseline_are_checked_before_anything_runs(extended: Path) -> None:
    arguments = ("toys.yaml", "--data", "toydata", "--set", "case.options.topk=0", "--dry-run", "--output", "out2")
    done = call("harness.run", *arguments, cwd=extended)
    assert done.returncode == 2
    assert "case.options.topk" in done.stderr
    assert not (extended / "out2").exists()


def test_a_new_baseline_goes_through_the_contract(extended: Path) -> None:
    done = call("pytest", "-q", "-p", "no:cacheprovider", "tests/test_baselines.py", "-k", "toy", cwd=extended)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 5


def test_what_was_added_keeps_the_contracts(extended: Path) -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": str(extended)}
    done = subprocess.run(command, cwd=extended, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout
