"""A study's report as files: table, claims, figures and page, written from records that were read once."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.claims import verdicts as claims
from harness.claims import wording
from harness.claims.gains import describe_gains, summarise_gains
from harness.report import latex, tables
from harness.report.content import Report
from harness.report.figures import Say, draw_figures, ignore
from harness.report.notes import list_notes
from harness.report.page import dump_json, format_page
from harness.store.files import write_text
from harness.store.records import Records
from harness.store.requests import note_names
from harness.study.keys import digest

if TYPE_CHECKING:
    from harness.study import Study

HOME_BASE, HOME_DATA = "paper", "synthetic"  # reports of these have no sub-folder
LONGEST = 100  # characters of a folder's name, before its digest
NO_LINKS: Mapping[str, str] = MappingProxyType({})


def locate_report(study: "Study", root: Path) -> Path:
    """Where a study's report lies: reports/<study>/, in a sub-folder for other data, another base or --set."""
    parts = [study.data_name] if study.data != HOME_DATA or study.base != HOME_BASE else []
    parts += [study.base_name] if study.base != HOME_BASE else []
    place = root / "reports" / study.name
    return place / name_folder([*parts, *study.sets]) if parts or study.sets else place


def name_folder(parts: Sequence[str]) -> str:
    """Parts as one name of a folder; a digest stands for what would be too long, or is no part of a name."""
    text = "-".join(parts)
    name = re.sub(r"[^\w.=+-]", "_", text)
    return name if name == text and len(name) <= LONGEST else f"{name[:LONGEST]}-{digest(list(parts))[:8]}"


def write_report(
    records: Records, links: Mapping[str, str] = NO_LINKS, videos: Sequence[str] = (), say: Say = ignore
) -> Report:
    """Write table, claims, figures and page of a study; ``links``: identity of a run -> address of its page.

    ``videos`` are those whose time lines are asked for; ConfigError where one is no test video. ``say`` is told what is
    being done.
    """
    place = locate_report(note_names(records.study, records.root), records.root)
    place.mkdir(parents=True, exist_ok=True)
    cells, verdicts, notes = tables.make_cells(records), claims.judge(records), list_notes(records)
    drawn, troubles = draw_figures(records, place, videos=videos, verdicts=verdicts, say=say)
    overall = describe_gains(summarise_gains(records))
    report = Report(records, place, cells, verdicts, notes, drawn, troubles, overall)
    texts = {
        "table.csv": tables.format_csv(records.study, cells),
        "table.md": tables.format_markdown(records.study, cells, notes),
        "table.tex": latex.format_latex(records.study, cells, notes),
        "claims.json": dump_json(wording.as_json(verdicts)),
        "claims.md": wording.markdown(verdicts) + (f"\n{overall}\n" if overall else ""),
        "report.html": format_page(report, links),
    }
    for name, text in texts.items():
        write_text(place / name, text)
    return report
