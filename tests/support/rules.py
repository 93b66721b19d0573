"""How the recorded inference of each released method is read: inputs, settings, lists (../shared/recordings)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from harness.compute.clocks import Timing
from harness.compute.localize import detect, find_pairs, propose_all
from harness.settings import Localization
from model.baselines import acmnet, asmloc, co2net, cola, d2net, facnet, rskp, wtalc
from model.inference import Inference
from model.options import OPTIONS

from support.recordings import Pair, recorded, seconds


class Read(NamedTuple):
    """Recorded arrays of one video, those of all videos, settings, the video's name, annotated classes."""

    video: Mapping[str, np.ndarray]
    shared: Mapping[str, np.ndarray]
    settings: Mapping[str, Any]
    name: str
    annotated: np.ndarray  # (C,) which classes any video's ground truth has
    clock: np.ndarray | None = None  # (n + 1,) where snippets are not sampled evenly


@dataclass(frozen=True)
class Rule:
    """One method's rule: inputs that are read, our inference and values of recorded arrays, what settings mean."""

    infer: Callable[[Read], tuple[Inference, dict[str, np.ndarray]]]
    read: tuple[str, ...]
    thresholds: Mapping[str, str]  # setting -> group
    fine: Mapping[str, str] = field(default_factory=dict)  # group -> recorded upsampled sequence
    baseline: Callable[[Mapping], str] = lambda settings: ""
    shared: tuple[str, ...] = ()
    unit: float = 0.0  # seconds of a proposal's unit; 0: seconds themselves


FIELDS = {  # recorded setting -> field of Localization
    "class_thresh": "class_threshold", "class_fallback": "class_fallback", "scale": "upsampling",
    "nms_thresh": "nms_threshold", "nms_sigma": "nms_alpha", "oic_lambda": "oic_lambda", "oic_gamma": "oic_gamma",
    "outer_weight": "oic_weight", "fusion_nms_thresh": "nms_join", "oic_cut": "oic_cut", "keep_share": "keep_share",
}  # fmt: skip
WORDS = {  # settings in words, as the release behaves: the product's own rule must mean the same
    "class_rule": {
        "strictly above": {"class_rule": "above"}, "c_score > max/2 and > 0": {"class_rule": "above"},
        "c_score>0": {"class_rule": "above", "class_threshold": 0.0},
    },
    "nms": {
        "none": {"nms": "none"},
        "soft, every remaining score times exp(-overlap^2/sigma) after each pick": {"nms": "gaussian"},
    },
    "threshold": {"half the range, strictly above": {"snippet_rule": "above"}},
    "score": {"max + 0.7 c_score": {"score": "peak", "oic_gamma": 0.7}},
}  # fmt: skip
READ = {
    "fps",
    "frames_per_snippet",
    "shortest",
    "topk",
    "r_easy",
    "r_instance",
    "score_weights",
    "weights",
    "rgb_scale",
}
READ |= {"oic_gamma_attention", "nms_plus_snippets", "shortest_kept", "dynamic"}


def rule(method: str, own: Localization, settings: Mapping[str, Any]) -> Localization:
    """The baseline's rule with the recorded settings; a setting that is not understood fails."""
    given = {FIELDS[name]: value for name, value in settings.items() if name in FIELDS}
    thresholds = dict(own.thresholds)
    for name, value in settings.items():
        if name in RULES[method].thresholds:
            for group in RULES[method].thresholds[name].split():
                scale = settings.get(f"{group}_scale", 1)
                thresholds[group] = tuple(scale * v for v in value)
        elif name in WORDS:
            for what, expected in WORDS[name][value].items():
                assert getattr(own, what) == expected, f"{name}: {value}"
        else:
            assert name in FIELDS or name in READ, f"settings: {name} is not understood"
    if "oic_gamma_attention" in settings:
        given["oic_gamma"] = settings["oic_gamma_attention"]
    if "nms_plus_snippets" in settings:
        snippet = settings["frames_per_snippet"] / settings["fps"]
        given["nms_plus"] = settings["nms_plus_snippets"] * snippet
    return replace(own, **given, thresholds=thresholds)


def count(settings: Mapping[str, Any], name: str) -> int:
    return int(settings[name])


def infer_cola(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    """The recorded actionness is the class sum, min-max scaled."""
    cas = v.video["cas"][None, None]
    total = cas[0, 0].sum(-1)
    lo, hi = max(0.0, total.min()), max(0.0, total.max())
    refined = ((total - lo) / (hi - lo if hi > lo else 1)).clip(0, 1)
    o = OPTIONS["cola"](r_easy=count(v.settings, "r_easy"))
    return cola.inference({"cas": cas}, refined[None], o), {"actionness": total}


def infer_acmnet(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    cas, A, s = v.video["cas_logits"], v.video["attention"], v.settings
    scores = {"cas": cas[None, None, :, :-1], "background": cas[None, :, -1]}
    weight, rest = s["score_weights"]
    assert abs(weight + rest - 1) < 1e-12
    bonus = s["oic_gamma"] / s["oic_gamma_attention"] if "oic_gamma_attention" in s else 1.0
    if A.shape[1] == 2:
        given = scores if v.clock is None else scores | {"clock": v.clock[None]}
        own = asmloc.inference(given, A[None, :, 0], OPTIONS["asmloc"](r_foreground=count(s, "r_instance")))
    else:
        o = OPTIONS["acmnet"](r_instance=count(s, "r_instance"), cas_weight=weight, cas_bonus=bonus)
        own = acmnet.inference(scores, A[None, :, 0], o)
    attended = cas * A[:, :1]
    top = np.sort(attended, 0)[::-1][: max(1, len(cas) // count(s, "r_instance"))].mean(0)
    seen = {"cas_instance_softmax": softmax(attended), "score_instance": softmax(top)}
    np.testing.assert_allclose(own.groups["cas"].threshold_on[0], seen["cas_instance_softmax"][:, :-1], atol=1e-12)
    return own, seen


def infer_co2net(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    cas = v.video["cas"]
    scores = {"cas": cas[None, None, :, :-1], "background": cas[None, :, -1]}
    return co2net.inference(scores, v.video["attention"][None], OPTIONS["co2net"](k_test=count(v.settings, "topk"))), {}


def infer_wtalc(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    cas = v.video["cas"][None, None]
    scores = {"cas": cas, "attention": np.zeros(cas.shape[:3])}
    own = wtalc.inference(scores, np.zeros((1, cas.shape[2])), OPTIONS["wtalc"]())
    assert own.searched is not None
    score = own.searched
    return replace(own, searched=np.where(v.annotated, score, -np.inf)), {"c_score": score[0]}


def infer_facnet(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    streams = ("rgb", "flow")
    cas = np.stack([v.video[f"{name}/cas"] for name in streams])[None]
    agnostic = np.stack([v.video[f"{name}/score_ca"] for name in streams])[None]
    ones = np.ones((1, 2, cas.shape[2]))
    scores = {"cas": cas[..., :-1], "background": cas[..., -1], "attention": ones, "agnostic": agnostic}
    return facnet.inference(scores, ones[:, 0], OPTIONS["facnet"](rgb_scale=v.settings["rgb_scale"])), {}


def infer_rskp(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    z, weight = v.video, v.settings["weights"]
    logs = {name: np.log(z[name])[None] for name in ("score_ca_original", "score_ca_reallocated")}
    cas = z["cas_original"][None]
    scores = {"cas": cas[:, None, :, :-1], "background": cas[..., -1], "moved_cas": z["cas_reallocated"][None]}
    scores |= {"agnostic": logs["score_ca_original"], "moved_agnostic": logs["score_ca_reallocated"]}
    o = OPTIONS["rskp"](original=weight[0])
    own = rskp.inference(scores, z["attention_original"][None], o)
    mixed = sum(w * z[f"score_ca_{name}"] for w, name in zip(weight, ("original", "reallocated")))
    both = sum(w * softmax(z[f"cas_{name}"]) for w, name in zip(weight, ("original", "reallocated")))
    full = both * z["attention_original"][:, None]
    np.testing.assert_allclose(own.groups["weighted"].score_on[0], full[:, :-1], atol=1e-12)
    own = replace(own, video=mixed[None, :-1])  # the made-up scores are no probabilities: they do not sum to 1
    return own, {"sequence": full, "video_scores": mixed}


def infer_d2net(v: Read) -> tuple[Inference, dict[str, np.ndarray]]:
    z, streams = v.video, ("rgb", "flow")
    tcam = np.mean([1 / (1 + np.exp(-z[f"cas_{name}"])) for name in streams], 0)
    mean = np.mean([z[f"embedding_{name}"] for name in streams], 0)
    bg = v.shared["running_bg"][0]
    t = (1 - mean @ bg / np.linalg.norm(mean, axis=-1) / np.linalg.norm(bg)) / 2
    own = d2net.inference({"tcam": tcam[None]}, t[None], OPTIONS["d2net"]())
    return own, {"attention": t, "sequence": own.groups["activation"].score_on[0]}


def softmax(values: np.ndarray) -> np.ndarray:
    shifted = np.exp(values - values.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def lists(values: Mapping, v: Read, own: Inference, r: Localization) -> dict[str, Pair]:
    """Every recorded list of a video with ours; proposals before suppression in the recorded order."""
    classes, span = tuple(values["class_names"]), seconds(v.settings, v.video["num_snippets"])
    found = propose_all(own, find_pairs(own, r), r.thresholds, r)
    labels, out = find_pairs(own, r)[1], {}
    T = next(iter(own.groups.values())).threshold_on.shape[1]
    for key in set(values) - {"settings", "class_names", "evaluation", "ground_truth"}:
        theirs = values[key].get(v.name, [])
        if key == "final" or key.startswith("stream_"):
            some = own if key == "final" else replace(own, groups={key[7:]: own.groups[key[7:]]})
            alone = r if key == "final" else replace(r, nms_join=0.0)
            d = detect(some, alone, np.array([span]))
            out[key] = Pair(
                np.column_stack([d.label, d.score, d.start, d.end]), recorded("final", theirs, classes), 1e-8
            )
            continue
        group = key.removeprefix("pre_nms_").removesuffix("_thresholds")
        step = 1.0 if v.settings["scale"] == 1 else span / (r.upsampling * T)
        each = np.ones(len(labels))
        timing = Timing(step * each, span * each, None if v.clock is None else np.tile(v.clock, (len(labels), 1)))
        rows = [np.zeros((0, 6))]
        for i, p in enumerate(p for name, p in found if name == group):
            columns = (np.full(p.score.shape, i), p.sequence, labels[p.sequence], p.score)
            ends = (timing.time(p.sequence, p.first), timing.time(p.sequence, p.last + 1))
            rows.append(np.column_stack([*columns, *ends]))
        out[key] = Pair(np.concatenate(rows), recorded(key, theirs, classes), 1e-8)
    return out


TWO = {"act_thresh_cas": "cas", "act_thresh_attention": "attention"}
RULES = {
    "cola": Rule(
        infer_cola, ("cas",), {"act_thresh_cas": "cas", "act_thresh_actionness": "actionness"},
        {"cas": "upsampled_cas", "actionness": "upsampled_actionness"}, lambda s: "cola",
    ),
    "acmnet": Rule(
        infer_acmnet, ("cas_logits", "attention"), TWO, {"cas": "upsampled_cas", "attention": "upsampled_attention"},
        lambda s: "acmnet",
    ),
    "wtalc": Rule(infer_wtalc, ("cas",), {}, baseline=lambda s: "wtalc"),
    "facnet": Rule(
        infer_facnet, ("rgb/cas", "rgb/score_ca", "flow/cas", "flow/score_ca"), {"act_thresh": "rgb flow"},
        baseline=lambda s: "facnet",
    ),
    "rskp": Rule(
        infer_rskp,
        ("score_ca_original", "score_ca_reallocated", "attention_original", "cas_original", "cas_reallocated"),
        {"act_thresh": "weighted"}, baseline=lambda s: "rskp",
    ),
    "d2net": Rule(
        infer_d2net, ("cas_rgb", "cas_flow", "embedding_rgb", "embedding_flow"), {"act_thresh": "activation"},
        baseline=lambda s: "d2net", shared=("running_bg",),
    ),
    "co2net": Rule(infer_co2net, ("cas", "attention"), {"act_thresh": "attention"}, baseline=lambda s: "co2net"),
}  # fmt: skip
