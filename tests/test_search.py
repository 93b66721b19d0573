"""Searches: distributions, resumption, sampling against random search, failures, and the command line."""

import csv
import os
import subprocess
import sys
from itertools import islice
from math import log10
from pathlib import Path

import pytest

from harness import study as studies
from harness.errors import ConfigError
from harness.search import proposals
from harness.search.findings import choose_winner, describe_trial
from harness.search.task import read_task
from harness.search.trials import Measurement
from harness.study import load
from harness.study.keys import flat
from harness.study.presets import STUDIES
from harness.study.tune import set_values

from support.searches import task_writer

HOME = Path(__file__).resolve().parent.parent


@pytest.fixture
def made(tmp_path):
    return task_writer(tmp_path)


def planted(params, seed):
    """Best at lambda_c = 0.1, cat = 0.7 and rank exact; seeds shift it a little."""
    loss = (log10(params["case.lambda_c"]) + 1) ** 2 + 4 * (params["case.cat"] - 0.7) ** 2
    return 100 - 10 * loss - 5 * (params["case.rank"] != "exact") + 0.1 * seed


def evaluate(candidates, seeds):
    def one(number, params, seed):
        if number % 7 == 3:
            return Measurement(reason="planted failure")
        return Measurement({"video_map": planted(params, seed), "memory_gb": 10 * params["case.cat"], "seconds": 1.0})

    return [[one(number, params, seed) for seed in seeds] for number, params in candidates]


def run(found, path, measure=evaluate):
    study = proposals.search(found, measure, path, lambda trial: None)
    return study, [describe_trial(found, trial) for trial in proposals.read_trials(found, study)]


def winner(found, study):
    return choose_winner(found, proposals.read_trials(found, study))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (("uniform", 0, 1), {"low": 0.0, "high": 1.0, "log": False, "step": None}),
        (("uniform", 0, 0.6, 0.2), {"low": 0.0, "high": 0.6, "log": False, "step": 0.2}),
        (("loguniform", 1e-5, 1e-2), {"low": 1e-5, "high": 1e-2, "log": True, "step": None}),
        (("int", 2, 8, 3), {"low": 2, "high": 8, "log": False, "step": 3}),
        (("logint", 2, 64), {"low": 2, "high": 64, "log": True, "step": 1}),
        (("categorical", "a", [1, 2], True), {"choices": ("a", "[1, 2]", True)}),
    ],
)
def test_distributions(spec, expected):
    found = proposals.make_distribution(spec)
    assert {name: getattr(found, name) for name in expected} == expected


def test_values_respect_the_space(made, tmp_path):
    _, lines = run(made(), tmp_path / "j.log")
    assert len(lines) == 24
    for line in lines:
        assert 0.001 <= line["case.lambda_c"] <= 10
        assert round(line["case.options.omega"] / 0.1, 6) % 1 == 0
        assert isinstance(line["case.clusters"], int)
        assert line["case.rank"] in {"exact", "argsort"}


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random", "grid"])
def test_resumed_equals_uninterrupted(made, tmp_path, sampler):
    """Cut while evaluating (batch 2), and while telling (in the middle of batch 3); the last line torn off."""
    found = made(f"{{trials: 18, batch: 5, startup: 6, points: 2, sampler: {sampler}}}")
    _, whole = run(found, tmp_path / "whole.log")
    path, calls, told = tmp_path / "cut.log", [], []

    def dying(candidates, seeds):
        calls.append(seeds)
        if len(calls) == 2:
            raise InterruptedError
        return evaluate(candidates, seeds)

    def deaf(trial):
        told.append(trial)
        if len(told) == 8:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        proposals.search(found, dying, path, lambda trial: None)
    with pytest.raises(InterruptedError):
        proposals.search(found, evaluate, path, deaf)
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "wor')
    _, resumed = run(found, path)
    assert str(resumed) == str(whole)
    assert 5 < 5 + len(told) < 18, "both cuts lay inside the search"


def test_longer_search_continues_shorter_one(made, tmp_path):
    first = made("{trials: 12, batch: 5, startup: 6}")
    run(first, tmp_path / "j.log")
    longer = made("{trials: 20, batch: 5, startup: 6}")
    assert str(run(longer, tmp_path / "j.log")[1]) == str(run(longer, tmp_path / "other.log")[1])
    assert len(run(first, tmp_path / "j.log")[1]) == 12


def test_other_definition_starts_anew(made, tmp_path):
    run(made(), tmp_path / "j.log")
    _, lines = run(made("{trials: 4, seed: 1}"), tmp_path / "j.log")
    assert len(lines) == 4


def test_beats_random_search(made, tmp_path):
    """At equal cost, as the mean regret over five search seeds."""

    def regret(sampler, seed):
        found = made(f"{{trials: 60, batch: 5, seed: {seed}, pruner: none, sampler: {sampler}}}")
        study, _ = run(found, tmp_path / f"{sampler}{seed}.log")
        return 100.05 - winner(found, study).objectives[0]  # how far from the planted optimum

    tpe, random = (sum(regret(sampler, seed) for seed in range(5)) / 5 for sampler in ("tpe", "random"))
    assert tpe < random / 2, (tpe, random)


def test_failed_trial_does_not_stop(made, tmp_path):
    found = made()
    study, lines = run(found, tmp_path / "j.log")
    failed = [line["trial"] for line in lines if line["state"] == "failed"]
    assert failed == [3, 10, 17]
    assert lines[3]["reason"] == "planted failure"
    assert winner(found, study).number not in failed


def test_lock_left_by_a_kill_is_cleared(made, tmp_path):
    """A kill inside an append leaves Optuna's lock, on which the next call would wait half a minute."""
    first = made("{trials: 5, batch: 5}")
    run(first, tmp_path / "j.log")
    (tmp_path / "j.log.lock").symlink_to(tmp_path / "j.log")
    (tmp_path / "j.log.lock123.rename").symlink_to(tmp_path / "j.log")
    longer = made("{trials: 10, batch: 5}")
    assert len(run(longer, tmp_path / "j.log")[1]) == 10
    assert not list(tmp_path.glob("j.log.lock*"))


def test_settings_that_clash_fail_their_trial(made):
    with pytest.raises(ConfigError, match="single cluster"):
        set_values(made().default, {"case.clusters": 1})


def test_pruning_saves_seeds_of_bad_trials(made, tmp_path):
    calls = []

    def counted(candidates, seeds):
        calls.extend((number, seed) for number, _ in candidates for seed in seeds)
        return evaluate(candidates, seeds)

    found = made(objective="{seeds: 4}")
    _, lines = run(found, tmp_path / "j.log", counted)
    cut = [line for line in lines if line["state"] == "pruned"]
    assert cut
    assert len(calls) < 24 * 4
    assert all(line["trial"] >= 6 for line in cut), "nothing is pruned before the startup trials are finished"


def test_constraints(made, tmp_path):
    found = made(constraints="[memory_gb < 4]")
    study, lines = run(found, tmp_path / "j.log")
    best = winner(found, study)
    assert best.values["case.cat"] < 0.4
    assert max(line["case.cat"] for line in lines) > 0.4


def test_pareto_front(made, tmp_path):
    both = "[{metric: video_map, seeds: 2}, {metric: memory_gb, direction: minimize, seeds: 2}]"
    found = made(objective=both)
    study, lines = run(found, tmp_path / "j.log")
    points = {t.number: t.values for t in study.trials if t.values}
    chosen = proposals.find_front(study)
    assert winner(found, study).number in chosen
    for number in chosen:
        high, low = points[number]
        assert not any(a >= high and b <= low and (a, b) != (high, low) for a, b in points.values())
    assert "memory_gb" not in lines[0], "what differs from call to call is not in trials.csv"


def test_importances_find_what_matters(made, tmp_path):
    found = made("{trials: 60, batch: 10, pruner: none}")
    study, _ = run(found, tmp_path / "j.log")
    names = list(proposals.measure_importances(found, study))
    assert names[0] == "case.lambda_c"
    assert set(names) == set(found.space)


MISTAKES = [
    ({"objective": "{metric: map/avg}"}, "needs temporal annotations"),
    ({"objective": "{metric: video_mep, seeds: 2}"}, "did you mean 'video_map'"),
    ({"objective": "{split: test}"}, "objective.split: found 'test'"),
    ({"search": "{sampler: tpee}"}, "did you mean 'tpe'"),
    ({"search": "{trails: 3}"}, "did you mean 'trials'"),
    ({"constraints": "[memory_gb]"}, "METRIC < NUMBER"),
    ({"constraints": "[memory < 3]"}, "unknown metric 'memory'"),
    ({"text": "set: {{source.seed: {{tune: [int, 0, 3]}}}}"}, "cannot be tuned"),
    ({"text": "set: {{case.rho: 3}}\nobjective: {{}}"}, "nothing to tune"),
]


@pytest.mark.parametrize(("given", "expected"), MISTAKES)
def test_mistakes_are_told_with_their_place(made, given, expected):
    with pytest.raises(ConfigError, match=r"toy.yaml:\d+:\d+: ") as error:
        made(**given)
    assert expected in str(error.value)


def test_all_mistakes_at_once(made):
    with pytest.raises(ConfigError) as error:
        made("{sampler: tpee, trails: 3}", "{metric: map/avg}", "[memory < 3]")
    assert len(error.value.errors) == 4


@pytest.mark.parametrize("path", sorted(STUDIES.glob("search_*.yaml")), ids=lambda path: path.stem)
def test_shipped_searches(path, tmp_path):
    found = read_task(load(path, root=tmp_path))
    assert set(found.fresh).isdisjoint(found.seeds)
    assert found.rescores == (path.stem == "search_localization")
    drawn = [proposals.ask(found, view(), n, []).params for n in range(3)]
    for params in drawn:
        set_values(found.default, proposals.decode_values(found, params))


def view():
    import optuna

    return optuna.create_study()


def command(module, *arguments):
    env = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    env |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HOME)}
    call = [sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(call, cwd=HOME, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("module", "study", "text"),
    [
        ("harness.run", "search_case", "python -m harness.search search_case"),
        ("harness.search", "table2", "nothing to tune"),
    ],
)
def test_searches_and_other_studies_are_told_apart(module, study, text, tmp_path):
    done = command(module, study, "--output", tmp_path / "out")
    assert done.returncode == 2
    assert text in done.stderr
    assert not (tmp_path / "out").exists()


def test_dry_run_says_how_much_is_trained_and_writes_nothing(tmp_path):
    done = command("harness.search", "search_sigma", "--dry-run", "--output", tmp_path / "out")
    assert done.returncode == 0
    assert "24 trials by tpe, map/avg over 3 seeds: at most 72 trainings, then 13 for the comparison" in done.stdout
    assert "case.sigma: loguniform 0.02, 20" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_command_line(tmp_path):
    """A quick search; again with other --jobs nothing is trained and the files are the same; best.yaml is a base."""
    base = ["search_case", "--quick", "--no-mlflow", "--output", tmp_path]
    done = command("harness.search", *base, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    place = tmp_path / "reports" / "search_case" / "synthetic-tiny"
    names = {"trials.csv", "best.yaml", "report.md", "report.html", "history.png", "slice.png", "parallel.png"}
    assert names <= {path.name for path in place.iterdir()}
    assert "Video labels alone chose these settings" in done.stdout.replace("\n", " ")
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    ended = {path: path.read_bytes() for path in tmp_path.glob("store/*/training.json")}
    assert command("harness.search", *base, "--jobs", 1).returncode == 0
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert {path: path.read_bytes() for path in tmp_path.glob("store/*/training.json")} == ended
    lines = list(csv.DictReader((place / "trials.csv").open()))
    assert [line["trial"] for line in islice(lines, 2)] == ["0", "1"]
    best = max(lines, key=lambda line: float(line["video_map"]))
    found = flat(studies.load("table2", base=str(place / "best.yaml"), quick=True, root=tmp_path).rows[-1].settings)
    assert found["training.lr"] == float(best["training.lr"]), "the tuned value lies over the data set's"
    assert found["case.options.omega"] == float(best["case.options.omega"])
