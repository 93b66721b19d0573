"""Two studies of one name that share a row, run at once on a fresh folder, with reports beside them."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pandas as pd

from support import faults

OTHER = faults.STUDY.replace("case.lambda_c: 0", "case.lambda_r: 0")


def report(root, folder):
    """Render the study of a folder; returns exit code and what was said of errors."""
    command = [sys.executable, "-m", "harness.report", "toy.yaml", "--data", "tiny", "--output", str(root)]
    env = faults.environment()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_two_studies_and_reports_at_once_on_a_fresh_folder(tmp_path):
    root, folders = tmp_path / "shared", [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    options = ("--output", str(root))
    both = [faults.start(folder, text, options) for folder, text in zip(folders, (faults.STUDY, OTHER))]
    assert faults.wait_until(lambda: any(root.glob("store/*/log.txt")), faults.PATIENCE)
    beside = [report(root, folder) for folder in folders]
    said = [process.communicate(timeout=4 * faults.PATIENCE) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert beside == [(0, ""), (0, "")]
    logs = [path.read_text() for path in root.glob("store/*/log.txt")]
    assert [len(re.findall("^train ", log, re.MULTILINE)) for log in logs] == [1, 1, 1], "each was trained once"
    assert not [path for path in root.rglob("*") if path.name == "owner.json" or path.name.startswith(".toy")]
    tables = [pd.read_csv(path) for path in root.glob("reports/toy*/*/table.csv")]
    assert len(tables) == 2
    pd.testing.assert_frame_equal(tables[0].iloc[:2], tables[1].iloc[:2])
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        states = {state for (state,) in database.execute("SELECT DISTINCT status FROM runs")}
        names = {name for (name,) in database.execute("SELECT name FROM experiments")}
    assert states == {"FINISHED"}
    assert len([name for name in names if name.startswith("toy")]) == 2
