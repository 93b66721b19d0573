"""A training as a whole: the same bits again, evaluation without effect, paired rows, NaN, and a planted answer."""

from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch

from harness import data, study
from harness.compute import train
from harness.settings import Settings
from model.settings import CoLabel

from support.trainings import SHORT, SMALL, different, fitted, small

HEADS = ("in_graph", "projected")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run store for the whole file: its data sets are made once."""
    return tmp_path_factory.mktemp("mlruns")


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """As a worker trains."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("baseline", ["proposed", "basnet", "cola"])
def test_the_same_seed_gives_the_same_bits(baseline: str, root: Path) -> None:
    """Dropout included (BaS-Net, CoLA), and whatever the process drew before."""
    one = fitted(small(baseline), root, f"{baseline}-one")
    torch.manual_seed(123)
    np.random.seed(123)
    before = torch.random.get_rng_state()
    two = fitted(small(baseline), root, f"{baseline}-two")
    assert torch.equal(torch.random.get_rng_state(), before), "a training draws from its own generators only"
    assert different(one, two) == []
    assert one.result is not None
    assert two.result is not None
    assert (one.result["metrics"], one.result["curve"]) == (two.result["metrics"], two.result["curve"])


def test_another_seed_gives_other_bits(root: Path) -> None:
    one, two = (fitted(small(), root, f"seed-{seed}", seed) for seed in (0, 1))
    assert {name for name in one.arrays if name.startswith(("weights/", "scores/", "Q_R", "curves/loss"))} <= set(
        different(one, two)
    )


@pytest.mark.parametrize("head", HEADS)
def test_evaluation_does_not_change_the_training(head: str, root: Path) -> None:
    """Looking after each of 40 steps or only at the end: weights, Q^R, curves and last scores are the same bits."""
    often, never = (
        fitted(small(head=head, training={"steps": 40, "evaluate_every": every}), root, f"{head}-every-{every}")
        for every in (1, 40)
    )
    assert different(often, never) == []


def test_what_nobody_watches_is_evaluated_once_and_ends_in_the_same_numbers(root: Path) -> None:
    """Only the curve differs: one point in place of three, and no best of them."""
    watched, once = (fitted(small(), root, f"watched-{bool(s)}", watched=frozenset(s)) for s in ("s", ""))
    assert different(watched, once) == []
    assert watched.result is not None
    assert once.result is not None
    assert once.result["metrics"] == watched.result["metrics"]
    assert (watched.result["curve"]["step"], once.result["curve"]["step"]) == ([3, 6, 9], [9])
    assert {name: values[-1:] for name, values in watched.result["curve"].items()} == once.result["curve"]
    assert once.result["best"] is None


def recorded(settings: Settings, root: Path, monkeypatch, seed: int = 0):
    """(baseline's initial weights, batches of all steps with the state of the dropout generator before each)."""
    seen: list[tuple[torch.Tensor, ...]] = []
    update = train.update

    def spy(state, batch):
        seen.append((*batch.x, batch.rows, batch.labels, torch.tensor(batch.warm), batch.generator.get_state()))
        return update(state, batch)

    monkeypatch.setattr(train, "update", spy)
    dataset, device = data.load(settings.source, root), torch.device("cpu")
    streams = train.Streams.of(seed, device)
    state = train.start(settings, dataset, streams, device)
    weights = {name: value.clone() for name, value in state.case.baseline.state_dict().items()}
    assert len(list(train.steps(state, dataset.train, settings.training, streams))) == settings.training.steps
    monkeypatch.setattr(train, "update", update)
    return weights, seen


ROWS: list[dict[str, Any]] = [
    {"lambda_c": 0.0, "lambda_r": 0.0, "sigma": float("inf"), "co_label": CoLabel(False, False, False), "cat": 0.0},
    {"clusters": 0, "cat": 0.0},
    {"clusters": 11, "head": "projected", "rank": "argsort", "hard": True},
]


@pytest.mark.parametrize("baseline", ["proposed", "basnet"])
@pytest.mark.parametrize("changes", ROWS, ids=["baseline", "no head", "other head"])
def test_rows_that_differ_in_case_are_paired(baseline: str, changes: dict, root: Path, monkeypatch) -> None:
    """Same videos, snippets, warm-up and dropout masks in each step, same baseline weights before the first."""
    weights, batches = recorded(small(baseline), root, monkeypatch)
    theirs, their_batches = recorded(small(baseline, **changes), root, monkeypatch)
    assert all(torch.equal(weights[name], theirs[name]) for name in weights)
    assert len(batches) == len(their_batches) == SHORT.steps
    for ours, other in zip(batches, their_batches):
        assert all(torch.equal(a, b) for a, b in zip(ours, other))
    other_seed, other_batches = recorded(small(baseline), root, monkeypatch, seed=1)
    assert not any(
        torch.equal(weights[name], other_seed[name]) for name in weights if weights[name].unique().numel() > 1
    )
    assert not torch.equal(batches[0][0], other_batches[0][0])


def test_a_loss_that_explodes_ends_the_training_with_a_reason(root: Path) -> None:
    done = fitted(small(training={"lr": 1e30, "evaluate_every": 4}), root, "explodes")
    assert done.record["status"] == "nan"
    assert "loss" in done.record["reason"]
    assert done.record["reason"].endswith("not finite at step 2")
    assert done.result is None, "nothing is scored"
    assert len(done.arrays["curves/step"]) == 4, "it stops at the first look after the trouble"
    assert np.isfinite(done.arrays["curves/loss"]).tolist()[:2] == [True, False]


def test_features_that_are_nan_end_the_training_with_a_reason(root: Path, monkeypatch) -> None:
    dataset = data.load(SMALL, root)
    poisoned = np.array(dataset.train.features)
    poisoned[dataset.train.offsets[5] : dataset.train.offsets[6]] = np.nan
    broken = replace(dataset, train=replace(dataset.train, features=poisoned))
    monkeypatch.setattr(data, "load", lambda *_: broken)
    done = fitted(small(), root, "poisoned")
    assert done.record["status"] == "nan"
    first = 1 + int((~np.isfinite(done.arrays["curves/loss"])).argmax())
    assert done.record["reason"].endswith(f"not finite at step {first}")
    assert {"loss", "loss/video", "loss/attention"} <= set(done.record["reason"].split(" not ")[0].split(", "))
    assert first <= 3, "an epoch has three batches, and one holds the video"
    assert done.result is None


def test_a_training_without_trouble_says_so(root: Path) -> None:
    done = fitted(small(), root, "fine")
    assert (done.record["status"], done.record["reason"]) == ("ok", "")
    assert done.result is not None
    assert done.result["curve"]["step"] == [3, 6, 9]
    assert all(np.isfinite(value).all() for value in done.arrays.values())


# A planted answer. All parts of all actions look alike (action_share), but only a short part tells the class
# (key_share), so that classes alone leave most of an instance unexplained; strong noise, independent between streams,
# is what means over streams and over the snippets of a cluster take away; nothing in the background looks like an
# action (distractors, lead_in). There CASE must help. This is a test of the code and of nothing else: the knobs were
# chosen for this answer, the tiny scale checks mechanics, and its figures are quoted nowhere. Measured over 4 seeds:
# row 8 beats row 1 by 27 to 39 mAP and by 6 to 14 ACC, and row 1 with Eq. 24 alone by 4 to 7 mAP; with two other
# seeds of the generator by 17 to 35, by 5 to 16, and by 2 to 6.
PLANT = {
    "key_share": "[0.15, 0.3]",
    "action_share": "[0.7, 0.7]",
    "noise": "[1.0, 1.0]",
    "offset": "[0, 0]",
    "distractors": "0",
    "lead_in": "0",
}
SEEDS = (0, 1, 2)


def test_case_finds_what_is_planted(root: Path) -> None:
    """Table 2, rows 1 and 8, as released; also row 1 with Eq. 24: the gain is not that of fused streams alone."""
    sets = [f"source.knobs.{name}={value}" for name, value in PLANT.items()]
    rows = study.load("table2", base="released", data="tiny", sets=[*sets, "training.steps=200"], root=root).rows
    baseline, case = rows[0].settings, rows[7].settings
    assert baseline.case.cat == baseline.case.lambda_c == baseline.case.lambda_r == 0
    fused = replace(baseline, case=replace(baseline.case, co_label=CoLabel(True, False, False)))
    found = {
        name: [fitted(s, root, f"{name}-{seed}", seed).result["metrics"] for seed in SEEDS]
        for name, s in {"baseline": baseline, "fused": fused, "case": case}.items()
    }

    def gains(over: str, metric: str) -> list[float]:
        return [a[metric] - b[metric] for a, b in zip(found["case"], found[over])]

    assert fmean(gains("baseline", "map/avg")) > 15
    assert min(gains("baseline", "map/avg")) > 5
    assert fmean(gains("baseline", "acc")) > 3
    assert fmean(gains("fused", "map/avg")) > 1
