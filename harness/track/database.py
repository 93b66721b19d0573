"""Where runs are tracked, and the database that holds them. Imports mlflow late: it takes seconds.

Only the driver opens it, under a file lock: a fresh store opened by several processes at once breaks for good.
"""

import contextlib
import logging
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from harness.store.files import landing

ENDING = "/artifacts/"  # of the address of the folder for files, in that of an experiment's
LOCATIONS = (("experiments", "artifact_location"), ("runs", "artifact_uri"))  # where MLflow keeps addresses of files


def find_address(root: Path) -> str:
    """Where runs are tracked: ``MLFLOW_TRACKING_URI`` when set, else the database of ``root``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or address_file((root / "mlflow.db").resolve())


def address_file(path: Path) -> str:
    """SQLAlchemy's address of an SQLite file; characters that have a meaning in addresses are escaped."""
    if not set("?#%") & set(str(path)):
        return f"sqlite:///{path}"
    escaped = quote(quote(str(path)))  # SQLAlchemy takes one level of escapes away, SQLite the other
    return f"sqlite+pysqlite:///file:{escaped}?uri=true"  # with the driver: else MLflow makes a folder "file:"


def has_server() -> bool:
    """Whether runs are tracked by a server of its own instead of the database of the results' folder."""
    return "MLFLOW_TRACKING_URI" in os.environ


def tell_trouble(error: Exception) -> None:
    """Say that MLflow could not be reached or written, and that nothing is lost by that."""
    reason = str(error).partition("\n")[0]  # SQLAlchemy goes on with the statement
    print(f"MLflow could not be brought up to date: {type(error).__name__}: {reason}", file=sys.stderr)
    print("results are kept; later: python -m harness.track sync STUDY", file=sys.stderr)


def silence() -> None:
    """No telemetry, no migration chatter; set before mlflow is imported."""
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # a server that is down costs seconds, not minutes
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")  # and so does one that accepts and stays silent
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock under which runs are mirrored; says so where it has to wait."""
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / "mlflow.lock")
    try:
        lock.acquire(timeout=1)
    except Timeout:
        print(f"waiting: another process mirrors to {root}", file=sys.stderr)
        lock.acquire()
    try:
        if has_server():
            print("waiting for the server at MLFLOW_TRACKING_URI, 10 s a request at most", file=sys.stderr)
        yield
    finally:
        lock.release()


def create_database(root: Path) -> None:
    """Make ``root``/mlflow.db where it is missing: migrated in a temporary file, then renamed, so that it is whole.

    What was mirrored to an earlier one is forgotten, so that it is mirrored again.
    """
    path = root / "mlflow.db"
    if has_server() or path.exists():
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    shutil.rmtree(root / "reports" / ".mirrored", ignore_errors=True)
    with landing(path) as temporary:
        store: Any = SqlAlchemyStore  # untyped
        default = quote(locate_artifacts(root), safe=":/")  # MLflow takes one level of escapes away
        store(address_file(temporary.resolve()), default).engine.dispose()
        with closing(sqlite3.connect(temporary)) as database:
            database.execute("PRAGMA journal_mode=WAL")  # readers (the UI) and this writer do not wait for each other


def is_damaged(root: Path) -> bool:
    """Whether the database is there and is no sound one."""
    path = root / "mlflow.db"
    if has_server() or not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
            tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'experiments'").fetchone()
    except sqlite3.DatabaseError as error:
        return "locked" not in str(error)
    return found != "ok" or tables != (1,)


def move_aside(root: Path) -> Path:
    """Give a database another name, with what SQLite keeps beside it; returns that name."""
    aside = root / f"mlflow.db.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    for ending in ("-wal", "-shm"):
        (root / f"mlflow.db{ending}").unlink(missing_ok=True)
    (root / "mlflow.db").replace(aside)
    return aside


def mend_locations(root: Path) -> None:
    """Let a database whose folder was moved or copied find its files again: MLflow keeps their addresses absolute."""
    path, artifacts = root / "mlflow.db", locate_artifacts(root)
    if has_server() or not path.exists():
        return
    with closing(sqlite3.connect(path)) as database, database:
        known = database.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
        roots = {location[: location.rfind(ENDING)] + ENDING.rstrip("/") for (location,) in known if ENDING in location}
        for before in roots - {artifacts}:
            for table, column in LOCATIONS:
                moved = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} LIKE ? ESCAPE '!'"
                escaped = re.sub("[!%_]", r"!\g<0>", before)
                database.execute(moved, (artifacts, len(before) + 1, f"{escaped}/%"))


def locate_artifacts(root: Path) -> str:
    """Address of the folder for files of runs."""
    return (root / "artifacts").resolve().as_uri()
