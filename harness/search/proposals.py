"""Optuna's part of a search: batched ask / tell and the journal. With ``searched.py`` the only importer of optuna.

A batch of trials is asked, evaluated and told in trial order, in a study in memory that has seen finished batches only;
the sampler is made anew from (seed, trial number) before each ask. What was told goes to the journal, one line a trial.
A search that was cut off reads the journal, asks its last batch again and gets the same trials: a resumed search equals
an uninterrupted one, and the number of workers has no part in it.

What is pruned: between seeds, never inside a training. A trial that does badly on its first seeds ("median": mean so
far against other trials' at that seed; "wilcoxon": a paired test against the best trial, from 4 seeds on) gets no
further seeds. Pruners, like samplers, see finished batches only, and searches with several objectives prune nothing.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import isfinite, nan
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from harness.search.task import Task
from harness.search.trials import Evaluate, Measured

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
WILCOXON_FROM = 4  # pairs: with 3 the smallest p is 0.125, above the pruner's level


@dataclass
class Outcome:
    """A trial on its way: what was measured under the seeds so far, and how it ended."""

    trial: optuna.Trial
    seeds: list[Measured] = field(default_factory=list)
    state: TrialState = TrialState.COMPLETE


def scalar(value: Any) -> Any:
    """A choice as Optuna stores it: lists and mappings as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def distribution(spec: Sequence[Any]) -> BaseDistribution:
    """``[loguniform, 1e-5, 1e-2]`` and so on as Optuna has it."""
    kind, values = spec[0], list(spec[1:])
    if kind == "categorical":
        return CategoricalDistribution([scalar(value) for value in values])
    low, high, *step = values
    if kind in {"int", "logint"}:
        return IntDistribution(int(low), int(high), log=kind == "logint", step=int(step[0]) if step else 1)
    return FloatDistribution(low, high, log=kind == "loguniform", step=step[0] if step else None)


def params_of(task: Task, found: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's values as settings, in the order of the study."""
    choices = {p: {scalar(v): v for v in s[1:]} for p, s in task.space.items() if s[0] == "categorical"}
    return {
        path: choices[path][found[path]] if path in choices else found[path] for path in task.space if path in found
    }


def grid(task: Task) -> list[dict[str, Any]]:
    """Every combination, in an order drawn from the seed; a range without step has ``points`` values."""
    axes = [list(axis(distribution(spec), task.rules.points)) for spec in task.space.values()]
    whole = [dict(zip(task.space, values)) for values in product(*axes)]
    order = np.random.default_rng(task.rules.seed).permutation(len(whole))
    return [whole[i] for i in order]


def axis(found: BaseDistribution, points: int) -> Iterator[Any]:
    """Values of one setting in a grid."""
    if isinstance(found, CategoricalDistribution):
        return iter(found.choices)
    assert isinstance(found, FloatDistribution | IntDistribution)
    if found.step is not None and (isinstance(found, FloatDistribution) or found.step > 1):
        number = int((found.high - found.low) / found.step + 1e-9) + 1
        return (min(found.high, round(found.low + i * found.step, 12)) for i in range(number))
    spaced = np.geomspace if found.log else np.linspace
    values = spaced(found.low, found.high, points).tolist()
    return iter(dict.fromkeys(round(v) for v in values) if isinstance(found, IntDistribution) else values)


def sampler(task: Task, number: int, combinations: Sequence[Mapping[str, Any]]) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, seeded by the search's seed and the trial's number."""
    seed = int(np.random.SeedSequence([task.rules.seed, number]).generate_state(1)[0])
    kind, startup = task.rules.sampler, task.rules.startup
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
    if kind == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
    drawn = optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.PartialFixedSampler(dict(combinations[number]), drawn) if kind == "grid" else drawn


def pruner(task: Task) -> optuna.pruners.BasePruner:
    if task.rules.pruner == "wilcoxon":
        return optuna.pruners.WilcoxonPruner(n_startup_steps=WILCOXON_FROM - 1)
    if task.rules.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=task.rules.startup)
    return optuna.pruners.NopPruner()


def opened(task: Task, path: Path) -> optuna.Study:
    """The study in the journal; another definition (space, settings, sources) is another study of the same file."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not (content := path.read_bytes()).endswith(b"\n"):  # the last line was cut off by a kill
        path.write_bytes(content[: content.rfind(b"\n") + 1])
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))),
        study_name=f"{task.study.name}-{task.digest()}",
        directions=[objective.direction for objective in task.objectives],
        load_if_exists=True,
    )


def search(task: Task, evaluate: Evaluate, path: Path, told: Callable[[FrozenTrial], None]) -> optuna.Study:
    """Do what the journal lacks of the search's trials; ``told`` hears of each new one. Returns the study."""
    record = opened(task, path)
    known = record.get_trials()
    combinations = grid(task) if task.rules.sampler == "grid" else []
    total = min(task.rules.trials, len(combinations)) if combinations else task.rules.trials
    view = optuna.create_study(directions=[o.direction for o in task.objectives], pruner=pruner(task))
    for first in range(0, total, task.rules.batch):
        stop = min(first + task.rules.batch, total)
        if len(known) >= stop:
            view.add_trials(known[first:stop])
            continue
        asked = [ask(task, view, number, combinations) for number in range(first, stop)]
        ended = {t.number: t for t in known[first:stop]}
        outcomes = evaluated(task, evaluate, view, [trial for trial in asked if trial.number not in ended])
        for trial in asked:
            if trial.number in ended:
                repeat(view, trial, ended[trial.number])
                continue
            tell(task, view, outcomes[trial.number])
            frozen = view.get_trials(deepcopy=False)[trial.number]
            record.add_trial(frozen)
            told(frozen)
    return subset(task, record, total)


def ask(task: Task, view: optuna.Study, number: int, combinations: Sequence[Mapping[str, Any]]) -> optuna.Trial:
    """The next trial, which does not depend on what was drawn before it."""
    view.sampler = sampler(task, number, combinations)
    return view.ask({path: distribution(spec) for path, spec in task.space.items()})


def evaluated(task: Task, evaluate: Evaluate, view: optuna.Study, trials: Sequence[optuna.Trial]) -> dict[int, Outcome]:
    """Measure a batch: all seeds at once where nothing can be pruned yet, else seed after seed."""
    outcomes = {trial.number: Outcome(trial) for trial in trials}
    complete = len(view.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    prunes = task.rules.pruner != "none" and len(task.objectives) == 1 and not task.rescores
    rounds = [[s] for s in task.seeds] if prunes and complete >= task.rules.startup else [list(task.seeds)]
    alive = list(outcomes.values())
    for seeds in rounds:
        if not alive:
            break
        candidates = [(o.trial.number, params_of(task, o.trial.params)) for o in alive]
        for outcome, found in zip(alive, evaluate(candidates, seeds)):
            outcome.seeds += found
            take_in(task, outcome, prune=seeds != rounds[-1])
        alive = [outcome for outcome in alive if outcome.state == TrialState.COMPLETE]
    return outcomes


def take_in(task: Task, outcome: Outcome, prune: bool) -> None:
    """Report what is new to the pruner; mark a trial that failed or is to be pruned."""
    wanted = [*task.metrics, *(constraint.metric for constraint in task.constraints)]
    if any(m.reason or not all(isfinite(m.values.get(name, nan)) for name in wanted) for m in outcome.seeds):
        outcome.state = TrialState.FAIL
        return
    if len(task.objectives) > 1:
        return
    values = [measured.values[task.metrics[0]] for measured in outcome.seeds]
    for step in range(len(values)):
        if step not in outcome.trial.user_attrs.get("reported", []):
            outcome.trial.set_user_attr("reported", list(range(step + 1)))
            mean = float(np.mean(values[: step + 1]))
            outcome.trial.report(values[step] if task.rules.pruner == "wilcoxon" else mean, step)
    if prune and outcome.trial.should_prune():
        outcome.state = TrialState.PRUNED


def tell(task: Task, view: optuna.Study, outcome: Outcome) -> None:
    """Tell a trial's mean over seeds; its seeds and the reason of a failure stay with it."""
    trial = outcome.trial
    for number, name in enumerate(task.metrics):
        trial.set_user_attr(f"seeds {number}", [m.values.get(name, nan) for m in outcome.seeds if not m.reason])
    reasons = [measured.reason for measured in outcome.seeds if measured.reason]
    if outcome.state == TrialState.FAIL:
        trial.set_user_attr("reason", reasons[0] if reasons else "a metric is not finite")
    for constraint in task.constraints:
        trial.set_constraint(constraint.text, violation(constraint, outcome.seeds))
    if outcome.state != TrialState.COMPLETE:
        view.tell(trial, state=outcome.state)
        return
    view.tell(trial, [float(np.mean([m.values[name] for m in outcome.seeds])) for name in task.metrics])


def violation(constraint: Any, seeds: Sequence[Measured]) -> float:
    """By how much the mean over seeds violates a constraint; a failed trial violates it."""
    values = [measured.values[constraint.metric] for measured in seeds if constraint.metric in measured.values]
    return float(constraint.violation(float(np.mean(values)))) if values else 1e12


def repeat(view: optuna.Study, trial: optuna.Trial, ended: FrozenTrial) -> None:
    """Tell in memory what the journal says of a trial of a batch that was cut off."""
    for name, value in ended.user_attrs.items():
        trial.set_user_attr(name, value)
    for name, value in ended.constraints.items():
        trial.set_constraint(name, value)
    for step, value in ended.intermediate_values.items():
        trial.report(value, step)
    complete = ended.state == TrialState.COMPLETE
    view.tell(trial, ended.values if complete else None, state=None if complete else ended.state)


def subset(task: Task, record: optuna.Study, total: int) -> optuna.Study:
    """The first ``total`` trials in memory: a journal may hold more of an earlier, longer search."""
    out = optuna.create_study(study_name=task.study.name, directions=[o.direction for o in task.objectives])
    out.add_trials(record.get_trials()[:total])
    return out
