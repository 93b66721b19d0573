"""Optuna's part of a search: ask and tell in batches, the journal, reading what is finished. No other file imports it.

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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from harness.search.task import Constraint, Task
from harness.search.trials import Candidate, Evaluate, Measurement, Trial
from harness.study.tune import Values

optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
WILCOXON_FROM = 4  # pairs: with 3 the smallest p is 0.125, above the pruner's level
VIOLATED = 1e12  # by a trial without a measurement
STATES: Mapping[TrialState, Literal["complete", "pruned", "failed"]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@dataclass
class Attempt:
    """A trial on its way: what was measured under the seeds so far, and how it stands."""

    trial: optuna.Trial
    seeds: list[Measurement] = field(default_factory=list)
    state: TrialState = TrialState.COMPLETE


def search(task: Task, evaluate: Evaluate, journal: Path, announce: Callable[[Trial], None]) -> optuna.Study:
    """Do what the journal lacks of the search's trials; ``announce`` each new one. Returns the study."""
    record = open_journal(task, journal)
    known = record.get_trials()
    combinations = list_grid(task) if task.rules.sampler == "grid" else []
    total = min(task.rules.trials, len(combinations)) if combinations else task.rules.trials
    view = optuna.create_study(directions=directions(task), pruner=make_pruner(task))
    for first in range(0, total, task.rules.batch):
        stop = min(first + task.rules.batch, total)
        if len(known) >= stop:
            view.add_trials(known[first:stop])
            continue
        asked = [ask(task, view, number, combinations) for number in range(first, stop)]
        ended = {trial.number: trial for trial in known[first:stop]}
        attempts = evaluate_batch(task, evaluate, view, [trial for trial in asked if trial.number not in ended])
        for trial in asked:
            if trial.number in ended:
                repeat(view, trial, ended[trial.number])
                continue
            tell(task, view, attempts[trial.number])
            frozen = view.get_trials(deepcopy=False)[trial.number]
            record.add_trial(frozen)
            announce(read_trial(task, frozen))
    out = optuna.create_study(study_name=task.study.name, directions=directions(task))
    out.add_trials(record.get_trials()[:total])  # a journal may hold more, of an earlier, longer search
    return out


def directions(task: Task) -> list[Literal["minimize", "maximize"]]:
    return [objective.direction for objective in task.objectives]


def open_journal(task: Task, path: Path) -> optuna.Study:
    """The study in the journal; another definition (space, settings, sources) is another study of the same file.

    The caller is alone here: what a kill in the middle of an append left, half a line and a lock, is cleared away.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink()
    content = path.read_bytes() if path.exists() else b""
    if not content.endswith(b"\n"):
        path.write_bytes(content[: content.rfind(b"\n") + 1])
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))),
        study_name=f"{task.study.name}-{task.digest()}",
        directions=directions(task),
        load_if_exists=True,
    )


def ask(task: Task, view: optuna.Study, number: int, combinations: Sequence[Values]) -> optuna.Trial:
    """The next trial, which does not depend on what was drawn before it."""
    view.sampler = make_sampler(task, number, combinations)
    return view.ask({path: make_distribution(spec) for path, spec in task.space.items()})


def make_distribution(spec: Sequence[Any]) -> BaseDistribution:
    """``[loguniform, 1e-5, 1e-2]`` and so on as Optuna has it."""
    kind, values = spec[0], list(spec[1:])
    if kind == "categorical":
        return CategoricalDistribution([encode_choice(value) for value in values])
    low, high, *step = values
    if kind in {"int", "logint"}:
        return IntDistribution(int(low), int(high), log=kind == "logint", step=int(step[0]) if step else 1)
    return FloatDistribution(low, high, log=kind == "loguniform", step=step[0] if step else None)


def encode_choice(value: Any) -> Any:
    """A choice as Optuna stores it: lists and mappings as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def decode_values(task: Task, params: Mapping[str, Any]) -> dict[str, Any]:
    """Optuna's values as settings, in the order of the study."""
    out = {path: params[path] for path in task.space if path in params}
    for path in [path for path in out if task.space[path][0] == "categorical"]:
        choices = {encode_choice(choice): choice for choice in task.space[path][1:]}
        out[path] = choices[out[path]]
    return out


def make_sampler(task: Task, number: int, combinations: Sequence[Values]) -> optuna.samplers.BaseSampler:
    """The sampler of one trial, seeded by the search's seed and the trial's number."""
    seed = int(np.random.SeedSequence([task.rules.seed, number]).generate_state(1)[0])
    kind, startup = task.rules.sampler, task.rules.startup
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup)
    if kind == "gp":
        return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
    drawn = optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.PartialFixedSampler(dict(combinations[number]), drawn) if kind == "grid" else drawn


def list_grid(task: Task) -> list[Values]:
    """Every combination, in an order drawn from the seed; a range without step has ``points`` values."""
    axes = [list_axis(make_distribution(spec), task.rules.points) for spec in task.space.values()]
    combinations = [dict(zip(task.space, values)) for values in product(*axes)]
    order = np.random.default_rng(task.rules.seed).permutation(len(combinations))
    return [combinations[i] for i in order]


def list_axis(along: BaseDistribution, points: int) -> list[Any]:
    """Values of one setting in a grid."""
    if isinstance(along, CategoricalDistribution):
        return list(along.choices)
    assert isinstance(along, FloatDistribution | IntDistribution)
    if along.step is not None and (isinstance(along, FloatDistribution) or along.step > 1):
        number = int((along.high - along.low) / along.step + 1e-9) + 1
        return [min(along.high, round(along.low + i * along.step, 12)) for i in range(number)]
    space = np.geomspace if along.log else np.linspace
    values = space(along.low, along.high, points).tolist()
    return list(dict.fromkeys(map(round, values))) if isinstance(along, IntDistribution) else values


def make_pruner(task: Task) -> optuna.pruners.BasePruner:
    if task.rules.pruner == "wilcoxon":
        return optuna.pruners.WilcoxonPruner(n_startup_steps=WILCOXON_FROM - 1)
    if task.rules.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=task.rules.startup)
    return optuna.pruners.NopPruner()


def evaluate_batch(
    task: Task, evaluate: Evaluate, view: optuna.Study, trials: Sequence[optuna.Trial]
) -> dict[int, Attempt]:
    """Measure a batch: all seeds at once where nothing can be pruned yet, else seed after seed."""
    attempts = {trial.number: Attempt(trial) for trial in trials}
    complete = len(view.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    prunes = task.rules.pruner != "none" and len(task.objectives) == 1 and not task.rescores
    rounds = [[seed] for seed in task.seeds] if prunes and complete >= task.rules.startup else [list(task.seeds)]
    alive = list(attempts.values())
    for seeds in rounds:
        if not alive:
            break
        candidates: list[Candidate] = [(a.trial.number, decode_values(task, a.trial.params)) for a in alive]
        for attempt, measured in zip(alive, evaluate(candidates, seeds)):
            attempt.seeds += measured
            report(task, attempt, prune=seeds != rounds[-1])
        alive = [attempt for attempt in alive if attempt.state == TrialState.COMPLETE]
    return attempts


def report(task: Task, attempt: Attempt, prune: bool) -> None:
    """Tell the pruner what is new; mark a trial that failed or is to be pruned."""
    wanted = [*task.metrics, *(constraint.metric for constraint in task.constraints)]
    if not all(is_whole(measured, wanted) for measured in attempt.seeds):
        attempt.state = TrialState.FAIL
        return
    if len(task.objectives) > 1:
        return
    values = [measured.values[task.metrics[0]] for measured in attempt.seeds]
    reported = attempt.trial.user_attrs.get("reported", [])
    for step in range(len(reported), len(values)):
        attempt.trial.set_user_attr("reported", list(range(step + 1)))
        mean = float(np.mean(values[: step + 1]))
        attempt.trial.report(values[step] if task.rules.pruner == "wilcoxon" else mean, step)
    if prune and attempt.trial.should_prune():
        attempt.state = TrialState.PRUNED


def is_whole(measured: Measurement, metrics: Sequence[str]) -> bool:
    """Whether a seed has a finite number of each metric."""
    return not measured.reason and all(isfinite(measured.values.get(name, nan)) for name in metrics)


def tell(task: Task, view: optuna.Study, attempt: Attempt) -> None:
    """Tell a trial's mean over seeds; its seeds and the reason of a failure stay with it."""
    trial = attempt.trial
    measured = [seed for seed in attempt.seeds if not seed.reason]
    for number, name in enumerate(task.metrics):
        trial.set_user_attr(f"seeds {number}", [seed.values.get(name, nan) for seed in measured])
    if attempt.state == TrialState.FAIL:
        reasons = [seed.reason for seed in attempt.seeds if seed.reason]
        trial.set_user_attr("reason", reasons[0] if reasons else "a metric is not finite")
    for constraint in task.constraints:
        trial.set_constraint(constraint.text, measure_violation(constraint, attempt.seeds))
    if attempt.state != TrialState.COMPLETE:
        view.tell(trial, state=attempt.state)
        return
    means = []
    for name in task.metrics:
        means.append(float(np.mean([seed.values[name] for seed in measured])))
    view.tell(trial, means)


def measure_violation(constraint: Constraint, seeds: Sequence[Measurement]) -> float:
    """By how much the mean over seeds violates a constraint; a failed trial violates it."""
    values = [measured.values[constraint.metric] for measured in seeds if constraint.metric in measured.values]
    return float(constraint.violation(float(np.mean(values)))) if values else VIOLATED


def repeat(view: optuna.Study, trial: optuna.Trial, ended: FrozenTrial) -> None:
    """Tell in memory what the journal says of a trial of a batch that was cut off."""
    for name, value in ended.user_attrs.items():
        trial.set_user_attr(name, value)
    for name, value in ended.constraints.items():
        trial.set_constraint(name, value)
    for step, value in ended.intermediate_values.items():
        trial.report(value, step)
    values = ended.values if ended.state == TrialState.COMPLETE else None
    view.tell(trial, values, state=ended.state)


def read_trials(task: Task, study: optuna.Study) -> list[Trial]:
    return [read_trial(task, trial) for trial in study.get_trials(deepcopy=False)]


def read_trial(task: Task, ended: FrozenTrial) -> Trial:
    """A trial that ended, without Optuna."""
    seeds = [tuple(ended.user_attrs.get(f"seeds {number}", ())) for number in range(len(task.objectives))]
    return Trial(
        number=ended.number,
        state=STATES[ended.state],
        values=decode_values(task, ended.params),
        seeds=tuple(seeds),
        objectives=tuple(ended.values) if ended.state == TrialState.COMPLETE else (),
        feasible=all(value <= 0 for value in ended.constraints.values()),
        reason=ended.user_attrs.get("reason", ""),
    )


def find_front(study: optuna.Study) -> list[int]:
    """Numbers of the Pareto trials, within the constraints, of a search with several objectives."""
    return [trial.number for trial in study.best_trials] if len(study.directions) > 1 else []


def measure_importances(task: Task, study: optuna.Study) -> dict[str, list[float]]:
    """fANOVA importance of each setting for the first objective, one value per seed; empty with too few trials."""
    done = [trial for trial in read_trials(task, study) if trial.state == "complete"]
    varied = any(str(trial.values[path]) != str(done[0].values[path]) for trial in done for path in task.space)
    per_seed = zip(*(trial.seeds[0] for trial in done))
    differing = [len(set(reached)) > 1 for reached in per_seed]
    if len(done) < 4 or not varied or not all(differing):
        return {}
    out: dict[str, list[float]] = {path: [] for path in task.space}
    for seed in task.seeds:
        fanova = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(study, evaluator=fanova, target=partial(read_seed, seed))
        for path, shares in out.items():
            shares.append(float(found.get(path, nan)))
    return dict(sorted(out.items(), key=lambda item: -float(np.mean(item[1]))))


def read_seed(seed: int, trial: FrozenTrial) -> float:
    """The first objective under one seed."""
    return float(trial.user_attrs["seeds 0"][seed])
