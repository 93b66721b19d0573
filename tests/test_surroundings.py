"""What the caller of a command may have closed or taken away: standard streams, the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent
PRINTS = """
import os
from harness.cli import guard

def work():
    with open("own.txt", "w") as stream:
        print("printed", flush=True)
        os.write(1, b"written")
        stream.write("its own")
    return 0

raise SystemExit(guard(work))
"""


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    """A command in a shell, with ``python`` for this interpreter."""
    env = os.environ | {"PYTHONPATH": str(HOME)}
    line = command.replace("python", sys.executable, 1)
    return subprocess.run(["bash", "-c", line], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_change_no_exit_code(closed, tmp_path):
    done = shell(f"python -m harness.run --list {closed}", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert shell(f"python -m harness.run nope {closed}", tmp_path).returncode == 2


def test_what_is_printed_to_a_closed_stream_is_in_no_file(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    done = shell("python prints.py <&- >&- 2>&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "own.txt").read_text() == "its own"


@pytest.mark.parametrize("module", ["run table2 --dry-run", "report table2", "data check tiny"])
def test_a_working_folder_that_is_gone_is_told(module, tmp_path):
    (tmp_path / "gone").mkdir()
    done = shell(f"cd gone && rmdir ../gone && python -m harness.{module}", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the working folder is gone; go to one that is there\n"
