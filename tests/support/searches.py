"""Search studies written for a test."""

from harness.search.task import read_task
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
