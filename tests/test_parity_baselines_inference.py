"""Proposals and detections of ASL, BaS-Net and WUM against their released code (../shared/reference, README.md there).

Snippet sequences to 1e-6 and upsampled ones to 1e-7: recorded in float32; proposals and detections to 1e-8. ASL's T-CAS
was fused in float32 and the product fuses in float64: there proposals start from the recorded one. Thresholds, class
rule, proposals and NMS are the product's; every setting that a file states is taken from it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.compute.localize import find_pairs
from harness.compute.runs import upsample
from harness.compute.score import refined
from harness.settings import Localization
from model.baselines import asl, basnet, wum
from model.inference import Group, Inference
from model.mil import select
from model.options import OPTIONS

from support.baseline_settings import of_baseline
from support.recordings import FIELDS, Pair, check, compared_lists, grouped, off, seconds, stated
from support.reference import DEFAULT, THUMOS14, arrays, changed, files, kind, numbers, parametrize, records

METHODS = ("asl", "basnet", "wum")
READ = {  # recorded network outputs, from which the rest follows
    "asl": {"cas", "att_flow", "att_rgb", "num_snippets"},
    "basnet": {"cas_supp", "num_snippets"},
    "wum": {"cas_softmax", "score_act", "features_embedded", "num_snippets"},
}
THRESHOLDS = {  # setting -> group of sequences
    "asl": {"act_thresh": "calibrated"},
    "basnet": {"act_thresh": "cas"},
    "wum": {"act_thresh_cas": "cas", "act_thresh_magnitudes": "magnitude"},
}
FINE = {  # group -> recorded fine sequences: the thresholded one, the one under the contrast
    "asl": {"calibrated": ("upsampled", "upsampled")},
    "basnet": {"cas": ("upsampled", "upsampled")},
    "wum": {"cas": ("upsampled_cas", "upsampled_cas"), "magnitude": ("upsampled_magnitude", "upsampled_cas")},
}
NAMES = ("classes", "class_names")  # where a file may say what its classes are called


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = files(metafunc.config, *(f"inference/{method}" for method in METHODS))
    parametrize(metafunc, "half", found, [p.name for p in found])
    videos = [(p, name) for p in found if p.suffix == ".npz" for name in grouped(p)]
    parametrize(metafunc, "video", videos, [f"{p.stem}-{name}" for p, name in videos])


def rule(method: str, s: Mapping[str, Any]) -> Localization:
    """The baseline's own rule with the recorded settings; a setting that is not understood fails."""
    left = set(s) - set(FIELDS) - set(THRESHOLDS[method]) - {"fps", "frames_per_snippet", "topk", *NAMES}
    assert not left, f"settings: {sorted(left)} is not understood"
    own = of_baseline(method).localization
    given = {group: tuple(s[name]) for name, group in THRESHOLDS[method].items() if name in s}
    return replace(own, **stated(s) | {"thresholds": {**own.thresholds, **given}})


def options(method: str, T: int, s: Mapping[str, Any], k: Mapping[str, int]) -> Any:
    """The baseline's options with the recorded numbers of selected snippets."""
    counts = {**({"topk": s["topk"]} if "topk" in s else {}), **k}
    assert all(T // (T // n) == n for n in counts.values()), f"no shares of {T} snippets are {counts}"
    return replace(OPTIONS[method](), **{name: T // n for name, n in counts.items()})


def inferred_asl(v: Mapping[str, np.ndarray], s: Mapping[str, Any]) -> tuple[Inference, dict[str, np.ndarray]]:
    scores = {"cas": v["cas"][None, None], "attention": np.stack([v["att_rgb"], v["att_flow"]])[None]}
    own = asl.inference(scores, refined(scores, 0), options("asl", len(v["cas"]), s, {}))
    video, sequence = v["video_scores"][None], v["combined_cas"][None]
    seen = {"combined_cas": own.groups["calibrated"].score_on[0], "video_scores": own.video[0]}
    return Inference(video, {"calibrated": Group(sequence, sequence, video)}), seen


def inferred_basnet(v: Mapping[str, np.ndarray], s: Mapping[str, Any]) -> tuple[Inference, dict[str, np.ndarray]]:
    cas = v["cas_supp"][None, None]
    scores = {"cas": cas[..., :-1], "background": cas[0, ..., -1], "attention": np.zeros(cas.shape[:-1])}
    own = basnet.inference(scores, refined(scores, 0), options("basnet", cas.shape[2], s, {}))
    pairs = find_pairs(own, rule("basnet", s))
    used = np.zeros(own.video.shape)
    used[pairs] = own.groups["cas"].video_score[pairs]
    return own, {"score_supp": np.append(own.video, 1 - own.video.sum()), "final_score_used": used[0]}


def inferred_wum(v: Mapping[str, np.ndarray], s: Mapping[str, Any]) -> tuple[Inference, dict[str, np.ndarray]]:
    """Class scores are recorded apart from the T-CAS, which is recorded after its Softmax."""
    e, video = torch.as_tensor(v["features_embedded"])[None], v["score_act"][None]
    m, ends = e.norm(dim=-1), {"act": len(v["feat_act"]), "bkg": len(v["feat_bkg"])}
    o = options("wum", e.shape[1], s, {f"r_{name}": n for name, n in ends.items()})
    magnitude = wum.attention(m, o, wum.margin(o, e.shape[-1]))  # in float32, as recorded
    scores = {"cas": np.log(v["cas_softmax"])[None, None], "attention": magnitude[:, None].numpy()}
    stored = wum.inference(scores, refined(scores, 0), o)
    own = Inference(video, wum.groups(torch.as_tensor(v["cas_softmax"])[None], magnitude, video))
    seen = {"normalised_magnitude": magnitude[0].numpy(), "cas_normalised": stored.groups["cas"].score_on[0]}
    for name, sign in (("act", 1), ("bkg", -1)):
        rows = e[0, select(sign * m[..., None], ends[name])[0, :, 0]].numpy()
        seen[f"feat_{name}"] = as_set(rows)
    return own, seen


INFERRED = {"asl": inferred_asl, "basnet": inferred_basnet, "wum": inferred_wum}


def as_set(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(rows.T)]


def sequence(group: Group, labels: np.ndarray, scale: int) -> np.ndarray:
    """Upsampled thresholded sequence of each searched class of a video: (fine positions, classes)."""
    coarse = group.threshold_on[0].T
    return upsample(coarse[labels if len(coarse) > 1 else np.zeros_like(labels)], scale).T


@cache
def compared(path: Path, name: str) -> dict[str, Pair]:
    """Every recorded key of a video, but those that are read, with our value; one that is not understood fails."""
    method, v, values = kind(path).removeprefix("inference/"), grouped(path)[name], records(path.with_suffix(".json"))
    s = values["settings"]
    r, (own, seen) = rule(method, s), INFERRED[method](v, s)
    _, labels = find_pairs(own, r)
    named = (where[key] for where in (values, s) for key in NAMES if key in where)
    classes = tuple(next(named, THUMOS14[: own.video.shape[1]]))
    seen |= {"pred_classes": labels}
    fine = {keys[0]: sequence(own.groups[name], labels, r.upsampling) for name, keys in FINE[method].items()}
    out = {}
    for key in sorted(set(v) - READ[method]):
        assert key in seen | fine, f"{key} is not understood"
        theirs = as_set(v[key]) if key.startswith("feat_") else v[key]
        out[key] = Pair(seen[key], theirs, 1e-6) if key in seen else Pair(fine[key], theirs, 1e-7)
    lists, span = set(values) - {"settings", *NAMES}, seconds(s, v["num_snippets"])
    return out | compared_lists(values, lists, name, own, r, span, classes)


def test_video(video: tuple[Path, str]) -> None:
    check(compared(*video))


def test_nothing_else_is_recorded(half: Path) -> None:
    """Inputs and outputs lie side by side, of the same videos, and belong to videos."""
    values, videos = records(half.with_suffix(".json")), grouped(half.with_suffix(".npz"))
    assert "" not in videos, f"not understood: {sorted(videos[''])}"
    for key in set(values) - {"settings", *NAMES}:
        assert set(values[key]) <= set(videos), f"{key}: videos without inputs"


def test_each_changed_number_fails(video: tuple[Path, str]) -> None:
    """Each key in turn, one number of it (drawn at random) 1e-3 off or, of a list, one row less or more."""
    rng = np.random.default_rng(0)
    for key, pair in compared(*video).items():
        values = pair.theirs
        wrong = [off(values, rng.integers(values.size)), values[1:]] if values.size else []
        for theirs in [*wrong, np.concatenate([values, np.ones((1, *values.shape[1:]))])]:
            with pytest.raises(AssertionError, match=key):
                check({key: pair._replace(theirs=theirs)})


def saved(path: Path, tmp_path: Path, values: Mapping, z: Mapping[str, np.ndarray]) -> Path:
    copy = tmp_path / path.name
    np.savez(copy, **z)
    copy.with_suffix(".json").write_text(json.dumps(values))
    compared.cache_clear()
    return copy


def test_a_changed_file_fails(video: tuple[Path, str], tmp_path: Path) -> None:
    """Copies of both files: of each list one score, of each array one number is 1e-3 off."""
    path, name = video
    z, values, pairs = arrays(path), records(path.with_suffix(".json")), compared(path, name)
    for key in (key for key, pair in pairs.items() if pair.theirs.size):
        if key in values:
            json_copy, z_copy = changed(values, (key, name, *numbers(values[key][name])[0])), z
        else:
            json_copy, z_copy = values, z | {f"{name}/{key}": off(z[f"{name}/{key}"], 0)}
        copy = saved(path, tmp_path, json_copy, z_copy)
        with pytest.raises(AssertionError, match=re.escape(key)):
            check({key: compared(copy, name)[key]})


def test_an_unknown_key_fails(video: tuple[Path, str], tmp_path: Path) -> None:
    path, name = video
    z, values = arrays(path), records(path.with_suffix(".json"))
    settings = values | {"settings": values["settings"] | {"new": 1}}
    for other in ((values | {"new": {}}, z), (settings, z), (values, z | {f"{name}/new": np.zeros(1)})):
        copy = saved(path, tmp_path, *other)
        with pytest.raises(AssertionError, match=r"new.* is not understood"):
            compared(copy, name)


def test_defaults_are_the_released_settings() -> None:
    """What choosing a baseline sets for localisation is what the project's own recordings used."""
    if not DEFAULT.is_dir():
        pytest.skip("the folder ../shared/reference is absent")
    for method in METHODS:
        given = rule(method, records(DEFAULT / f"{method}_inference.json")["settings"])
        own, thresholds = rule(method, {}), given.thresholds
        assert replace(given, thresholds=own.thresholds) == own
        for group, values in own.thresholds.items():
            np.testing.assert_allclose(thresholds[group], values, rtol=0, atol=1e-12)
