"""``python -m tests.torture [--kills N] [--seed S]``: kill the command line many times, and count what goes wrong.

Each chain of kills, one in every phase, starts on an empty folder and is then completed; its table must be that of an
uninterrupted run, byte for byte. ``FAULTS_SLOW=20`` stretches delays and patience on a machine that is so many times
slower than a quiet core. Exit code 1 where anything was wrong.
"""

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from support import faults


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    hits: Counter[str] = Counter()
    wrong: list[str] = []
    chains = 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "whole").mkdir()
        table = faults.complete(Path(folder) / "whole")
        while hits.total() < arguments.kills:
            place = Path(folder) / str(chains)
            place.mkdir()
            chains += 1
            for phase in faults.PHASES:
                fault = faults.draw(rng, phase)
                hit, found = faults.inject(place, fault)
                hits[f"{phase}, {fault.target}, {fault.signal.name}"] += hit
                wrong += [f"chain {chains}, {fault}: {text}" for text in found]
            if faults.complete(place) != table:
                wrong.append(f"chain {chains}: another table")
            print(f"{hits.total()} kills in {chains} chains, {len(wrong)} wrong", *wrong[-3:], sep="\n  ", flush=True)
    print(*wrong, sep="\n")
    for part, name in enumerate(("phase", "target", "signal")):
        print(f"kills by {name}: {dict(count_part(hits, part))}")
    return int(bool(wrong))


def count_part(hits: Counter[str], part: int) -> Counter[str]:
    """Kills by one of phase, target and signal."""
    out: Counter[str] = Counter()
    for name, number in hits.items():
        out[name.split(", ")[part]] += number
    return out


if __name__ == "__main__":
    sys.exit(main())
