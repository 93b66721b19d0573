"""Trainings of released baselines followed step by step (../shared/reference, ../shared/recordings, READMEs there).

float64: 1e-9 (ASL, BaS-Net, WUM: 1e-7 after step 2). float32: 1e-5 and 1e-4; there selected snippets are compared by
their values, else as sets. What runs is ``harness.compute.train.update`` without a head; see ``support.followed``.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from support import (
    systems_cosine,
    systems_first,
    systems_pairs,
    systems_segments,
    systems_sequences,
    systems_single,
    systems_state,
)
from support.followed import count, follow
from support.recordings import Pair, check, off
from support.reference import arrays, files, kind, parametrize

FILES = (
    systems_first, systems_single, systems_pairs, systems_cosine, systems_state, systems_sequences, systems_segments,
)  # fmt: skip
SYSTEMS = {name: system for file in FILES for name, system in file.SYSTEMS.items()}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = files(metafunc.config, *(f"training/{method}" for method in SYSTEMS))
    parametrize(metafunc, "training", found, [p.stem for p in found])
    steps = [(p, step) for p in found for step in range(1, count(arrays(p)) + 1)]
    parametrize(metafunc, "at", steps, [f"{p.stem}-step{step}" for p, step in steps])


@cache
def followed(path: Path, last: int | None = None) -> list[dict[str, Pair]]:
    return follow(SYSTEMS[kind(path).removeprefix("training/")], path, last)


def test_step(at: tuple[Path, int]) -> None:
    path, step = at
    check(followed(path)[step - 1])


def test_every_recorded_number_is_compared(training: Path) -> None:
    compared = {key for pairs in followed(training) for key in pairs}
    left = {key for key in arrays(training) if key not in compared and not key.startswith("init/")}
    system = SYSTEMS[kind(training).removeprefix("training/")]
    drawn = {f"mask/{name}" for name in system.drawn()}
    unread = {key for key in left if key.split("/", 1)[-1] not in drawn} - {"features", "labels", "hyper"}
    assert unread <= set(system.inputs), unread


def test_each_changed_number_fails(training: Path) -> None:
    """Each key of each step in turn, one number of it (drawn at random) 1e-3 off."""
    rng = np.random.default_rng(0)
    for pairs in followed(training):
        for key, pair in pairs.items():
            with pytest.raises(AssertionError, match=re.escape(key)):
                check({key: pair._replace(theirs=off(pair.theirs, rng.integers(pair.theirs.size)))})


@pytest.mark.parametrize(
    "what", [r"step\d+/[a-zA-Z]\w+", r"step\d+/grad/.*", r"trajectory/.*", r"step\d+/weights_af.*"]
)
def test_a_changed_file_fails(training: Path, tmp_path: Path, what: str) -> None:
    """A copy of the file in which one number of an intermediate, gradient, trajectory or weight is 1e-3 off."""
    z = arrays(training)
    key = next((k for k in z if re.fullmatch(what, k) and z[k].dtype.kind == "f"), "")
    if not key:
        pytest.skip("nothing of the kind is recorded")
    changed(training, tmp_path, {key: off(z[key], 0)}, re.escape(key))


@pytest.mark.parametrize(("key", "by"), [("init/", 0.5), ("features", 0.5), ("labels", 1)])
def test_a_changed_input_fails(training: Path, tmp_path: Path, key: str, by: float) -> None:
    key, values = next((k, np.array(v)) for k, v in arrays(training).items() if k.startswith(key))
    values.flat[: values.shape[-1]] += by  # a row: a mask may hide one number
    changed(training, tmp_path, {key: values}, None)


@pytest.mark.parametrize("key", ["step1/new", "step1/grad/new.weight", "trajectory/new", "new", "init/new"])
def test_an_unknown_key_fails(training: Path, tmp_path: Path, key: str) -> None:
    new = np.zeros(count(arrays(training)))
    changed(training, tmp_path, {key: new}, "is not understood" if "init" not in key else "init/new")


def changed(training: Path, tmp_path: Path, values: Mapping[str, np.ndarray], match: str | None) -> None:
    """A copy of the file with other values fails, naming what differs."""
    copy = tmp_path / training.name
    np.savez(copy, **arrays(training) | dict(values))
    last = max((int(n) for key in values for n in re.findall(r"^step(\d+)/", key)), default=1)
    with pytest.raises(AssertionError, match=match):
        check({f"{i} {key}": pair for i, pairs in enumerate(followed(copy, last)) for key, pair in pairs.items()})
