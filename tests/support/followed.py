"""A recorded training of a released method followed by the product, step by step; ``System`` says what differs.

What is compared is what the step computed itself: functions that it calls are watched. Random masks that are recorded
take the place of those that the step would draw, in the order in which it draws them.
"""

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from harness.compute.train import State, update
from harness.settings import Settings
from model.case import Step
from model.streams import Batch, Snippets

from support.recordings import STREAMS, Pair, batch, opened, precision, tolerance
from support.reference import arrays

Calls = Mapping[str, list[tuple[tuple, Any]]]  # of a watched function: arguments and what it returned
Arrays = Mapping[str, np.ndarray]
SIZES = {"seed", "NB", "B", "T", "D", "C", "steps", "lr", "weight_decay", "betas", "eps", "dtype"}


class Hyper(dict[str, Any]):
    """Recorded hyper-parameters, which know whether they were read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.used = set(SIZES)

    def __getitem__(self, name: str) -> Any:
        self.used.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.used.add(name)
        return super().get(name, default)

    def take(self, **names: str) -> dict[str, Any]:
        """Option = recorded value, for each ``option="recorded name"``."""
        return {option: self[name] for option, name in names.items()}


@dataclass(frozen=True)
class Seen:
    """What a step of the product leaves to be compared."""

    options: Any
    batch: Batch
    snippets: Snippets
    step: Step
    calls: Calls
    state: State

    @property
    def embedding(self) -> Tensor:
        """Z of the first stream on the grid, (B, T, H)."""
        return self.batch.spread(self.snippets.embedding, self.snippets.rows)[0]

    def results(self, name: str) -> list[Any]:
        """What the calls of a watched function returned."""
        return [result for _, result in self.calls[name]]

    def losses(self, **names: str) -> dict[str, Tensor]:
        """loss_NAME = the step's part, for each ``NAME="part"``."""
        return {f"loss_{name}": self.step.parts[part] for name, part in names.items()}


@dataclass(frozen=True)
class System:
    """How the recordings of one released method are read."""

    baseline: str
    weights: Mapping[str, str]  # recorded layer or weight -> ours; "{}": one per stream
    options: Callable[[Hyper], Any]  # the baseline's options
    seen: Callable[[Seen], dict[str, Tensor]]  # all that is recorded of a step, beside gradients and weights
    watched: tuple[str, ...] = ()  # functions that the step calls, as the baseline's file or model.mil names them
    masks: tuple[str, ...] = ()  # recorded masks, in the order in which the step draws them
    copies: tuple[str, ...] = STREAMS  # what "{}" stands for in masks, which are stacked
    axis: int = 0  # along this axis
    given: tuple[str, ...] = ()  # recorded draws that are no masks
    draws: str = ""  # function of the baseline's file that draws them, in their order; "": ``state`` reads them
    inputs: tuple[str, ...] = ()  # recorded arrays beside features, labels and hyper that ``batch`` reads
    batch: Callable[[Arrays, torch.dtype, int], Batch] = batch
    prepared: tuple[str, ...] = ()  # recorded arrays that ``state`` gives at some step
    state: Callable[[State, Arrays, int], dict[str, Tensor]] = lambda state, z, step: {}  # before each step
    width: str = "H"  # hyper-parameter that is the embedding's width
    streams: int = 2
    later: float = 1e-9  # tolerance from step 3 on
    sequences: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # indices -> what selected them, its axis
    trajectory: Mapping[str, str] = field(default_factory=dict)  # names there -> names in a step, if not loss_NAME

    def drawn(self) -> set[str]:
        """Names of all recorded draws."""
        names = (*self.masks, *self.given)
        return {name.format(copy) for name in names for copy in self.copies}


def count(z: Arrays) -> int:
    """Number of steps of a recorded training."""
    return len(z["trajectory/total"])


def ratio(T: int, k: int) -> int:
    """The product's r of T // r selected snippets, of which k are recorded."""
    assert T // (T // k) == k, f"no share of {T} snippets is {k}"
    return T // k


def hyper(z: Arrays) -> Hyper:
    """Recorded hyper-parameters; those that repeat a size agree with the arrays."""
    h = Hyper(json.loads(str(z["hyper"])))
    NB, B, T, width = z["features"].shape
    sizes = {"NB": NB, "B": B, "T": T, "D": width // 2, "C": z["labels"].shape[-1], "steps": count(z)}
    assert {name: h[name] for name in sizes if name in h} == {name: sizes[name] for name in sizes if name in h}
    return Hyper(sizes | h)


def released(system: System, h: Hyper) -> Settings:
    """The baseline alone with the recorded hyper-parameters, each of which is understood."""
    s, o = Settings(), system.options(h)
    case = replace(s.case, baseline=system.baseline, options=o, width=h[system.width], clusters=0)
    assert not (left := set(h) - h.used - {"masks"}), f"hyper: {sorted(left)} is not understood"
    beta = dict(zip(("beta1", "beta2"), h.get("betas", (0.9, 0.999))))
    assert beta.pop("beta1") == 0.9
    assert h.get("eps", 1e-8) == 1e-8
    return replace(s, case=case, training=replace(s.training, lr=h["lr"], weight_decay=h["weight_decay"], **beta))


def weights(system: System, state: State) -> dict[str, Tensor]:
    """Recorded name -> our parameter; all of ours are there."""
    found, own = {}, dict(state.case.baseline.named_parameters())
    for theirs, ours in system.weights.items():
        for m, stream in enumerate(STREAMS[: state.case.baseline.streams] if "{}" in theirs else ("",)):
            place, name = ours.format(m), theirs.format(stream)
            inner = {n.removeprefix(place): p for n, p in own.items() if n == place or n.startswith(f"{place}.")}
            found |= {f"{name}{rest}": p for rest, p in inner.items()}
    assert len(found) == len(own), f"not compared: {len(own) - len(found)} weights"
    return found


@contextmanager
def watched(system: System, state: State) -> Iterator[Calls]:
    """Calls of the baseline's forward pass and of watched functions, by name."""
    calls: dict[str, list] = {"forward": []}
    hook = state.case.baseline.register_forward_hook(lambda _, args, out: calls["forward"].append((args, out)))

    def watch(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: object, **named: object) -> Any:
            calls[name].append((args, real(*args, **named)))
            return calls[name][-1][1]

        calls[name] = []
        return wrapper

    with ExitStack() as stack:
        stack.callback(hook.remove)
        for name in system.watched:
            module, attribute = place(system, name)
            stack.enter_context(patch.object(module, attribute, watch(name, getattr(module, attribute))))
        yield calls


def place(system: System, name: str) -> tuple[Any, str]:
    """Owner and name of a watched function: "mil.pool" lies in model.mil, "pool" in the baseline's file."""
    module, _, attribute = name.rpartition(".")
    if module == "Baseline":
        return importlib.import_module(f"model.baselines.{system.baseline}").Baseline, attribute
    return importlib.import_module(f"model.{module or f'baselines.{system.baseline}'}"), attribute


@contextmanager
def masked(system: System, z: Arrays, step: int) -> Iterator[None]:
    """Recorded masks in the place of drawn ones; each is used, once. Without recorded masks there is no dropout."""
    groups = [[name.format(copy) for copy in system.copies] if "{}" in name else [name] for name in system.masks]
    names = [group for group in groups if f"step{step}/mask/{group[0]}" in z]
    left = [torch.as_tensor(np.stack([z[f"step{step}/mask/{n}"] for n in group], system.axis)) for group in names]

    def dropout(x: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
        return x * left.pop(0).reshape(x.shape).to(x.dtype) / (1 - p) if names and p else x

    keys = [f"step{step}/mask/{name}" for name in system.given]
    recorded = [torch.as_tensor(z[key]) for key in keys if key in z]
    with ExitStack() as stack:
        if system.draws and recorded:
            module = importlib.import_module(f"model.baselines.{system.baseline}")
            stack.enter_context(patch.object(module, system.draws, lambda *_: recorded.pop(0)))
        for name, module in list(sys.modules.items()):
            if name.startswith(("model.baselines.", "model.streams")) and hasattr(module, "dropout"):
                stack.enter_context(patch.object(module, "dropout", dropout))
        yield
    assert not left, f"{len(left)} of the masks {names} are not used"
    assert not (system.draws and recorded), f"{len(recorded)} of {system.given} are not used"


def stepped(system: System, state: State, z: Arrays, dtype: torch.dtype, step: int) -> dict[str, np.ndarray]:
    """One optimiser step of the product: all that is recorded of it."""
    b = system.batch(z, dtype, step)
    early = {name: value.numpy().copy() for name, value in system.state(state, z, step).items()}
    with watched(system, state) as calls, masked(system, z, step):
        done = update(state, b)
    snippets = calls["forward"][0][1]
    out = system.seen(Seen(state.case.baseline.options, b, snippets, done, calls, state)) | {"loss_total": done.loss}
    for name, p in weights(system, state).items():
        out |= {f"grad/{name}": p.grad, f"weights_after/{name}": p}
    return early | {name: value.detach().numpy().copy() for name, value in out.items()}


def follow(system: System, path: Path, last: int | None = None) -> list[dict[str, Pair]]:
    """Per step (up to ``last``) of a recorded training, every recorded key of it with our value."""
    z = arrays(path)
    h, steps = hyper(z), count(z)
    places = {"features", "labels", "hyper", *(f"step{i}" for i in range(1, steps + 1)), "init", "trajectory"}
    left = {key for key in z if key.split("/")[0] not in places and key not in (*system.inputs, *system.prepared)}
    assert not left, f"{sorted(left)} is not understood"
    dtype, out = precision(h), []
    state = opened(released(system, h), z, h, partial(weights, system), STREAMS[: system.streams])
    for step in range(1, (last or steps) + 1):
        close = tolerance(dtype, step, system.later)
        found, head = stepped(system, state, z, dtype, step), f"step{step}/"
        drawn = {f"{head}mask/{name}" for name in system.drawn()}
        recorded = {key: value for key, value in z.items() if key.startswith(head) and key not in drawn}
        theirs = {key: (key.removeprefix(head), value) for key, value in recorded.items()}
        for key in (key for key in z if key.startswith("trajectory/")):
            assert len(z[key]) == steps, key
            name = key.removeprefix("trajectory/")
            theirs[key] = (system.trajectory.get(name, f"loss_{name}"), z[key][step - 1])
        theirs |= {key: (key, z[key]) for key in system.prepared if key in found}
        exact = dtype == torch.float64
        out.append({key: Pair(*twins(system, found, *at, exact), close, close) for key, at in theirs.items()})
    return out


def twins(system: System, found: Arrays, name: str, theirs: np.ndarray, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """Our value of a recorded name beside the recorded one; a name that is not understood fails."""
    assert name in found, f"{name} is not understood"
    ours = found[name]
    if name in system.sequences:
        sequence, axis = system.sequences[name]
        pair = [i if exact else np.take_along_axis(found[sequence], i, axis) for i in (ours, theirs)]
        return np.sort(pair[0], axis), np.sort(pair[1], axis)
    bare = ours.ndim > theirs.ndim and ours.size == theirs.size  # kernels of 1 and single streams have no axis there
    return (ours.reshape(theirs.shape) if bare else ours), theirs
