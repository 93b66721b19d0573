"""Where MLflow's pages are shown, without mlflow: links follow the port on which ``python -m harness.ui`` listens."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.files import read_json, write_json, write_text
from harness.track.stamps import open_stamp, read_stamp

if TYPE_CHECKING:
    from harness.study import Study

PORT = 5000
LINK = re.compile(r"http://127\.0\.0\.1:\d+/(?=#/experiments/)")  # of a run, in a report


def locate_port(root: Path) -> Path:
    """The file that says on which port the pages of a folder were shown last."""
    return root / "reports" / ".mirrored" / "port.json"


def address_local(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def find_pages(root: Path) -> str:
    """Address of the pages that show runs: of the server that tracks them, else of ``python -m harness.ui``."""
    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    if server.startswith("http"):
        return server.rstrip("/")
    known = read_json(locate_port(root))
    return address_local(known if isinstance(known, int) else PORT)


def name_pages(root: Path) -> str:
    """How to look at tracked runs."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return "at MLFLOW_TRACKING_URI"
    return "python -m harness.ui" + ("" if root == Path("mlruns") else f" --output {root}")


def read_addresses(study: "Study", root: Path) -> Mapping[str, str]:
    """Identity -> address of the page of each run of a study that was mirrored."""
    pages = find_pages(root)
    return {identity: f"{pages}/{place}" for identity, place in read_stamp(study, root).places.items()}


def address_table(study: "Study", root: Path) -> str:
    """Address at which MLflow shows a study's table; empty where it was not mirrored."""
    table = read_stamp(study, root).table
    return f"{find_pages(root)}/{table}" if table else ""


def move_pages(root: Path, port: int) -> None:
    """Let the links of all reports lead to ``port``, and those of later ones."""
    write_json(locate_port(root), port)
    for path in (root / "reports").glob("**/report.html"):
        before = path.read_text(encoding="utf-8")
        after = LINK.sub(f"{address_local(port)}/", before)
        if after != before:
            write_text(path, after)


def list_tables(root: Path) -> Iterator[tuple[str, str]]:
    """(experiment, address of its table) of all studies that were mirrored."""
    for path in sorted((root / "reports" / ".mirrored").glob("*-*.json")):
        stamp = open_stamp(path)
        if stamp.table:
            yield stamp.experiment, f"{find_pages(root)}/{stamp.table}"
