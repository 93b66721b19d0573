"""CASE's optimiser step against the released code, number by number (../shared/reference, README.md there).

float64: 1e-9 at steps 1 and 2, 1e-7 later. float32: 1e-5 and 1e-4; there the set and the values of selected snippets
are compared, not their order. What runs is ``harness.compute.train.update`` under ``studies/base/released.yaml``.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.compute.train import State, update
from harness.settings import Settings
from harness.study.presets import load_preset
from model.clustering import prototypes
from model.labeling import RANKS, class_marginal, entropy, log_prior, start_q_r
from model.mil import calibrate, foreground_labels, generalised_bce, pool, select, video_loss
from model.streams import Batch, Snippets

from support.recordings import STREAMS, Pair, batch, check, off, opened, precision, tolerance
from support.reference import arrays, files, parametrize

MODULES = ("video_encoder", "action_classifier", "attention_encoder", "attention_layer")
INPUTS = ("features", "labels", "hyper")  # recorded, read by the test, with init/


def trainings(config: pytest.Config) -> list[Path]:
    return files(config, "training/case")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = trainings(metafunc.config)
    parametrize(metafunc, "training", found, [p.stem for p in found])
    steps = [(p, step) for p in found for step in range(1, hyper(p)["steps"] + 1)]
    parametrize(metafunc, "at", steps, [f"{p.stem}-step{step}" for p, step in steps])


def hyper(path: Path) -> dict:
    return json.loads(str(arrays(path)["hyper"]))


def released(h: Mapping) -> Settings:
    """The released preset with the recorded hyper-parameters (streams averaged: its sums are twice our means)."""
    s = load_preset("released")
    options = replace(s.case.options, gamma=h["q"], topk=h["T"] // h["topk"])
    case = replace(
        s.case, options=options, width=h["H"], clusters=h["KC"], lambda_c=2 * h["w_clu"], lambda_r=2 * h["w_cls"],
        rho=h["temp"], epsilon=h["eps"] / h["temp"], sigma=h["std"], sinkhorn_steps=h["sinkhorn_iters"],
        sinkhorn_steps_r=h["sinkhorn_iters"],
    )  # fmt: skip
    return replace(s, case=case, training=replace(s.training, lr=h["lr"], weight_decay=h["weight_decay"], warm_up=0))


def weights(state: State, gradient: bool = False) -> dict[str, Tensor]:
    """Recorded name -> our parameter, or its gradient (0 where no loss reaches it); cluster heads are slices of one."""

    def of(p: Tensor) -> Tensor:
        return p.detach() if not gradient else torch.zeros_like(p) if p.grad is None else p.grad

    case = state.case
    copies = {name: getattr(case.baseline, name).copies for name in MODULES}
    out = {
        f"{stream}.{name}.{kind}": of(getattr(copies[name][m], kind))
        for m, stream in enumerate(STREAMS)
        for name in MODULES
        for kind in ("weight", "bias")
    }
    return out | {f"{stream}.cluster_head.weight": of(case.head.weight)[m] for m, stream in enumerate(STREAMS)}


def seen(state: State, b: Batch) -> dict[str, Tensor]:
    """What the step is about to see, by the product's own functions, under the names of the recording."""
    s, h = state.case.settings, state.case.settings.options
    with torch.no_grad():
        snippets: Snippets = state.case.baseline(b)
        a = snippets.attention.flatten(1).mean(0)
        combined = calibrate(snippets.cas.softmax(-1), snippets.attention, h.omega).mean(0)
        selected = select(combined, combined.shape[-2] // h.topk)
        Q_A = foreground_labels(selected, b.labels, combined.shape[-2])
        prior = log_prior(RANKS[s.rank](a[None]), state.carried.Q_R.mean(0, keepdim=True), s.sigma)[0].exp()
        out = {
            "combined_cas": combined, "topk_indices": selected, "attention_mean_flat": a, "QA": Q_A,
            "argsort_used_as_rank": (-a).argsort(), "prior_target_1_minus_prevQR": 1 - state.carried.Q_R[0, :, 0],
            "prior": prior / prior.sum(), "beta": class_marginal(Q_A.reshape(1, -1), 1, s.class_marginal)[0],
        }  # fmt: skip
        for m, name in enumerate(STREAMS):
            pooled = pool(snippets.cas[m], selected)
            out |= {
                f"cas_{name}": snippets.cas[m], f"topk_mean_cas_{name}": pooled,
                f"attention_{name}": snippets.attention[m], f"embedding_{name}": snippets.embedding[m],
                f"loss_vid_{name}": video_loss(pooled[None], b.labels, h.label_norm, h.label_floor),
                f"loss_att_{name}": generalised_bce(
                    snippets.attention[m, None], Q_A[None], h.gamma, h.per_video, h.guard
                ),
                f"proto_fgbg_{name}": prototypes(
                    torch.stack([Q_A.flatten(), 1 - Q_A.flatten()], -1)[None], snippets.embedding[m][None]
                )[0],
            }  # fmt: skip
    return out


def stepped(state: State, b: Batch) -> dict[str, Tensor]:
    """One optimiser step of the product: all that is recorded of it."""
    state.case.project_()
    before = seen(state, b)
    step = update(state, b)
    Q_C, Q_R = step.pseudo.Q_C, step.pseudo.Q_R
    out = before | {
        "QC": Q_C[0], "QR": Q_R[0], "loss_total": step.loss,
        "cluster_logits_mean": step.logits["clusters"].mean(0),
        "cluster_class_logits_mean": step.logits["classes"].mean(0),
        "loss_clu": 2 * step.parts["clusters"], "loss_cls": 2 * step.parts["classes"],
        "entropy_QC_mean": entropy(Q_C[0]), "entropy_QR_mean": entropy(Q_R[0]),
    }  # fmt: skip
    for m, name in enumerate(STREAMS):
        out |= {
            f"cluster_logits_{name}": step.logits["clusters"][m],
            f"cluster_class_logits_{name}": step.logits["classes"][m],
            f"proto_cluster_{name}": prototypes(Q_C[:1], before[f"embedding_{name}"][None])[0],
        }
    both = torch.stack([before["loss_vid_flow"], before["loss_vid_rgb"]]).mean()
    torch.testing.assert_close(step.parts["video"], both)  # the parts of the step are what was just compared
    torch.testing.assert_close(step.pseudo.Q_A[0], before["QA"])
    out |= {f"grad/{name}": value.clone() for name, value in weights(state, gradient=True).items()}
    return out | {f"weights_after/{name}": value.clone() for name, value in weights(state).items()}


@cache
def followed(path: Path) -> list[dict[str, Pair]]:
    """Per step of a recorded training, every recorded key of it with our value."""
    z, h = arrays(path), hyper(path)
    dtype = precision(h)
    state, out = opened(released(h), z, h, weights), []
    for step in range(1, h["steps"] + 1):
        found = {
            name: value.detach().squeeze(-1).numpy() for name, value in stepped(state, batch(z, dtype, step)).items()
        }
        theirs = {key.removeprefix(f"step{step}/"): value for key, value in z.items() if key.startswith(f"step{step}/")}
        theirs |= {key: value[step - 1] for key, value in z.items() if key.startswith("trajectory/")}
        close, exact = tolerance(dtype, step), dtype == torch.float64
        out.append({key: pair(found, key, value, close, exact) for key, value in theirs.items()})
    return out


def pair(found: Mapping[str, np.ndarray], key: str, theirs: np.ndarray, close: float, exact: bool) -> Pair:
    """Our value of a recorded key; a key that is not understood fails."""
    short = {"total": "loss_total"} | {
        k: f"loss_{k}" for k in ("clu", "cls", "vid_flow", "vid_rgb", "att_flow", "att_rgb")
    }
    name = key.removeprefix("trajectory/")
    name = short.get(name, name)
    assert name in found, f"{key} is not understood"
    ours = found[name]
    if name == "topk_indices" and not exact:
        ours, theirs = np.sort(ours, axis=-2), np.sort(theirs, axis=-2)
    if name == "argsort_used_as_rank" and not exact:
        ours, theirs = (found["attention_mean_flat"][order.astype(int)] for order in (ours, theirs))
    return Pair(ours, theirs.squeeze(-1) if theirs.ndim > ours.ndim else theirs, close, close)


def test_step(at: tuple[Path, int]) -> None:
    path, step = at
    check(followed(path)[step - 1])


def test_every_recorded_number_is_compared(training: Path) -> None:
    keys = {f"step{i}/{key}" for i, pairs in enumerate(followed(training), 1) for key in pairs}
    keys |= {key for pairs in followed(training) for key in pairs}
    left = {key for key in arrays(training) if key not in keys | set(INPUTS) and not key.startswith("init/")}
    assert not left


def test_a_changed_number_fails(training: Path) -> None:
    """Each recorded key of step 1 in turn, one number of it 1e-3 off (an index: one further), is noticed."""
    rng = np.random.default_rng(0)
    for key, pair in followed(training)[0].items():
        with pytest.raises(AssertionError):
            check({key: pair._replace(theirs=off(pair.theirs, rng.integers(pair.theirs.size)))})


@pytest.mark.parametrize("key", ["init/rgb.attention_encoder.weight", "features", "labels", "trajectory/total"])
def test_a_changed_file_fails(training: Path, tmp_path: Path, key: str) -> None:
    """A copy of the file with one number changed: by 1e-3 in what is expected, more in what the step reads."""
    z = arrays(training)
    z[key] = z[key].copy()
    z[key].flat[0] += {"labels": 1, "trajectory/total": 1e-3 * abs(z[key].flat[0])}.get(key, 0.5)
    copy = tmp_path / training.name
    np.savez(copy, **z)
    pairs = {f"{i}/{key}": pair for i, step in enumerate(followed(copy)) for key, pair in step.items()}
    with pytest.raises(AssertionError):
        check(pairs)


def test_unknown_key_is_not_understood() -> None:
    with pytest.raises(AssertionError, match="step1/new is not understood"):
        pair({}, "step1/new", np.zeros(1), 1, True)


def test_first_q_r_is_the_recorded_constant(training: Path) -> None:
    h = hyper(training)
    assert torch.equal(start_q_r(released(h).case, torch.zeros(1), 2), torch.full((2, h["KC"], 2), 1 / h["KC"]))
