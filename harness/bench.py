"""``python -m harness.bench``: where the time of a run goes, as shares within one run (medians of several steps).

Machines are noisy: compare shares and ratios of one call, not seconds of two.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

SCALES = ("tiny", "default", "paper")


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="python -m harness.bench", description=__doc__)
    out.add_argument("--scale", choices=SCALES, default="default", help="scale of the embedded data set")
    out.add_argument("--base", default="paper", help="preset, as for harness.run")
    out.add_argument("--steps", type=int, default=30, help="optimiser steps timed")
    out.add_argument("--threads", type=int, default=1, help="torch threads")
    out.add_argument("--output", type=Path, default=Path("mlruns"), help="folder of the data cache")
    return out


class Stopwatch:
    """Seconds per named part, one list entry per call."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name].append(time.perf_counter() - began)

    def watch(self, owner: Any, function: str, name: str) -> None:
        """Time every call of ``owner.function`` from now on, for the life of this process."""
        original: Callable[..., Any] = getattr(owner, function)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return original(*args, **kwargs)

        setattr(owner, function, timed)


def measure(options: argparse.Namespace) -> Stopwatch:
    """Time ``options.steps`` optimiser steps part by part, and two evaluations."""
    import torch

    from harness import data
    from harness.compute import score, train
    from harness.study import presets
    from model import case as case_module

    torch.set_num_threads(options.threads)
    settings = presets.load_preset(options.base, scale=options.scale)
    settings = replace(settings, training=replace(settings.training, steps=options.steps))
    dataset = data.load(settings.source, options.output)
    device = torch.device("cpu")
    streams = train.Streams.of(0, device)
    state = train.start(settings, dataset, streams, device)
    watch = Stopwatch()
    for name in ("label_clusters", "label_classes", "class_logits", "label_loss"):
        watch.watch(case_module, name, name)
    watch.watch(state.case.baseline, "forward", "baseline forward")
    watch.watch(torch.autograd, "backward", "backward")
    watch.watch(state.optimizer, "step", "Adam")
    watch.watch(train, "gather", "sampling")
    steps = train.steps(state, dataset.train, settings.training, streams)
    for _ in range(options.steps):
        with watch.part("whole step"):
            next(steps)
    truth = score.Truth.of(dataset.test, settings.training.snippets)
    for _ in range(2):
        with watch.part("evaluation: network"):
            scores = train.test_scores(state, dataset.test, settings.training)
        with watch.part("evaluation: detections and metrics"):
            score.evaluate(scores, settings, truth, dataset.classes)
    return watch


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    watch = measure(options)
    whole = median(watch.seconds["whole step"])
    print(f"{options.scale} scale, preset {options.base}, {options.threads} thread(s), {options.steps} steps")
    print(f"{'part':38}{'ms a call':>12}{'of a step':>12}")
    for name, values in watch.seconds.items():
        print(f"{name:38}{1e3 * median(values):12.2f}{median(values) / whole:12.1%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
