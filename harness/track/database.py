"""Where runs are tracked, and the database that holds them. Imports mlflow late: it takes seconds.

Only the driver opens it, under a file lock: a fresh store opened by several processes at once breaks for good.
"""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.store.files import landing

PAGES = "http://127.0.0.1:5000"  # where ``python -m harness.ui`` listens


def find_address(root: Path) -> str:
    """Where runs are tracked: ``MLFLOW_TRACKING_URI`` when set, else the database of ``root``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(root / 'mlflow.db').resolve()}"


def has_server() -> bool:
    """Whether runs are tracked by a server of its own instead of the database of the results' folder."""
    return "MLFLOW_TRACKING_URI" in os.environ


def find_pages() -> str:
    """Address of the pages that show runs: of the server that tracks them, else of ``python -m harness.ui``."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    return address.rstrip("/") if address.startswith("http") else PAGES


def silence() -> None:
    """No telemetry, no migration chatter; set before mlflow is imported."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # a server that is down costs seconds, not minutes
    logging.getLogger("alembic").setLevel(logging.WARNING)


def lock_database(root: Path) -> FileLock:
    """The lock under which runs are mirrored."""
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / "mlflow.lock")


def create_database(root: Path) -> None:
    """Make ``root``/mlflow.db where it is missing: migrated in a temporary file, then renamed, so that it is whole."""
    path = root / "mlflow.db"
    if has_server() or path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with landing(path) as temporary:
        store: Any = SqlAlchemyStore  # untyped
        store(f"sqlite:///{temporary.resolve()}", locate_artifacts(root)).engine.dispose()
        with closing(sqlite3.connect(temporary)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # readers (the UI) and this writer do not wait for each other


def locate_artifacts(root: Path) -> str:
    """Address of the folder for files of runs."""
    return (root / "artifacts").resolve().as_uri()
