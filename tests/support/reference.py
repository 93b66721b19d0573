"""The recorded numbers of released code (../shared/reference, recordings): which files there are, what each of them is.

A file is recognised by what it holds, not by its name, so files of the same formats with other names are followed too.
"""

import json
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"
FOLDERS = ("reference", "recordings")  # in ../shared, and options of pytest
DEFAULT = SHARED / "reference"
ABSENT = "no recorded numbers: ../shared/{0} is absent and --{0} was not given"
THUMOS14 = (  # classes by index: recorded inference names the first C of them
    "BaseballPitch", "BasketballDunk", "Billiards", "CleanAndJerk", "CliffDiving", "CricketBowling", "CricketShot",
    "Diving", "FrisbeeCatch", "GolfSwing", "HammerThrow", "HighJump", "JavelinThrow", "LongJump", "PoleVault",
    "Shotput", "SoccerPenalty", "TennisSwing", "ThrowDiscus", "VolleyballSpiking",
)  # fmt: skip
METHODS = ("case", "asl", "basnet", "wum")
SYSTEMS = ("cola", "wtalc", "acmnet", "facnet", "ftcl", "rskp", "asmloc", "d2net", "co2net", "delu")
INFERRED = ("cola", "wtalc", "acmnet", "facnet", "rskp", "d2net", "co2net")  # methods with a rule of their own
CLAIMED = {  # kind of file -> the test file that compares every such file with the product
    "training/case": "test_parity_case",
    "sinkhorn": "test_parity_case_inference",
    "inference/case": "test_parity_case_inference",
    **{f"training/{method}": "test_parity_baselines" for method in (*METHODS[1:], *SYSTEMS)},
    **{f"inference/{method}": "test_parity_baselines_inference" for method in METHODS[1:]},
    "oic_nms": "test_parity_oic_nms",
    "eval_cases": "test_parity_eval",
    "eval_expected": "test_parity_eval",
    "eval_ground_truth": "test_parity_eval",
    "eval_predictions": "test_parity_eval",
    **{f"inference/{method}": "test_parity_baselines_rules" for method in INFERRED},
    "pseudo_segments": "test_parity_segments",
    "time_map": "test_parity_segments",
    "document": "nothing: text for people",
}


def folder(config: pytest.Config, name: str = "reference") -> Path | None:
    """The folder that was asked for, else the default one, else None."""
    given, default = config.getoption(f"--{name}"), SHARED / name
    return Path(given) if given else default if default.is_dir() else None


def files(config: pytest.Config, *kinds: str) -> list[Path]:
    """Files of both folders whose kind matches one of the patterns ("training/*"), by name; none without a folder."""
    folders = [where for where in (folder(config, name) for name in FOLDERS) if where]
    found = [p for where in folders for p in sorted(where.iterdir()) if p.is_file()]
    return [p for p in found if any(fnmatch(kind(p), wanted) for wanted in kinds)]


def parametrize(metafunc: pytest.Metafunc, name: str, values: Sequence[Any], ids: Sequence[str]) -> None:
    """One test per value; without a folder one that says so; with a folder but no such file, one that says that."""
    if name not in metafunc.fixturenames:
        return
    absent = [ABSENT.format(other) for other in FOLDERS if folder(metafunc.config, other) is None]
    reason = "; ".join([f"there is no file for '{name}'", *absent])
    if values:
        metafunc.parametrize(name, values, ids=ids)
    else:
        metafunc.parametrize(name, [pytest.param(None, marks=pytest.mark.skip(reason=reason))], ids=["none"])


@cache
def kind(path: Path) -> str:
    """What a file holds: a key of CLAIMED, or "unknown"."""
    if path.suffix == ".md":
        return "document"
    if path.suffix not in {".npz", ".json"}:
        return "unknown"
    try:
        return _kind_of_arrays(path) if path.suffix == ".npz" else _kind_of_json(path)
    except (ValueError, OSError):
        return "unknown"


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file."""
    with np.load(path) as file:
        return dict(file)


def records(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text())


def changed(values: dict, keys: Sequence[str | int], by: float = 1e-3) -> dict:
    """A copy of JSON values in which the number under the given keys is larger by ``by``."""
    copy = json.loads(json.dumps(values))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] += by
    return copy


def numbers(values: Any, keys: tuple = ()) -> list[tuple]:
    """Where numbers lie in JSON values: the keys that lead to each of them."""
    if isinstance(values, dict):
        return [place for key, inner in values.items() for place in numbers(inner, (*keys, key))]
    if isinstance(values, list):
        return [place for i, inner in enumerate(values) for place in numbers(inner, (*keys, i))]
    return [keys] if isinstance(values, float) else []


MARKS = {  # arrays that only one method's files hold: of a training, of an inference; the first that fits
    "case": ("init/rgb.cluster_head.weight", "cls_gt"),
    "basnet": ("init/filter.conv1.weight", "cas_supp"),
    "asl": ("init/video_encoder.weight", "att_rgb"),
    "wum": ("step1/features_embedded", "features_embedded"),
    "cola": ("step1/idx_hard_act", "actionness"),
    "wtalc": ("init/fc.weight", "c_score"),
    "facnet": ("init/embed1.weight", "score_ca"),
    "ftcl": ("init/transform.weight", None),  # inferred as ACM-Net
    "rskp": ("init/mu", "cas_reallocated"),
    "d2net": ("step1/running_bg", "embedding_rgb"),
    "asmloc": ("step1/score_foreground", None),  # inferred as ACM-Net, with two attentions
    "acmnet": ("step1/score_instance", "cas_instance_softmax"),
    "delu": ("step1/loss_evidence", None),  # inferred as CO2-Net
    "co2net": ("init/fusion.weight", "video_scores"),
}


def _method(names: set[str], place: int) -> str:
    """The first method whose mark (of a training: 0, of an inference: 1) is among the names of arrays."""
    return next((method for method, marks in MARKS.items() if marks[place] in names), "unknown")


def _kind_of_arrays(path: Path) -> str:
    with np.load(path) as file:
        names = set(file.files)
        shapes = {file[name].ndim for name in names if "/" not in name} if len(names) < 50 else set()
    last = {name.rsplit("/", 1)[-1] for name in names}
    if "features" in names and any(name.startswith("init/") for name in names):
        return f"training/{_method(names, 0)}"
    if {"logits", "Q"} <= last:
        return "sinkhorn"
    if "dynamic_weights" in last:
        return "pseudo_segments"
    if shapes == {1} and not any("/" in name for name in names):
        return "time_map"
    return f"inference/{_method(last, 1)}" if "num_snippets" in last else "unknown"


def _kind_of_json(path: Path) -> str:
    values = records(path)
    if not isinstance(values, dict | list):
        return "unknown"
    entries = list(values.values()) if isinstance(values, dict) else values

    def every(test: Callable[[Any], bool]) -> bool:
        return bool(entries) and all(isinstance(e, dict) and test(e) for e in entries)

    fits = {
        "eval_cases": every(lambda e: {"ground_truth", "results", "expected"} <= set(e)),
        "oic_nms": "oic" in values or "nms" in values,
        kind(path.with_suffix(".npz")): "settings" in values or "hyper" in values,
        "eval_ground_truth": "database" in values,
        "eval_predictions": "results" in values,
        "eval_expected": every(lambda e: any("mAP" in v for v in e.values() if isinstance(v, dict))),
    }
    return next((name for name, fit in fits.items() if fit), "unknown")
