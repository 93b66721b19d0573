"""ASL, BaS-Net and WUM against their released code, step by step (../shared/reference, README.md there).

float64: 1e-9 at steps 1 and 2, 1e-7 later. float32: 1e-5 and 1e-4; there selected snippets are compared by their
values, else as sets. What runs is ``harness.compute.train.update`` without a head. What is compared is what that step
computed itself: functions that it calls are watched. Only ASL's attention losses are taken apart: the step has their
mean, each stream's is computed again by the same function and their mean is compared with the step's.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.compute.train import State, update
from harness.settings import Settings
from model import mil
from model.baselines import proposed, wum
from model.case import Step
from model.settings import OPTIONS, AslOptions, BasnetOptions, WumOptions
from model.streams import Batch, Snippets

from support.recordings import STREAMS, Pair, batch, check, off, opened, precision, tolerance
from support.reference import arrays, files, kind, parametrize

MODULES = {  # recorded module -> ours; "{}": one per stream
    "asl": {
        "video_encoder": "video_encoder", "action_classifier": "action_classifier",
        "{}.attention_encoder": "attention_encoder", "{}.attention_layer": "attention_layer",
    },
    "basnet": {
        "filter.conv1": "filter1", "filter.conv2": "filter2",
        "cas.conv1": "cas1", "cas.conv2": "cas2", "cas.conv3": "cas3",
    },
    "wum": {"embed.conv": "encoder", "classifier": "classifier"},
}  # fmt: skip
WIDTHS = {  # hyper-parameter -> the layer that has as many outputs
    "asl": {"H": "video_encoder"}, "basnet": {"H_filter": "filter.conv1", "H_cas": "cas.conv1"},
    "wum": {"H": "embed.conv"},
}  # fmt: skip
READ = {  # hyper-parameters beside sizes
    "asl": {"q", "topk"}, "basnet": {"alpha", "k"},
    "wum": {"alpha", "beta", "margin", "r_act", "r_bkg", "k_act", "k_bkg"},
}  # fmt: skip
WATCHED: Mapping[str, tuple[tuple[ModuleType, str], ...]] = {  # functions that a step calls
    "asl": ((proposed, "calibrate"), (proposed, "pool")), "basnet": ((mil, "pool"),),
    "wum": ((mil, "pool"), (wum, "_taken")),
}  # fmt: skip
SELECTED = {  # recorded indices -> the sequence by which they were selected, and its axis of time
    "topk_indices": ("combined_cas", -2), "topk_indices_base": ("cas_base", -2), "topk_indices_supp": ("cas_supp", -2),
    "idx_act_by_magnitude": ("magnitudes", -1), "idx_bkg_by_magnitude": ("magnitudes", -1),
}  # fmt: skip
Calls = Mapping[str, list[tuple[tuple, Any]]]  # of a watched function: arguments and what it returned


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = files(metafunc.config, *(f"training/{method}" for method in MODULES))
    parametrize(metafunc, "training", found, [p.stem for p in found])
    steps = [(p, step) for p in found for step in range(1, count(arrays(p)) + 1)]
    parametrize(metafunc, "at", steps, [f"{p.stem}-step{step}" for p, step in steps])


def count(z: Mapping[str, np.ndarray]) -> int:
    """Number of steps of a recorded training."""
    return len(z["trajectory/total"])


def hyper(method: str, z: Mapping[str, np.ndarray]) -> dict:
    """Recorded hyper-parameters; those that repeat a size agree with the arrays, and none is unknown."""
    h = json.loads(str(z["hyper"]))
    NB, B, T, width = z["features"].shape
    sizes = {"NB": NB, "B": B, "T": T, "D": width // 2, "C": z["labels"].shape[-1], "steps": count(z)}
    sizes |= {name: len(z[f"init/{layer}.weight"]) for name, layer in WIDTHS[method].items()}
    known = sizes | {"dropout": 0, "leaky_slope": 0.01}
    left = set(h) - set(known) - READ[method] - {"lr", "weight_decay", "dtype", "seed"}
    assert not left, f"hyper: not understood: {sorted(left)}"
    assert {name: h[name] for name in known if name in h} == {name: known[name] for name in known if name in h}
    return sizes | h


def ratio(T: int, k: int) -> int:
    """The product's r of T // r selected snippets, of which k are recorded."""
    assert T // (T // k) == k, f"no share of {T} snippets is {k}"
    return T // k


def released(method: str, h: Mapping) -> Settings:
    """The baseline alone with the recorded hyper-parameters; what they do not say is its default."""
    o, T = OPTIONS[method](), h["T"]
    if method == "asl":
        o = replace(o, gamma=h["q"], topk=ratio(T, h["topk"]))
    elif method == "basnet":
        o = replace(o, alpha=h["alpha"], topk=ratio(T, h["k"]), channels=h["H_cas"], for_snippets=0)
    else:
        assert {r: max(1, T // h[f"r_{r}"]) for r in ("act", "bkg")} == {r: h[f"k_{r}"] for r in ("act", "bkg")}
        same = {name: h[name] for name in ("alpha", "beta", "margin", "r_act", "r_bkg")}
        o = replace(o, **same, channels=h["H"], for_channels=0)
    s = Settings()
    case = replace(s.case, baseline=method, options=o, width=h.get("H_filter", h.get("H")), clusters=0)
    return replace(s, case=case, training=replace(s.training, lr=h["lr"], weight_decay=h["weight_decay"]))


def weights(method: str, state: State) -> dict[str, Tensor]:
    """Recorded name -> our parameter; all of ours are there."""
    found = {}
    for theirs, ours in MODULES[method].items():
        for copy, stream in zip(getattr(state.case.baseline, ours).copies, STREAMS):
            found |= {f"{theirs.format(stream)}.{name}": p for name, p in copy.named_parameters()}
    assert len(found) == len(list(state.case.parameters()))
    return found


@contextmanager
def watched(method: str, state: State) -> Iterator[Calls]:
    """Calls of the baseline's forward pass and of its WATCHED functions, by name."""
    calls: dict[str, list] = {"forward": []}
    hook = state.case.baseline.register_forward_hook(lambda _, args, out: calls["forward"].append((args, out)))

    def watch(name: str, real: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def wrapper(*args: object) -> Tensor:
            calls[name].append((args, real(*args)))
            return calls[name][-1][1]

        calls[name] = []
        return wrapper

    with ExitStack() as stack:
        stack.callback(hook.remove)
        for module, name in WATCHED[method]:
            stack.enter_context(patch.object(module, name, watch(name, getattr(module, name))))
        yield calls


def seen_asl(o: AslOptions, b: Batch, s: Snippets, calls: Calls, step: Step) -> dict[str, Tensor]:
    ((_, combined),), (((_, selected), pooled),) = calls["calibrate"], calls["pool"]
    Q_A = step.pseudo.Q_A
    each = [mil.generalised_bce(P[None], Q[None], o.gamma, o.per_video, o.guard) for P, Q in zip(s.attention, Q_A)]
    torch.testing.assert_close(torch.stack(each).mean(), step.parts["attention"])
    return {f"attention_{name}": s.attention[m] for m, name in enumerate(STREAMS)} | {
        "cas": s.cas[0], "combined_cas": combined.mean(0), "topk_indices": selected[0], "topk_mean_cas": pooled[0],
        "QA": Q_A[0], "loss_vid": step.parts["video"], "loss_att_rgb": each[0], "loss_att_flow": each[1],
    }  # fmt: skip


def seen_basnet(_: BasnetOptions, b: Batch, s: Snippets, calls: Calls, step: Step) -> dict[str, Tensor]:
    out = {"foreground_weights": s.attention[0], "loss_norm": step.parts["sparsity"]}
    for short, part, ((cas, selected), pooled) in zip(("base", "supp"), ("base", "suppressed"), calls["pool"]):
        out |= {f"cas_{short}": cas[0], f"topk_indices_{short}": selected[0]}
        out |= {f"score_{short}": pooled[0].softmax(-1), f"loss_{short}": step.parts[part]}
    Q_A = mil.foreground_labels(out["topk_indices_supp"][..., :-1], b.labels, b.x.shape[-2])
    assert torch.equal(step.pseudo.Q_A[0], Q_A)  # CASE's labels are the union of what is compared
    return out


def seen_wum(_: WumOptions, b: Batch, s: Snippets, calls: Calls, step: Step) -> dict[str, Tensor]:
    ((_, score_act),), (((_, bkg), score_bkg), ((_, act), mean_act), (_, mean_bkg)) = calls["pool"], calls["_taken"]
    Q_A = torch.zeros(s.attention.shape, dtype=b.labels.dtype).scatter_(-1, act, 1.0)
    assert torch.equal(step.pseudo.Q_A, Q_A)  # CASE's labels are what is compared
    return {
        "features_embedded": s.embedding[0], "magnitudes": s.embedding[0].norm(dim=-1),
        "cas_softmax": s.cas[0].softmax(-1), "score_act": score_act[0].softmax(-1),
        "score_bkg": score_bkg[0].softmax(-1), "idx_act_by_magnitude": act[0], "idx_bkg_by_magnitude": bkg[0],
        "mean_feat_act_norm": mean_act[0].norm(dim=-1), "mean_feat_bkg_norm": mean_bkg[0].norm(dim=-1),
        "loss_cls": step.parts["video"], "loss_be": step.parts["background"], "loss_um": step.parts["uncertainty"],
    }  # fmt: skip


def stepped(method: str, state: State, b: Batch) -> dict[str, np.ndarray]:
    """One optimiser step of the product: all that is recorded of it."""
    with watched(method, state) as calls:
        step = update(state, b)
    ((_, snippets),) = calls["forward"]
    seen = {"asl": seen_asl, "basnet": seen_basnet, "wum": seen_wum}[method]
    out = seen(state.case.baseline.options, b, snippets, calls, step) | {"loss_total": step.loss}
    for name, p in weights(method, state).items():
        out |= {f"grad/{name}": p.grad, f"weights_after/{name}": p}
    return {name: value.detach().numpy().copy() for name, value in out.items()}


@cache
def followed(path: Path, last: int | None = None) -> list[dict[str, Pair]]:
    """Per step (up to ``last``) of a recorded training, every recorded key of it with our value."""
    method, z = kind(path).removeprefix("training/"), arrays(path)
    h, steps = hyper(method, z), count(z)
    places = ["features", "labels", "hyper", *(f"step{i}" for i in range(1, steps + 1)), "init", "trajectory"]
    left = {key for key in z if key.split("/")[0] not in places}
    assert not left, f"{sorted(left)} is not understood"
    dtype = precision(h)
    exact, out = dtype == torch.float64, []
    state = opened(released(method, h), z, h, partial(weights, method))
    for step in range(1, (last or steps) + 1):
        close = tolerance(dtype, step)
        found, head = stepped(method, state, batch(z, dtype, step)), f"step{step}/"
        theirs = {key: (key.removeprefix(head), value) for key, value in z.items() if key.startswith(head)}
        for key in (key for key in z if key.startswith("trajectory/")):
            assert len(z[key]) == steps, key
            theirs[key] = (key.replace("trajectory/", "loss_"), z[key][step - 1])
        out.append({key: Pair(*twins(found, *at, exact), close, close) for key, at in theirs.items()})
    return out


def twins(found: Mapping, name: str, theirs: np.ndarray, exact: bool) -> tuple[np.ndarray, np.ndarray]:
    """Our value of a recorded name beside the recorded one; a name that is not understood fails."""
    assert name in found, f"{name} is not understood"
    ours = found[name]
    if name in SELECTED:
        sequence, axis = SELECTED[name]
        pair = [i if exact else np.take_along_axis(found[sequence], i, axis) for i in (ours, theirs)]
        return np.sort(pair[0], axis), np.sort(pair[1], axis)
    return (ours.squeeze(-1) if ours.ndim > theirs.ndim else ours), theirs  # a kernel of 1 is recorded without its axis


def test_step(at: tuple[Path, int]) -> None:
    path, step = at
    check(followed(path)[step - 1])


def test_every_recorded_number_is_compared(training: Path) -> None:
    compared = {key for pairs in followed(training) for key in pairs}
    left = {key for key in arrays(training) if key not in compared and not key.startswith("init/")}
    assert left == {"features", "labels", "hyper"}


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
    values.flat[0] += by
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
