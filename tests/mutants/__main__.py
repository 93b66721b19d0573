"""``python -m tests.mutants [WORD ...]``: make each wrong change of list.yaml in a copy, run the tests that must fail.

Prints a line per mutant and a total; exit code 1 where fewer than 95 % are noticed or a survivor has no reason.
``WORD`` limits the run to mutants whose file or description contains it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

HOME = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_name("list.yaml")
LEAST = 0.95  # share that must be noticed
AT_ONCE = 2


@dataclass(frozen=True)
class Mutant:
    """``before`` in ``file`` becomes ``after``; ``tests`` must fail then. ``survives``: why no test can tell."""

    what: str
    file: str
    before: str
    after: str
    tests: str
    survives: str = ""


def read_mutants(words: list[str]) -> list[Mutant]:
    mutants = [Mutant(**entry) for entry in yaml.safe_load(LIST.read_text(encoding="utf-8"))]
    return [m for m in mutants if not words or any(word in f"{m.file} {m.what}" for word in words)]


def copy_sources(place: Path) -> None:
    """What git tracks and what it would, as the working tree has it; ../shared stays reachable beside it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True).stdout.split("\n")
    for name in filter(None, names):
        if (HOME / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(HOME / name, place / name)
    shared = HOME.parent / "shared"
    if shared.is_dir():
        (place.parent / "shared").symlink_to(shared)


def is_noticed(mutant: Mutant) -> bool:
    """Whether the named tests fail on the mutant."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "main"
        copy_sources(place)
        path = place / mutant.file
        path.write_text(path.read_text(encoding="utf-8").replace(mutant.before, mutant.after), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.tests.split()]
        environment = os.environ | {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"{mutant.what}: pytest ended with {done.returncode}\n{done.stdout[-2000:]}")
        return done.returncode == 1


def run_mutants(mutants: list[Mutant]) -> Iterator[tuple[Mutant, bool]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from zip(mutants, pool.map(is_noticed, mutants))


def main() -> int:
    mutants = read_mutants(sys.argv[1:])
    noticed = unexplained = 0
    for mutant, seen in run_mutants(mutants):
        noticed += seen
        unexplained += not seen and not mutant.survives
        outcome = "noticed " if seen else "SURVIVES"
        reason = f" ({mutant.survives})" if mutant.survives and not seen else ""
        print(f"{outcome} {mutant.file}: {mutant.what}{reason}", flush=True)
    print(f"{noticed} of {len(mutants)} wrong changes noticed")
    return int(noticed < LEAST * len(mutants) or unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
