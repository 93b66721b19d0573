"""The live table of a call: it fits the terminal, its last line stays, and it shows what is at work."""

import io

import pytest
from rich.console import Console

from harness import study
from harness.execute.board import Board
from harness.execute.events import Event
from harness.store.jobs import Progress
from harness.store.plan import make_plan


@pytest.fixture
def show(tmp_path):
    """Lines of the board in the midst of a call: ``ended`` jobs are over, two are at work."""

    def draw(names, seeds, width, height, ended=0):
        studies = [study.load(name, quick=True, seeds=seeds, root=tmp_path) for name in names]
        plan = make_plan(studies, tmp_path)
        console = Console(width=width, height=height, force_terminal=True, file=io.StringIO(), color_system=None)
        board = Board(studies, plan, tmp_path, 2, console)
        for job in plan.todo[: ended + 2]:
            board(Event(job, "started"))
        for job in plan.todo[:ended]:
            board(Event(job, "ok", seconds=4.0))
        for job in plan.todo[ended : ended + 2]:
            board(Event(job, "progress", Progress(job.training_key, 30, 60, value=34.5)))
        console.print(board)
        return console.file.getvalue().splitlines()

    return draw


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 40), (40, 12)])
@pytest.mark.parametrize(
    ("names", "seeds"), [(["table2"], 20), (["table1"], 2), (["fig3"], 2), (["table2", "table3"], 5)]
)
def test_board_fits_and_its_status_stays(show, names, seeds, width, height):
    lines = show(names, seeds, width, height, ended=4)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert lines[-1].startswith("4/")
    assert any("50% 34.5" in line for line in lines), "what runs is shown"


def test_board_shows_rows_and_seeds_at_work(show):
    """Of thirty rows those that run, of twenty seeds those from the first with work to do."""
    lines = show(["table1"], 2, 80, 24, ended=24)
    assert any("more rows)" in line for line in lines)
    assert sum("50% 34.5" in line for line in lines) == 2
    head = next(line for line in show(["table2"], 20, 80, 24, ended=60) if "seed" in line)
    assert "seed 10" in head
    assert "seed 9" not in head
