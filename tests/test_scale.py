"""Many runs: a pool of dry workers finishes all of them, and a report reads each stored result once."""

import io
import sys
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from harness.bench import scale
from harness.execute.board import Board
from harness.report.writing import write_report
from harness.store import records
from harness.store.plan import make_plan

RUNS = 40
OPENED: Counter[str] = Counter()  # files opened while WATCHED is not empty, by path
WATCHED: list[str] = []


def hear(event: str, arguments: tuple) -> None:
    """An audit hook, which cannot be taken back: it counts only below a folder that is watched."""
    if event == "open" and WATCHED and isinstance(arguments[0], str) and arguments[0].startswith(WATCHED[0]):
        OPENED[arguments[0]] += 1


sys.addaudithook(hear)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A store in which a pool has finished all runs of a sweep."""
    folder = tmp_path_factory.mktemp("mlruns")
    scale.write_study(folder, RUNS // scale.SEEDS)
    scale.drive(load(folder), folder)
    return folder


def load(root: Path):
    return scale.load_study(root / "scale.yaml", root)


@pytest.fixture
def opened(root: Path):
    """Files of the store that are opened from here on, and how often."""
    OPENED.clear()
    WATCHED.append(f"{root / 'store'}/")
    yield OPENED
    WATCHED.clear()


def test_a_pool_finishes_every_run(root: Path) -> None:
    study = load(root)
    plan = make_plan([study], root)
    assert (len(plan.todo), len(plan.done)) == (0, RUNS)
    assert set(records.read(study, root).states) == {"ok"}


def test_a_report_reads_each_stored_result_once(root: Path, opened) -> None:
    write_report(records.read(load(root), root))
    stored = [str(path) for name in ("training.json", "*/result.json") for path in root.glob(f"store/*/{name}")]
    assert len(stored) == 2 * RUNS
    assert {path: opened[path] for path in stored} == dict.fromkeys(stored, 1)
    assert set(opened) == set(stored), "the table asks for no arrays"


def test_a_plan_reads_each_stored_result_once(root: Path, opened) -> None:
    make_plan([load(root)], root)
    assert set(opened.values()) == {1}
    assert len(opened) == 2 * RUNS


def test_a_board_reads_only_what_it_shows(root: Path, opened) -> None:
    study = load(root)
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    board = Board([study], make_plan([], root), root, 2, console)
    for _ in range(3):
        console.print(board.table(study, study.rows[:2], 60))
    assert opened
    assert set(opened.values()) == {1}
    shown = {run.training_key for run in study.runs if run.row <= 2}
    assert {Path(path).parts[-3] for path in opened} <= shown


@pytest.mark.slow
def test_growth_is_told_for_each_part() -> None:
    found = scale.measure_scale((10, 20), mirrored=False)
    parts = {"load", "plan of an empty store", "runs, driver alone", "plan of a full store", "report"}
    assert set(found) == parts | {scale.MEMORY}
    for name in parts:
        assert found[name]["sizes"] == [10, 20]
        assert min(found[name]["seconds"]) > 0
    assert found[scale.MEMORY]["sizes"] == [10, 20]
    assert min(found[scale.MEMORY]["mb"]) >= 0
