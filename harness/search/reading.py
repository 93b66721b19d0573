"""Reading a finished search: winner, Pareto front, table of trials, importances and figures."""

from collections.abc import Callable
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from harness.search.proposals import params_of
from harness.search.task import MEASURED, Task

STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def winner(task: Task, study: optuna.Study) -> FrozenTrial | None:
    """The feasible trial with the best first objective; the earlier one on a tie."""
    done = [t for t in study.get_trials(states=(TrialState.COMPLETE,)) if feasible(t)]
    sign = 1 if task.objectives[0].direction == "maximize" else -1
    return max(done, key=lambda trial: (sign * trial.values[0], -trial.number), default=None)


def front(task: Task, study: optuna.Study) -> list[int]:
    """Numbers of the Pareto trials of a search with several objectives."""
    if len(task.objectives) < 2:
        return []
    done = [t for t in study.get_trials(states=(TrialState.COMPLETE,)) if feasible(t)]
    signs = np.array([1 if o.direction == "maximize" else -1 for o in task.objectives])
    points = np.array([signs * t.values for t in done]).reshape(len(done), len(signs))
    beaten = [bool(((points >= p).all(1) & (points > p).any(1)).any()) for p in points]
    return [trial.number for trial, is_beaten in zip(done, beaten) if not is_beaten]


def rows(task: Task, study: optuna.Study) -> list[dict[str, Any]]:
    """A line per trial for trials.csv: neither times nor identifiers; measured objectives are left out."""
    out = []
    for trial in study.get_trials(deepcopy=False):
        line: dict[str, Any] = {"trial": trial.number, "state": STATES.get(trial.state, trial.state.name.lower())}
        for i, name in enumerate(task.metrics):
            if name in MEASURED:
                continue
            seeds = trial.user_attrs.get(f"seeds {i}", [])
            line[name] = trial.values[i] if trial.state == TrialState.COMPLETE else nan
            line |= {f"{name} seed {s}": seeds[s] if s < len(seeds) else nan for s in task.seeds}
        out.append(line | params_of(task, trial.params) | {"reason": trial.user_attrs.get("reason", "")})
    return out


def importances(task: Task, study: optuna.Study) -> dict[str, list[float]]:
    """fANOVA importance of each setting for the first objective, one value per seed; empty with too few trials."""
    done = [t for t in study.get_trials(deepcopy=False) if t.state == TrialState.COMPLETE]
    out: dict[str, list[float]] = {path: [] for path in task.space}
    varied = {path for path in task.space if len({t.params[path] for t in done}) > 1}
    for seed in task.seeds:
        if len(done) < 4 or not varied or len({t.user_attrs["seeds 0"][seed] for t in done}) < 2:
            return {}
        found = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0),
            target=lambda trial, seed=seed: trial.user_attrs["seeds 0"][seed],  # type: ignore[misc]
        )
        for path, values in out.items():
            values.append(float(found.get(path, nan)))
    return dict(sorted(out.items(), key=lambda item: -float(np.mean(item[1]))))


def figures(task: Task, study: optuna.Study, place: Path) -> tuple[list[Path], list[str]]:
    """History, slice, importances, parallel coordinates and Pareto front as PNG; and what could not be drawn."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter
    from optuna.visualization import matplotlib as draw

    first: Any = {"target_name": task.metrics[0]}
    if len(task.objectives) > 1:  # not needed for one, where it would hide the direction from Optuna
        first["target"] = lambda trial: trial.values[0]
    kinds: dict[str, Callable[[], Any]] = {
        "history": lambda: draw.plot_optimization_history(study, **first),
        "slice": lambda: draw.plot_slice(study, **first),
        "importances": lambda: draw.plot_param_importances(
            study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0), **first
        ),
        "parallel": lambda: draw.plot_parallel_coordinate(study, **first),
    }
    if len(task.objectives) in {2, 3}:
        kinds["pareto"] = lambda: draw.plot_pareto_front(study, target_names=list(task.metrics))
    drawn, said = [], []
    for name, make in kinds.items():
        try:
            figure = np.ravel(make())[0].figure
            figure.set_size_inches(max(9, (2.6 if name == "slice" else 1.5) * len(task.space)), 4.8)
            for axes in figure.axes:
                if axes.get_xscale() == "log":
                    axes.xaxis.set_minor_formatter(NullFormatter())
                if name == "parallel":
                    axes.grid(visible=False)
                    axes.yaxis.set_minor_formatter(NullFormatter())
            figure.savefig(place / f"{name}.png", dpi=110, bbox_inches="tight", metadata={"Software": None})
            drawn.append(place / f"{name}.png")
        except (ValueError, RuntimeError, IndexError, TypeError) as error:  # too few trials, mostly
            said.append(f"Figure '{name}' could not be drawn: {error}")
        plt.close("all")
    return drawn, said
