"""Inference rules of released baselines against their recorded proposals and detections (../shared/recordings).

Everything to 1e-8: class scores, classes, upsampled sequences, proposals before suppression, detections. Every setting
that a file states is taken from it; one that is not understood fails, as does an array or list that is not compared.
"""

import json
import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from harness import study
from harness.compute.localize import find_pairs, upsample

from support.baseline_settings import of_baseline
from support.evaluations import WAYS, mean_average_precision
from support.recordings import Pair, check, off
from support.reference import INFERRED, SHARED, arrays, changed, files, kind, numbers, parametrize, records
from support.rules import RULES, Read, lists, rule


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = files(metafunc.config, *(f"inference/{method}" for method in INFERRED))
    halves = [p for p in found if p.suffix == ".npz"]
    videos = [(p, name) for p in halves for name in names(p)]
    parametrize(metafunc, "video", videos, [f"{p.stem}-{name}" for p, name in videos])
    timed = [(p, name) for p, name in videos if find_clock(p, name) is not None]
    parametrize(metafunc, "timed", timed, [f"{p.stem}-{name}" for p, name in timed])
    judged = [p for p in halves if "evaluation" in records(p.with_suffix(".json"))]
    parametrize(metafunc, "judged", judged, [p.stem for p in judged])
    parametrize(metafunc, "half", halves, [p.stem for p in halves])


def find_clock(path: Path, name: str) -> np.ndarray | None:
    """A video's clock, from the file beside that holds one for each of the videos; None: sampled evenly."""
    if not records(path.with_suffix(".json"))["settings"].get("dynamic", False):
        return None
    fit = [p for p in find_maps(path) if set(arrays(p)) == set(names(path))]
    assert len(fit) == 1, f"{path.name}: {len(fit)} files of clocks"
    return arrays(fit[0])[name]


def find_maps(path: Path) -> list[Path]:
    """Files of clocks beside a file."""
    return [p for p in sorted(path.parent.iterdir()) if kind(p) == "time_map"]


def names(path: Path) -> list[str]:
    """Videos of a file."""
    return sorted({key.split("/")[0] for key in arrays(path) if "/" in key})


@cache
def compared(path: Path, name: str) -> dict[str, Pair]:
    """Every recorded array and list of a video, but those that are read, with our value."""
    method, values, z = kind(path).removeprefix("inference/"), records(path.with_suffix(".json")), arrays(path)
    video = {key.removeprefix(f"{name}/"): value for key, value in z.items() if key.startswith(f"{name}/")}
    shared = {key: value for key, value in z.items() if "/" not in key}
    settings = values["settings"]
    how = RULES[method]
    truth = {entry["label"] for entries in values.get("ground_truth", {}).values() for entry in entries}
    annotated = np.array([label in truth for label in values["class_names"]])
    read = Read(video, shared, settings, name, annotated, find_clock(path, name))
    own, seen = how.infer(read)
    r = rule(method, of_baseline(how.baseline(settings)).localization, settings)
    _, labels = find_pairs(own, r)
    seen |= {"pred_classes": labels, "video_scores": seen.get("video_scores", own.video[0])}
    for group, key in how.fine.items():
        coarse = own.groups[group].threshold_on[0].T
        picked = coarse[labels if len(coarse) > 1 else np.zeros_like(labels)]
        seen[key] = upsample(picked, r.upsampling).T
    left = set(video) - set(how.read) - {"num_snippets"} - set(seen)
    assert not left, f"{sorted(left)} is not understood"
    out = {key: Pair(np.asarray(seen[key]), video[key], 1e-8) for key in sorted(set(video) & set(seen))}
    return out | lists(values, read, own, r)


def test_video(video: tuple[Path, str]) -> None:
    check(compared(*video))


def test_nothing_else_is_recorded(half: Path) -> None:
    values, videos = records(half.with_suffix(".json")), names(half)
    loose = {key for key in arrays(half) if "/" not in key}
    assert loose <= set(RULES[kind(half).removeprefix("inference/")].shared)
    for key in set(values) - {"settings", "class_names", "evaluation"}:
        assert set(values[key]) <= set(videos), key


def test_each_changed_number_fails(video: tuple[Path, str]) -> None:
    """Each key in turn, one number of it (drawn at random) 1e-3 off or, of a list, one row less or more."""
    rng = np.random.default_rng(0)
    for key, pair in compared(*video).items():
        values = pair.theirs
        wrong = [off(values, rng.integers(values.size)), values[1:]] if values.size and values.ndim else []
        more = [np.concatenate([values, np.ones((1, *values.shape[1:]))])] if values.ndim else [values + 1]
        for theirs in [*wrong, *more]:
            with pytest.raises(AssertionError, match=re.escape(key)):
                check({key: pair._replace(theirs=theirs)})


def test_a_changed_file_fails(video: tuple[Path, str], tmp_path: Path) -> None:
    """A copy of both files: of each list one score, of each array one number is 1e-3 off."""
    path, name = video
    z, values = arrays(path), records(path.with_suffix(".json"))
    for beside in find_maps(path):
        shutil.copy(beside, tmp_path)
    for key, pair in compared(path, name).items():
        if not pair.theirs.size:
            continue
        copy = tmp_path / path.name
        of_list = key in values
        wrong = changed(values, (key, name, *numbers(values[key][name])[0])) if of_list else values
        np.savez(copy, **(z if of_list else z | {f"{name}/{key}": off(z[f"{name}/{key}"], 0)}))
        copy.with_suffix(".json").write_text(json.dumps(wrong))
        compared.cache_clear()
        with pytest.raises(AssertionError, match=re.escape(key)):
            check({key: compared(copy, name)[key]})


def test_a_changed_clock_fails(timed: tuple[Path, str], tmp_path: Path) -> None:
    """One number of a video's clock 1e-3 off."""
    path, name = timed
    clock = find_clock(path, name)
    for beside in (path, path.with_suffix(".json")):
        shutil.copy(beside, tmp_path)
    clocks = next(z for z in map(arrays, find_maps(path)) if name in z)
    np.savez(tmp_path / "clocks.npz", **clocks | {name: off(clock, len(clock) // 2)})
    with pytest.raises(AssertionError):
        check(compared(tmp_path / path.name, name))


def evaluate(path: Path) -> dict[str, Pair]:
    """mAP of the product's detections, evaluated as the release does, with the recorded ones."""
    values, found, truth = records(path.with_suffix(".json")), [np.zeros((0, 5))], []
    classes, rate = values["class_names"], values["settings"]["fps"] / values["settings"]["frames_per_snippet"]
    for number, name in enumerate(names(path)):
        final = compared(path, name)["final"].ours  # (n, 4): class, score, start s, end s
        spans = np.rint(rate * final[:, 2:])
        found.append(np.column_stack([np.full(len(final), number), final[:, :2], spans]))
        for own in values["ground_truth"].get(name, []):
            ends = np.rint(rate * np.array(own["segment"]))
            truth.append([number, classes.index(own["label"]), 0, *ends])
    recorded = values["evaluation"]
    assert set(recorded) == {"iou", "mAP_percent"}, f"evaluation: {sorted(recorded)} is not understood"
    way, rows = WAYS[kind(path).removeprefix("inference/")], np.concatenate(found)
    ours = [mean_average_precision(rows, np.array(truth), tiou, way) for tiou in recorded["iou"]]
    return {"evaluation": Pair(np.array(ours), np.array(recorded["mAP_percent"]), 1e-8)}


def test_released_evaluation(judged: Path) -> None:
    check(evaluate(judged))


def test_a_changed_evaluation_or_truth_fails(judged: Path, tmp_path: Path) -> None:
    """Copies with one mAP off, and without a video's ground truth."""
    values = records(judged.with_suffix(".json"))
    elsewhere = {
        name: [entry | {"segment": [0.0, 0.64]} for entry in own] for name, own in values["ground_truth"].items()
    }
    for wrong in (changed(values, ("evaluation", "mAP_percent", 0)), values | {"ground_truth": elsewhere}):
        copy = tmp_path / judged.name
        shutil.copy(judged, copy)
        copy.with_suffix(".json").write_text(json.dumps(wrong))
        compared.cache_clear()
        with pytest.raises(AssertionError, match="evaluation"):
            check(evaluate(copy))


@pytest.mark.shared
@pytest.mark.parametrize("row", [2, 3])
def test_table_8_has_acm_net_as_released_for_activitynet(row: int) -> None:
    """Its rows state what the ActivityNet recordings of ACM-Net (those of ../shared) were made with."""
    where = SHARED / "recordings"
    if not where.is_dir():
        pytest.skip("../shared/recordings is absent")
    own = study.load("table8").rows[row].settings
    stated = records(where / "acmnet_activitynet_inference.json")["settings"]
    assert rule("acmnet", own.localization, stated) == own.localization
    h = json.loads(str(arrays(where / "acmnet_activitynet_f64.npz")["hyper"]))
    o = own.case.options
    assert [o.guide, o.separation, o.sparsity] == [h[name] for name in ("guide", "separation", "sparsity")]
    assert [o.instance, 1, 1] == h["cls_weights"]
    assert [o.r_instance, o.r_context, o.r_background] == [h[f"r_{n}"] for n in ("instance", "context", "background")]
    assert (o.dropout, o.early_dropout, own.training.weight_decay) == (h["dropout"], h["dropout"], h["weight_decay"])
    assert [o.cas_weight, 1 - o.cas_weight] == pytest.approx(stated["score_weights"])
    assert o.cas_bonus == stated["oic_gamma"] / stated["oic_gamma_attention"]
