"""No recorded file is left uncompared: each is collected by the test file that its kind names, whatever its name."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.reference import CLAIMED, FOLDERS, folder, kind

TESTS = Path(__file__).parent


def collect(*arguments: str) -> list[str]:
    """Ids of all parity tests."""
    files = [str(path) for path in sorted(TESTS.glob("test_parity_*.py")) if path.name != Path(__file__).name]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *files, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def find_uncompared(paths: list[Path], ids: list[str]) -> list[str]:
    """Files that no test of the file that claims them names; halves of a recording (.npz, .json) share a name."""
    left = []
    for path in paths:
        own = [line for line in ids if f"{CLAIMED.get(kind(path), 'nothing')}.py::" in line]
        named = any(f"[{path.stem}{end}" in line for line in own for end in "-.]")
        if kind(path) != "document" and not named:
            left.append(path.name)
    return left


@pytest.mark.shared
@pytest.mark.parametrize("which", FOLDERS)
def test_every_file_is_compared_whatever_its_name(which: str, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """A copy of the folder under other names (x000, x001, ...), and in it a file that nothing understands."""
    if (where := folder(pytestconfig, which)) is None:
        pytest.skip(f"../shared/{which} is absent")
    stems, copies = sorted({p.stem for p in where.iterdir()}), [tmp_path / "stranger.npz"]
    copies[0].write_bytes(b"of no kind")
    for path in sorted(where.iterdir()):
        by_name = path.suffix == ".md" or kind(path).startswith("eval_")  # those name each other
        name = path.stem if by_name else f"x{stems.index(path.stem):03}"
        copies.append(tmp_path / f"{name}{path.suffix}")
        shutil.copy(path, copies[-1])
    assert find_uncompared(copies, collect(f"--{which}", str(tmp_path))) == ["stranger.npz"]
