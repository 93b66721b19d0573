"""examples/slurm.sh: a study as an array whose scheduler kills half of the tasks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
STUDY = ["fig3", "--quick", "--no-mlflow", "--output"]


def environment(folder):
    """With the scheduler of tests/support as sbatch, and a diary of what it did."""
    bin_ = folder / "bin"
    bin_.mkdir()
    script = bin_ / "sbatch"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HOME}/tests/support/sbatch.py" "$@"\n')
    script.chmod(0o755)
    own = {"PATH": f"{bin_}:{os.environ['PATH']}", "PYTHON": sys.executable, "PYTHONPATH": str(HOME)}
    return os.environ | own | {"OMP_NUM_THREADS": "1", "SBATCH_DIARY": str(folder / "diary")}


@pytest.mark.slow
def test_table_of_an_array_half_of_which_is_killed(tmp_path):
    env = environment(tmp_path)
    call = [HOME / "examples/slurm.sh", *STUDY, tmp_path / "array"]
    done = subprocess.run(call, cwd=HOME, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 runs in 4 tasks" in done.stdout
    diary = (tmp_path / "diary").read_text().splitlines()
    assert diary[0].strip() == "1-4"
    assert diary[-1] == "1-1 afterany:4711"
    assert "killed" in diary
    alone = [sys.executable, "-m", "harness.run", *STUDY, tmp_path / "alone"]
    assert subprocess.run(alone, cwd=HOME, env=env, capture_output=True, check=False).returncode == 0
    tables = [tmp_path / name / "reports/fig3/synthetic-tiny/table.csv" for name in ("array", "alone")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
    trained = list((tmp_path / "array/store").glob("*/training.json"))
    assert len(trained) == 4
    again = subprocess.run(call, cwd=HOME, env=env, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "runs in" not in again.stdout, "nothing is left to submit"
