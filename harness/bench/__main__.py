"""``python -m harness.bench``: a step and an evaluation, part by part and beside a plain reference of each.

References compute what the released code computes, as one would write it first; both are timed in turn in one process
and must agree. Machines are noisy: compare ratios of one call, not seconds of two. Shown are medians (lowest to
highest); what is being timed is told on the standard error stream. ActivityNet's features are generated, for as many
videos as "data" says. "roof" is the share of the time that the encoders' products would take at this machine's measured
rate.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from harness.bench.timing import summarise_all
from harness.cli import Parser, positive, terminal


class Effort(NamedTuple):
    """How often things are timed at a scale, and how much is run."""

    steps: int
    evaluations: int
    seeds: int = 0  # of a study; 0: neither it nor a run
    many: tuple[int, ...] = ()  # numbers of runs of a dry worker


SCALES = {  # tiny .. paper: the embedded data set; activitynet: generated features
    "tiny": Effort(10, 3, 1, (10, 20)),
    "default": Effort(10, 3, 2, (100, 200, 400, 800)),
    "paper": Effort(5, 3),
    "activitynet": Effort(5, 3),
}


def parser() -> argparse.ArgumentParser:
    out = Parser("python -m harness.bench", description=__doc__)
    out.add_argument("--scale", choices=tuple(SCALES), default="default", help="of the embedded data set, or generated")
    out.add_argument("--steps", type=positive, metavar="N", help="optimiser steps timed of each kind")
    out.add_argument("--threads", type=positive, default=1, metavar="N", help="torch threads (default 1)")
    out.add_argument("--json", action="store_true", help="print JSON instead of a table")
    out.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="folder of the data cache")
    return out


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All numbers of one call, by part. Processes are started while this one is small: they inherit its peak memory."""
    effort = SCALES[options.scale]
    rounds = options.steps or effort.steps
    found: dict[str, Any] = {"scale": options.scale, "threads": options.threads, "rounds": rounds}
    return found | measure_alone(options, effort, rounds) | measure_here(options, effort, rounds)


def measure_alone(options: argparse.Namespace, effort: Effort, rounds: int) -> dict[str, Any]:
    """What takes processes of their own."""
    from harness.bench import processes

    tell("start-up and memory")
    found: dict[str, Any] = {"start": summarise_all(processes.time_start(min(rounds, 3)))}
    found["memory"] = processes.measure_memory(options.scale, options.output, options.threads)
    if effort.seeds:
        tell("a run")
        found["run"] = processes.measure_run(options.scale, options.output)
        tell(f"a study of {effort.seeds} seeds")
        found["study"] = processes.measure_study(options.scale, effort.seeds, options.output)
    if effort.many:
        from harness.bench.scale import measure_scale

        tell(f"{min(effort.many)} to {max(effort.many)} runs of a dry worker")
        found["many runs"] = measure_scale(effort.many)
    return found


def measure_here(options: argparse.Namespace, effort: Effort, rounds: int) -> dict[str, Any]:
    """What is timed in turn in this process."""
    import torch

    from harness.bench import generated, growth, parts
    from harness.bench.subject import load_subject

    torch.set_num_threads(options.threads)
    tell("data")
    subject = load_subject(options.scale, options.output)
    tell("steps and evaluations, beside their references")
    found = {"data": parts.describe_data(subject)} | parts.compare(subject, rounds, effort.evaluations)
    if options.scale == "activitynet":
        found["data"]["videos of the whole"] = dict(generated.ACTIVITYNET)
    tell("their parts, and growth")
    found["step"] = summarise_all(parts.time_step_parts(subject, rounds))
    found["evaluation"] = summarise_all(parts.time_evaluation_parts(subject, effort.evaluations))
    found["growth"] = growth.measure_growth(min(rounds, 5))
    return found


def tell(part: str) -> None:
    """Say what is timed next."""
    print(f"timing {part}", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    found = measure(options)
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    from harness.bench.table import show

    show(found, terminal())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
