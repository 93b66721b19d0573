"""CASE's Sinkhorn rounds, proposals and NMS against the released code (../shared/reference, README.md there).

Q to 1e-9; proposals to 1e-8. The recording fused its T-CAS in float32 and the product does in float64: they are
compared to 1e-6, and the proposals are then drawn from the recorded, fused T-CAS.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.compute import score
from harness.compute.localize import find_pairs, upsample
from harness.settings import Localization
from harness.study.presets import load_preset
from model.baselines import load
from model.clustering import assisted
from model.inference import Group, Inference
from model.transport import log_sinkhorn

from support.recordings import Pair, check, compared_lists, grouped, seconds, stated
from support.reference import THUMOS14, arrays, changed, files, numbers, parametrize, records

READ = {"logits", "prior", "beta", "temp", "eps", "Q"}
ROUNDS = 3  # of the released code


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    units = [(p, name) for p in files(metafunc.config, "sinkhorn") for name in grouped(p)]
    parametrize(metafunc, "unit", units, [f"{p.stem}-{name}" for p, name in units])
    found = [p for p in files(metafunc.config, "inference/case") if p.suffix == ".npz"]
    videos = [(p, name) for p in found for name in grouped(p) if name]
    parametrize(metafunc, "video", videos, [f"{p.stem}-{name}" for p, name in videos])


def solved(case: Mapping[str, np.ndarray]) -> np.ndarray:
    """The product's Q of one recorded Sinkhorn case."""
    assert set(case) <= READ, f"not understood: {sorted(set(case) - READ)}"
    log_S = torch.as_tensor(case["logits"]).double() * float(case["eps"]) / float(case["temp"])
    if "prior" in case:
        log_S = log_S + torch.as_tensor(case["prior"]).double().log()
    N, K = log_S.shape
    share = torch.as_tensor(case.get("beta", np.full(K, 1 / K))).double()
    return log_sinkhorn(log_S[None], N * share[None], ROUNDS)[0].exp().numpy()


def compare(case: Mapping[str, np.ndarray], Q: np.ndarray) -> None:
    tolerance = 1e-9 if Q.dtype == np.float64 else 1e-5
    np.testing.assert_allclose(solved(case), Q, rtol=tolerance, atol=tolerance)


def test_sinkhorn(unit: tuple[Path, str]) -> None:
    case = grouped(unit[0])[unit[1]]
    compare(case, case["Q"])


def test_a_changed_sinkhorn_number_fails(unit: tuple[Path, str]) -> None:
    case = grouped(unit[0])[unit[1]]
    for i in range(case["Q"].size):
        wrong = case["Q"].copy()
        wrong.flat[i] += 1e-3
        with pytest.raises(AssertionError):
            compare(case, wrong)


def localization(settings: Mapping) -> Localization:
    """The released preset's rule; every recorded setting is either taken over or asserted."""
    known = {
        "class_thresh", "act_thresh", "scale", "fps", "frames_per_snippet", "oic_lambda_effective",
        "oic_gamma_effective", "nms_thresh", "nms_alpha", "topk",
    }  # fmt: skip
    assert set(settings) == known, f"not understood: {sorted(set(settings) ^ known)}"
    thresholds = {"calibrated": tuple(settings["act_thresh"])}
    return replace(load_preset("released").localization, **stated(settings), thresholds=thresholds)


def scores(v: Mapping[str, np.ndarray], Q_R: np.ndarray) -> dict[str, np.ndarray]:
    """Recorded network outputs as the product stores them, one video; Eq. 17 by the product."""
    logits = torch.as_tensor(np.stack([v["clu_rgb"], v["clu_flow"]])[None]).double()
    return {
        "cas": np.stack([v["cas_rgb"], v["cas_flow"]])[None],
        "attention": np.stack([v["att_rgb"], v["att_flow"]])[None],
        "clusters": assisted(logits.softmax(-1), torch.as_tensor(Q_R).double()).numpy(),
    }


def own(path: Path, name: str) -> Inference:
    """The product's sequences of a recorded video under the released preset."""
    v, case, topk = (
        grouped(path)[name],
        load_preset("released").case,
        records(path.with_suffix(".json"))["settings"]["topk"],
    )
    found = scores(v, arrays(path)["cls_gt"])
    options = replace(case.options, topk=len(v["cas_rgb"]) // topk)
    return load("proposed").inference(found, score.refined(found, case.cat), options)


def test_fused_scores(video: tuple[Path, str]) -> None:
    path, name = video
    v, inference = grouped(path)[name], own(path, name)
    sequence = inference.groups["calibrated"].score_on[0]
    np.testing.assert_allclose(sequence, v["combined_cas"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(inference.video[0], v["video_scores"], rtol=0, atol=1e-6)
    settings = records(path.with_suffix(".json"))["settings"]
    _, classes = find_pairs(inference, localization(settings))
    assert classes.tolist() == v["pred_classes"].tolist()
    fine = upsample(v["combined_cas"].T.astype(np.float64), settings["scale"])  # (C, 24 T)
    np.testing.assert_allclose(fine[v["pred_classes"]].T, v["upsampled"], rtol=0, atol=1e-8)


def lists(path: Path, name: str, expected: Mapping) -> dict[str, Pair]:
    """The product's proposals and its detections under both kinds of NMS beside what is expected."""
    v, settings = grouped(path)[name], expected["settings"]
    sequence, video = (v[key][None] for key in ("combined_cas", "video_scores"))
    inference = Inference(video, {"calibrated": Group(sequence, sequence, video)})
    keys, span = set(expected) - {"settings"}, seconds(settings, v["num_snippets"])
    assert keys == {"pre_nms", "hard_nms", "soft_nms"}, f"not understood: {sorted(keys)}"
    return compared_lists(expected, keys, name, inference, localization(settings), span, THUMOS14)


def test_proposals_and_detections(video: tuple[Path, str]) -> None:
    path, name = video
    check(lists(path, name, records(path.with_suffix(".json"))))


def test_a_changed_proposal_fails(video: tuple[Path, str]) -> None:
    path, name = video
    expected = records(path.with_suffix(".json"))
    for key in set(expected) - {"settings"}:
        place = numbers(expected[key][name])[-1]
        wrong = changed(expected, (key, name, *place))
        with pytest.raises(AssertionError, match=key):
            check(lists(path, name, wrong))
