"""ASL, BaS-Net and WUM against their released code, number by number (../shared/reference, README.md there).

Training: float64 1e-9 at steps 1 and 2, 1e-7 at step 20; float32 1e-5 / 1e-4. Inference: proposals to 1e-8.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.localize import detect, propose, searched
from harness.settings import Localization
from model.baselines import load
from model.inference import Group, Inference
from model.mil import foreground_labels, highest
from model.settings import OPTIONS, AslOptions, BasnetOptions, WumOptions
from model.streams import Batch, Shape, Snippets

STREAMS = ("rgb", "flow")
METHODS = ("asl", "basnet", "wum")
TRAININGS = (
    "asl_default_f64", "asl_default_f32", "asl_lr1e-3_f64", "basnet_default_f64", "basnet_default_f32",
    "basnet_alpha0p1_lr1e-3_f64", "wum_default_f64", "wum_default_f32", "wum_margin1p7_lr1e-3_f64",
)  # fmt: skip
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


def options(method: str, hyper: Mapping) -> AslOptions | BasnetOptions | WumOptions:
    """The recorded hyper-parameters; everything else is the default of that baseline's Options."""
    if method == "asl":
        return AslOptions(gamma=hyper["q"], topk=hyper["T"] // hyper["topk"])
    if method == "basnet":
        assert hyper["leaky_slope"] == 0.01
        return BasnetOptions(
            alpha=hyper["alpha"], topk=hyper["T"] // hyper["k"], channels=hyper["H_cas"], for_snippets=0
        )
    return WumOptions(
        alpha=hyper["alpha"], beta=hyper["beta"], margin=hyper["margin"],
        r_act=hyper["r_act"], r_bkg=hyper["r_bkg"], channels=hyper["H"], for_channels=0,
    )  # fmt: skip


def build(method: str, z: Mapping, hyper: Mapping, dtype: torch.dtype) -> nn.Module:
    shape = Shape(2, hyper["D"], hyper["C"], hyper.get("H_filter", hyper.get("H")))
    baseline = load(method).Baseline(options(method, hyper), shape, seed=0).to(dtype)
    with torch.no_grad():
        for name, p in weights(method, baseline):
            p.copy_(torch.as_tensor(z[f"init/{name}"]).reshape(p.shape))
    return baseline


def weights(method: str, baseline: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """(recorded name, our parameter) of every parameter; all of ours are covered."""
    found = []
    for theirs, ours in MODULES[method].items():
        for copy, stream in zip(getattr(baseline, ours).copies, STREAMS):
            found += [(f"{theirs.format(stream)}.{kind}", p) for kind, p in copy.named_parameters()]
    assert len(found) == len(list(baseline.parameters()))
    return found


def batch(z: Mapping, hyper: Mapping, step: int, dtype: torch.dtype) -> Batch:
    index = (step - 1) % len(z["features"])
    x = torch.as_tensor(z["features"][index]).to(dtype)  # (B, T, 2D), RGB first
    return Batch(torch.stack(x.split(hyper["D"], -1)), torch.as_tensor(z["labels"][index]).to(dtype))


def observe_asl(baseline: nn.Module, s: Snippets, b: Batch, parts: Mapping, Q_A: Tensor) -> dict[str, Tensor]:
    o = baseline.options
    combined = o.omega * s.cas.softmax(-1)[0] + (1 - o.omega) * s.attention.mean(0)[..., None]
    both = {f"attention_{name}": s.attention[m] for m, name in enumerate(STREAMS)}
    return both | {"cas": s.cas[0], "combined_cas": combined, "QA": Q_A[0], "loss_vid": parts["video"]}


def observe_basnet(baseline: nn.Module, s: Snippets, b: Batch, parts: Mapping, Q_A: Tensor) -> dict[str, Tensor]:
    o, k = baseline.options, s.attention.shape[-1] // baseline.options.topk
    x = b.x.movedim(0, -2).flatten(-2)[None]
    base, supp = baseline.sequence(x, None), torch.cat([s.cas, s.extra["background"][None, ..., None]], -1)
    best = supp[0, ..., :-1].topk(k, dim=-2).indices
    torch.testing.assert_close(Q_A[0], foreground_labels(best, b.labels, s.cas.shape[-2]))
    assert o.lambda_a == 0
    return {
        "cas_base": base[0], "cas_supp": supp[0], "foreground_weights": s.attention[0],
        "score_base": highest(base, k).softmax(-1)[0], "score_supp": highest(supp, k).softmax(-1)[0],
        "loss_base": parts["base"], "loss_supp": parts["suppressed"], "loss_norm": parts["sparsity"],
    }  # fmt: skip


def observe_wum(baseline: nn.Module, s: Snippets, b: Batch, parts: Mapping, Q_A: Tensor) -> dict[str, Tensor]:
    o, m = baseline.options, s.embedding.norm(dim=-1)[0]
    T = m.shape[-1]
    act, bkg = m.topk(T // o.r_act).indices, m.topk(T // o.r_bkg, largest=False).indices

    def mean(values: Tensor, indices: Tensor) -> Tensor:
        return torch.stack([v[i].mean(0) for v, i in zip(values, indices)])

    torch.testing.assert_close(Q_A[0].sum(-1), torch.full_like(Q_A[0, :, 0], T // o.r_act))
    assert bool((Q_A[0].gather(-1, act) == 1).all())
    return {
        "features_embedded": s.embedding[0], "cas_softmax": s.cas.softmax(-1)[0], "magnitudes": m,
        "score_act": highest(s.cas, T // o.r_act).softmax(-1)[0], "score_bkg": mean(s.cas[0], bkg).softmax(-1),
        "mean_feat_act_norm": mean(s.embedding[0], act).norm(dim=-1),
        "mean_feat_bkg_norm": mean(s.embedding[0], bkg).norm(dim=-1),
        "loss_cls": parts["video"], "loss_be": parts["background"], "loss_um": parts["uncertainty"],
    }  # fmt: skip


OBSERVE: Mapping[str, Callable[..., dict[str, Tensor]]] = {
    "asl": observe_asl, "basnet": observe_basnet, "wum": observe_wum,
}  # fmt: skip
TRAJECTORY = {  # recorded per-step term -> our part
    "asl": {"vid": "video"},
    "basnet": {"base": "base", "supp": "suppressed", "norm": "sparsity"},
    "wum": {"cls": "video", "be": "background", "um": "uncertainty"},
}
EXTRA = {  # recorded, and covered by sets (Q^A) or means of what they select
    "topk_indices", "topk_indices_base", "topk_indices_supp", "topk_mean_cas", "loss_att_flow", "loss_att_rgb",
    "idx_act_by_magnitude", "idx_bkg_by_magnitude",
}  # fmt: skip


def check(path: Path) -> set[str]:
    """Follow a recorded training; every recorded number must be ours. Returns the compared keys."""
    with np.load(path) as file:
        z = dict(file)
    method, hyper = path.name.split("_")[0], json.loads(str(z["hyper"]))
    dtype = getattr(torch, hyper["dtype"].removeprefix("torch."))
    tight, loose = (1e-9, 1e-7) if dtype == torch.float64 else (1e-5, 1e-4)
    baseline = build(method, z, hyper, dtype)
    optimizer = torch.optim.Adam(baseline.parameters(), hyper["lr"], weight_decay=hyper["weight_decay"], fused=True)
    compared = set()
    for step in range(1, len(z["trajectory/total"]) + 1):
        tolerance = tight if step <= 2 else loose

        def same(key: str, value: Tensor, expected: np.ndarray | None = None, tolerance: float = tolerance) -> None:
            expected = z[key] if expected is None else expected
            value = value.detach().numpy().reshape(expected.shape)
            np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance, err_msg=f"{path.name}: {key}")
            compared.add(key)

        b = batch(z, hyper, step, dtype)
        snippets = baseline(b)
        loss, parts, Q_A = baseline.losses(snippets, b, co_label=True)
        optimizer.zero_grad()
        loss.backward()
        ours = OBSERVE[method](baseline, snippets, b, parts, Q_A) | {"loss_total": loss}
        ours |= {f"grad/{name}": p.grad for name, p in weights(method, baseline)}
        optimizer.step()
        ours |= {f"weights_after/{name}": p for name, p in weights(method, baseline)}
        recorded = {k.removeprefix(f"step{step}/") for k in z if k.startswith(f"step{step}/")}
        assert recorded - set(ours) <= EXTRA
        for name in recorded & set(ours):
            same(f"step{step}/{name}", ours[name])
        same("trajectory/total", loss, z["trajectory/total"][step - 1])
        for theirs, part in TRAJECTORY[method].items():
            same(f"trajectory/{theirs}", parts[part], z[f"trajectory/{theirs}"][step - 1])
        if method == "asl":
            both = z["trajectory/att_flow"][step - 1] + z["trajectory/att_rgb"][step - 1]
            same("trajectory/att_flow", 2 * parts["attention"], both)
    return compared


@pytest.mark.parametrize("name", TRAININGS)
def test_training_follows_the_recorded_numbers(shared: Path, name: str) -> None:
    compared = check(shared / "reference" / f"{name}.npz")
    assert {"step1/loss_total", "trajectory/total"} <= compared
    assert len(compared) > 20


def recorded_videos(shared: Path, method: str) -> tuple[dict[str, dict[str, np.ndarray]], dict]:
    """Crafted network outputs per video, and what the released code wrote for them."""
    with np.load(shared / "reference" / f"{method}_inference.npz") as file:
        arrays = dict(file)
    videos: dict[str, dict[str, np.ndarray]] = {}
    for key, value in arrays.items():
        video, name = key.split("/")
        videos.setdefault(video, {})[name] = value
    return videos, json.loads((shared / "reference" / f"{method}_inference.json").read_text())


def infer(method: str, v: Mapping[str, np.ndarray]) -> Inference:
    """The product's rule on one video's recorded network outputs, without CAT."""
    if method == "asl":
        attention = np.stack([v["att_rgb"], v["att_flow"]])[None]  # (1, M, T)
        scores = {"cas": v["cas"][None, None], "attention": attention}
        ours = load("asl").inference(scores, attention.mean(1, dtype=np.float64), AslOptions())
        np.testing.assert_allclose(ours.groups["calibrated"].score_on[0], v["combined_cas"], atol=1e-6)
        np.testing.assert_allclose(ours.video[0], v["video_scores"], atol=1e-6)
        single = v["combined_cas"][None].astype(np.float64)  # calibrated in float32, as released; ours is float64
        return Inference(ours.video, {"calibrated": Group(single, single, v["video_scores"][None].astype(np.float64))})
    if method == "basnet":
        cas = v["cas_supp"]
        attention = np.full((1, 1, len(cas)), 0.3)
        scores = {"cas": cas[None, None, :, :-1], "background": cas[None, :, -1], "attention": attention}
        return load("basnet").inference(scores, attention[:, 0], BasnetOptions())
    wum = load("wum")
    magnitude = wum.attention(torch.as_tensor(v["features_embedded"]).norm(dim=-1)[None], WumOptions(), 100.0)
    np.testing.assert_allclose(magnitude[0], v["normalised_magnitude"], rtol=0, atol=1e-6)
    video = v["score_act"][None].astype(np.float64)  # recorded apart from the T-CAS
    return Inference(video, wum.groups(torch.as_tensor(v["cas_softmax"])[None], magnitude, video))


def settings(method: str, **changes) -> Localization:
    prefix = "localization."
    own = {k.removeprefix(prefix): x for k, x in OPTIONS[method].sets.items() if k.startswith(prefix)}
    return replace(Localization(), **own | changes)


PRE_NMS = {  # recorded proposals -> group
    "asl": {"pre_nms": "calibrated"},
    "basnet": {"pre_nms": "cas"},
    "wum": {"pre_nms_cas_thresholds": "cas", "pre_nms_magnitude_thresholds": "magnitude"},
}
CLASSES = ("BaseballPitch", "BasketballDunk", "Billiards", "CleanAndJerk", "CliffDiving", "CricketBowling")
FINAL = (("asl", "hard_nms"), ("asl", "soft_nms"), ("basnet", "final"), ("wum", "final"))


def seconds(v: Mapping[str, np.ndarray]) -> float:
    """What the sampled snippets span: 16 frames each at 25 frames a second."""
    return 16 * int(v["num_snippets"]) / 25


@pytest.mark.parametrize("method", METHODS)
def test_proposals_are_the_recorded_ones(shared: Path, method: str) -> None:
    videos, expected = recorded_videos(shared, method)
    for key, group in PRE_NMS[method].items():
        for name, lists in expected[key].items():
            v, rule = videos[name], settings(method)
            inference = infer(method, v)
            pairs = searched(inference, rule)
            found = propose(inference.groups[group], pairs, rule.thresholds[group], rule)
            step = seconds(v) / (rule.upsampling * inference.groups[group].threshold_on.shape[1])
            assert len(found) == len(lists) or not len(pairs[0])
            for ours, theirs in zip(found, lists):
                rows = [row for per_class in theirs for row in per_class]
                mine = np.stack(
                    [pairs[1][ours.sequence], ours.score, ours.first * step, (ours.last + 1) * step], axis=-1
                )
                np.testing.assert_allclose(
                    mine, np.array(rows).reshape(-1, 4), rtol=0, atol=1e-8, err_msg=f"{name} {key}"
                )


@pytest.mark.parametrize(("method", "key"), FINAL)
def test_detections_are_the_recorded_ones(shared: Path, method: str, key: str) -> None:
    videos, expected = recorded_videos(shared, method)
    for name, v in videos.items():
        rule = settings(method, **({"nms": key.removesuffix("_nms")} if method == "asl" else {}))
        found = detect(infer(method, v), rule, np.array([seconds(v)]))
        rows = expected[key].get(name, [])
        theirs = [(CLASSES.index(row["label"]), row["score"], *row["segment"]) for row in rows]
        mine = np.stack([found.label, found.score, found.start, found.end], axis=-1)
        np.testing.assert_allclose(mine, np.array(theirs).reshape(-1, 4), rtol=0, atol=1e-8, err_msg=name)
