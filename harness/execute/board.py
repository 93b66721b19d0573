"""What a person sees while jobs run: a live table of rows x seeds; without a terminal, one line per finished job."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from harness.execute.events import Event
from harness.store import results
from harness.store.jobs import Progress
from harness.store.plan import Plan

if TYPE_CHECKING:
    from rich.console import Console, Group, RenderableType
    from rich.table import Table

    from harness.study import Row, Run, Study

HEADLINE = "map/avg"  # the number shown while jobs run
CELL = 10  # columns of the terminal that a seed takes: "100% 41.2"
FEWEST = 3  # rows with which a further study is shown


class Board:
    """State of all jobs of a call; an ``on_event`` for executors. Use as a context manager around the execution."""

    def __init__(self, studies: Sequence["Study"], plan: Plan, root: Path, slots: int, console: "Console") -> None:
        self.studies, self.plan, self.root, self.console = studies, plan, root, console
        self.slots = max(1, min(slots, len(plan.todo)))
        self.waiting = {job.training_key for job in plan.todo}
        self.progress: dict[str, Progress | None] = {}  # of running jobs
        self.failed: dict[str, str] = {}  # training key -> reason
        self.seconds: list[float] = []
        self.ended = 0
        self.known: dict[tuple[str, str], str] = {}  # (training key, scoring key) -> headline of what is finished
        self.began = time.perf_counter()

    def __call__(self, event: Event) -> None:
        """Take in one event; on a plain output, print a line when a job ended."""
        key = event.job.training_key
        self.waiting.discard(key)
        if event.kind in {"started", "progress"}:
            self.progress[key] = event.progress
            return
        self.progress.pop(key, None)
        self.ended += 1
        if not event.job.rescore and event.seconds:
            self.seconds.append(event.seconds)
        if event.kind == "failed":
            self.failed[key] = event.reason
        if not self.console.is_terminal:
            self.console.print(self.line(event), soft_wrap=True, markup=False, highlight=False)

    def line(self, event: Event) -> str:
        """Say how one job ended: "[12/30] table2 row 7+8, seed 1: 41.2 / 43.0 mAP, 6.1 s, about 2 min left"."""
        head = f"[{self.ended}/{len(self.plan.todo)}] {event.job.label}: "
        if event.kind == "failed":
            log = results.training_folder(self.root, event.job.training_key) / "log.txt"
            return f"{head}FAILED ({event.reason}); log: {log}"
        job = event.job
        found = [headline(self.root, job.training_key, scoring) for scoring in job.scorings]
        return f"{head}{' / '.join(found)} mAP, {event.seconds:.1f} s, {self.left()}"

    def left(self) -> str:
        """Expected time to the end, from the jobs that ended."""
        todo = len(self.plan.todo) - self.ended
        if not self.seconds or not todo:
            return "done" if not todo else "estimating"
        return f"about {duration(todo * sum(self.seconds) / len(self.seconds) / self.slots)} left"

    def cell(self, run: "Run") -> str:
        """State of one run: mAP when finished, percent done and mAP or loss while it runs, a dash when it failed."""
        key = run.training_key
        if key in self.failed:
            return "[red]-[/]"
        if key in self.progress:
            now = self.progress[key]
            return "[yellow]start[/]" if now is None else f"[yellow]{_share(now)}{_latest(now)}[/]"
        if key in self.waiting:
            return "[dim].[/]"
        if (key, run.scoring_key) not in self.known:
            self.known[key, run.scoring_key] = headline(self.root, key, run.scoring_key)
        return self.known[key, run.scoring_key]

    def table(self, study: "Study", rows: Sequence["Row"], width: int) -> "Table":
        """Rows x seeds of one study: of many seeds those that fit, from the first with work to do."""
        from rich.markup import escape
        from rich.table import Table

        label = min(max(len(f"{row.number} {row.label}") for row in study.rows), width // 2)
        seeds = self.choose_seeds(study, max(1, (width - label - 1) // CELL))
        table = Table(box=None, pad_edge=False)
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=label)
        for seed in seeds:
            table.add_column(f"seed {seed}", justify="right", no_wrap=True)
        numbers = {row.number for row in rows}
        shown = [run for run in study.runs if run.seed in seeds and run.row in numbers]
        cells = {(run.row, run.seed): self.cell(run) for run in shown}
        for row in rows:
            table.add_row(f"{row.number} {escape(row.label)}", *(cells.get((row.number, seed), "") for seed in seeds))
        return table

    def choose_seeds(self, study: "Study", most: int) -> list[int]:
        """At most ``most`` neighbouring seeds, from the first that has work to do."""
        seeds = sorted({run.seed for run in study.runs})
        todo = self.waiting | self.progress.keys()
        busy = {run.seed for run in study.runs if run.training_key in todo}
        first = seeds.index(min(busy)) if busy else 0
        start = max(0, min(first, len(seeds) - most))
        return seeds[start : start + most]

    def has_work(self, study: "Study") -> bool:
        """Whether a run of the study waits or is at work."""
        todo = self.waiting | self.progress.keys()
        return any(run.training_key in todo for run in study.runs)

    def choose_rows(self, study: "Study", most: int) -> list["Row"]:
        """At most ``most`` rows, in their order: first those that run are taken, then those that wait."""
        running = {run.row for run in study.runs if run.training_key in self.progress}
        waiting = {run.row for run in study.runs if run.training_key in self.waiting}
        ranked = sorted(study.rows, key=lambda row: (row.number not in running, row.number not in waiting))
        return sorted(ranked[:most], key=lambda row: row.number)

    def __rich__(self) -> "Group":
        """Tables as far as they fit the terminal, and below them a line that always stays."""
        from rich.console import Group
        from rich.text import Text

        shown: list[RenderableType] = []
        room = self.console.height - 2  # for that line, and the cursor's
        busy = [study for study in self.studies if self.has_work(study)]
        for study in busy or self.studies[:1]:
            rows = self.choose_rows(study, room - 2)
            if room < FEWEST + 2:
                break
            left_out = len(study.rows) - len(rows)
            more = f" ({left_out} more rows)" if left_out else ""
            shown.append(Text(f"{study.title}: mAP{more}", style="italic", no_wrap=True, overflow="ellipsis"))
            shown.append(self.table(study, rows, self.console.width))
            room -= len(rows) + 2
        spent = duration(time.perf_counter() - self.began)
        line = f"{self.ended}/{len(self.plan.todo)} runs, {spent}, {self.left()}; Ctrl-C keeps what is done"
        shown.append(Text(line, no_wrap=True, overflow="ellipsis"))
        return Group(*shown)

    def __enter__(self) -> Self:
        """Start the live view on a terminal."""
        if self.console.is_terminal:
            from rich.live import Live

            self.live = Live(self, console=self.console, refresh_per_second=4)
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self.live.stop()


def headline(root: Path, training_key: str, scoring_key: str) -> str:
    """Mean average precision of a stored scoring, in percent; a dash where there is none."""
    result = results.read_result(root, training_key, scoring_key)
    return "-" if result is None else _percent(result["metrics"].get(HEADLINE)).strip() or "-"


def _percent(value: float | None) -> str:
    return "" if value is None else f" {value:.1f}"


def _latest(progress: Progress) -> str:
    """mAP where it was evaluated, else the loss."""
    if progress.value is None and progress.loss is not None:
        return f" loss {progress.loss:.2f}"
    return _percent(progress.value)


def _share(progress: Progress) -> str:
    return f"{100 * progress.step / progress.steps:.0f}%"


def duration(seconds: float) -> str:
    """Seconds as people say them: "45 s", "3.5 min", "2.1 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
