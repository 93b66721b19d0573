"""The code that determines a result: its digest, and the commit it was checked out from."""

import ast
import hashlib
import re
import subprocess
from functools import cache
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
# Beside a run's settings and its baseline's file; ``store/scores.py`` rounds scores before they are scored.
SOURCES = ("model/*.py", "harness/data/*.py", "harness/compute/*.py", "harness/store/scores.py")
DECLARATIONS = ("model/settings.py", "model/options.py")  # of settings: their values are in the key, nothing there runs


@cache
def digest(baseline: str) -> str:
    """16 hex digits over the code (no comments, docstrings or layout) that runs a baseline.

    Every file of ``SOURCES``, but for ``DECLARATIONS``; and the baseline's file. So a new baseline, with its options,
    leaves the results of the others fresh.
    """
    paths = {path for name in SOURCES for path in HOME.glob(name)}
    paths -= {HOME / name for name in DECLARATIONS}
    total = hashlib.sha256()
    for path in sorted(paths | own_files(HOME / "model" / "baselines", baseline)):
        total.update(f"{path.relative_to(HOME).as_posix()}\n{code(path.read_text())}\n".encode())
    return total.hexdigest()[:16]


def own_files(folder: Path, baseline: str) -> set[Path]:
    """A baseline's file, and those of the baselines that it builds on."""
    path = folder / f"{baseline}.py"
    others = re.findall(r"^from model\.baselines\.(\w+) import", path.read_text(), re.MULTILINE)
    return {path}.union(*(own_files(folder, other) for other in others))


@cache  # parsing is what a digest costs, and most files are the same for all baselines and data sets
def code(source: str) -> str:
    """Python source reduced to what runs: its syntax tree without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]
    return ast.dump(tree)


def git(*arguments: str) -> str:
    """Output of a git command on the sources; empty in an unpacked archive or without git."""
    if not (HOME / ".git").exists():
        return ""
    command = ["git", "-C", str(HOME), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.rstrip()
    except (OSError, subprocess.SubprocessError):
        return ""


def commit() -> str:
    """Commit of the sources; "unknown" in an unpacked archive."""
    return git("describe", "--always", "--dirty") or "unknown"
