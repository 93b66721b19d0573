"""Command lines: an option is taken by its whole name only, and the nearest is named."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "given", "nearest"),
    [
        ("harness.run", ["table2", "--seed", "3"], "--seeds"),
        ("harness.run", ["table2", "--nomlflow"], "--no-mlflow"),
        ("harness.report", ["table2", "--video=x"], "--videos"),
        ("harness.data", ["check", "tiny", "--jsn"], "--json"),
        ("harness.search", ["search_case", "--trial", "3"], "--trials"),
    ],
)
def test_unknown_option_names_the_nearest(module, given, nearest, tmp_path):
    """No option is taken by half of its name: "--seed 3" might mean one seed, or three."""
    done = subprocess.run(
        [sys.executable, "-m", module, *given], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"did you mean '{nearest}'?" in done.stderr
    assert not list(tmp_path.iterdir())
