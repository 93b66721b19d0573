"""Search studies written for a test."""

import numpy as np

from harness.search.findings import COMPARED, Findings, choose_winner
from harness.search.task import read_task
from harness.search.trials import Measurement, Trial
from harness.study.loading import load

SPACE = """
set:
  case.lambda_c: {{tune: [loguniform, 0.001, 10]}}
  case.cat: {{tune: [uniform, 0, 1]}}
  case.options.omega: {{tune: [uniform, 0, 0.6, 0.1]}}
  case.clusters: {{tune: [logint, 2, 64]}}
  case.rank: {{tune: [categorical, exact, argsort]}}
objective: {objective}
search: {search}
constraints: {constraints}
"""


def task_writer(folder):
    """A function that writes a search study of a text into ``folder`` and gives it as a task."""

    def task(search="{trials: 24, batch: 5, startup: 6}", objective="{seeds: 2}", constraints="[]", text=SPACE):
        path = folder / "toy.yaml"
        path.write_text(text.format(search=search, objective=objective, constraints=constraints))
        return read_task(load(path, quick=False, root=folder))

    return task


def make_findings(task, trials=40):
    """What a search would have found: trials at random places, the first setting matters; some are pruned."""
    rng = np.random.default_rng(0)
    done = []
    for number in range(trials):
        values = {path: draw_value(spec, rng) for path, spec in task.space.items()}
        scores = tuple(tuple(90 + 4 * rng.normal(size=len(task.seeds))) for _ in task.metrics)
        pruned = number > task.rules.startup and number % 5 == 0
        means = () if pruned else tuple(float(np.mean(seeds)) for seeds in scores)
        done.append(Trial(number, "pruned" if pruned else "complete", values, scores, means))
    default, tuned = ({seed: measure(task, rng, gain) for seed in task.fresh} for gain in (0, 1))
    validation = {seed: measure(task, rng, 0) for seed in task.seeds}
    shares = {path: list(rng.dirichlet(np.ones(3)) / (i + 1)) for i, path in enumerate(task.space)}
    return Findings(task, done, choose_winner(task, done), validation, default, tuned, (), shares)


def draw_value(spec, rng):
    """A value of a search space."""
    kind, *values = spec
    if kind == "categorical":
        return values[rng.integers(len(values))]
    low, high = np.log(values[:2]) if kind.startswith("log") else values[:2]
    drawn = rng.uniform(low, high)
    return float(np.exp(drawn) if kind.startswith("log") else drawn)


def measure(task, rng, gain):
    """Metrics of one run."""
    names = {*COMPARED, *task.metrics}
    return Measurement({name: 50 + gain + rng.normal() for name in sorted(names)})
