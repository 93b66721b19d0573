"""examples/explore.ipynb runs from its first cell to its last, in a fresh folder, and leaves what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
NOTEBOOK = json.loads((HOME / "examples" / "explore.ipynb").read_text())


def read_code():
    return ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_no_results_are_committed_with_the_notebook():
    assert all(not cell.get("outputs") for cell in NOTEBOOK["cells"])


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    checks = [
        "assert table['value'].notna().all() and {'paper', 'case.sigma'} <= {*table.columns}, table",
        "assert drawn.path.exists(), drawn",
        "assert all(len(shape) for shape in {name: array.shape for name, array in first.scores.items()}.values())",
        "assert len(plt.gcf().axes) == 1",
    ]
    env = os.environ | {"PYTHONPATH": str(HOME), "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    call = [sys.executable, "-c", "\n".join([*read_code(), *checks])]
    done = subprocess.run(call, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mlruns/reports/fig3/synthetic-tiny/table.csv").exists()
    assert list((tmp_path / "figures").glob("entropy*"))
