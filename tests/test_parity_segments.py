"""ASM-Loc's pseudo segments and clocks against its released code (../shared/recordings).

Detections of a video -> how often each snippet is sampled, the features that are sampled, first and last snippets of
segments, snippet labels: exact, features to 1e-12. A clock maps times of detections (``test_parity_baselines_rules``).
"""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.compute import batches
from harness.compute.clocks import Timing
from harness.compute.outer import draw_batch
from harness.data import Split
from harness.settings import Training
from model.baselines.asmloc import Baseline
from model.options import AsmlocOptions
from model.segments import Found, start_clock, weigh
from model.streams import Shape

from support.recordings import Pair, check, grouped, off
from support.reference import arrays, files, kind, parametrize, records

SETTINGS = {"delta": "widen", "alpha": "surest", "gamma": "upsample", "max_segments": "segments"}
INPUTS = {"features", "labels"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = [p for p in files(metafunc.config, "pseudo_segments") if p.suffix == ".npz"]
    parametrize(metafunc, "unit", found, [p.stem for p in found])
    videos = [(p, name) for p in found for name in names(p)]
    parametrize(metafunc, "video", videos, [f"{p.stem}-{name}" for p, name in videos])
    maps = files(metafunc.config, "time_map")
    parametrize(metafunc, "clocks", maps, [p.stem for p in maps])


def names(path: Path) -> list[str]:
    return sorted({key.split("/")[0] for key in arrays(path)} - {"hyper"})


def read_hyper(path: Path) -> tuple[AsmlocOptions, int, float]:
    """Options, T and snippets a second; both halves of the recording say the same."""
    h = json.loads(str(arrays(path)["hyper"]))
    assert h == records(path.with_suffix(".json"))["hyper"]
    left = set(h) - set(SETTINGS) - {"T", "fps", "frames_per_snippet"}
    assert not left, f"hyper: {sorted(left)} is not understood"
    return (
        AsmlocOptions(**{ours: h[name] for name, ours in SETTINGS.items()}),
        h["T"],
        h["fps"] / h["frames_per_snippet"],
    )


def read_found(path: Path, name: str, rate: float, present: np.ndarray) -> Found:
    """Recorded detections of the classes present, in snippets."""
    values = records(path.with_suffix(".json"))
    assert set(values) == {"detections", "class_names", "hyper"}
    rows = [(values["class_names"].index(d["label"]), d["score"], *d["segment"]) for d in values["detections"][name]]
    label, score, start, end = np.array(rows, np.float64).reshape(-1, 4).T
    return Found(label.astype(np.int64), score, rate * start, rate * end).at(present[label.astype(np.int64)])


def make_split(features: np.ndarray, labels: np.ndarray) -> Split:
    """One video of one stream, in float64."""
    return Split(("",), features[:, None], np.array([0, len(features)]), labels[None], (np.zeros((0, 3)),), np.ones(1))


@cache
def compared(path: Path, name: str) -> dict[str, Pair]:
    """Every recorded array of a video but the inputs, with what the product makes of these."""
    options, T, rate = read_hyper(path)
    head = f"{name}/"
    z = {key.removeprefix(head): value for key, value in arrays(path).items() if key.startswith(head)}
    split = make_split(z["features"], z["labels"])
    found = read_found(path, name, rate, z["labels"] > 0)
    weights = weigh(found, len(z["features"]), options)
    out = {"dynamic_weights": weights}
    clock = torch.from_numpy(start_clock(weights))[None]
    for way, clocks in (("dynamic", clock), ("uniform", None)):
        own = replace(options, dynamic=way == "dynamic", heads=1)
        training = Training(snippets=T, precision="fp64")  # type: ignore[arg-type]
        batch = draw_batch((torch.from_numpy(z["features"]),), split, np.zeros(1, int), training, clocks, None)
        shape = Shape((z["features"].shape[1],), len(z["labels"]), 1)
        (made,) = Baseline(own, shape, 0).double().segment(batch, [found])
        if clocks is not None:
            torch.testing.assert_close(made["clock"], clock[0])
        out |= {f"{way}/sampled": batch.x[0][batch.rows[0]], f"{way}/boxes": made["boxes"]}
        out |= {f"{way}/box_count": made["counts"], f"{way}/pseudo_labels": made["labels"]}
    assert set(out) == set(z) - INPUTS, f"{sorted(set(out) ^ (set(z) - INPUTS))} is not understood"
    return {f"{head}{key}": Pair(np.asarray(value), z[key], 1e-12) for key, value in out.items()}


@pytest.fixture(autouse=True)
def _double(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.PRECISIONS, "fp64", torch.float64)


def test_video(video: tuple[Path, str]) -> None:
    check(compared(*video))


def test_each_changed_number_fails(video: tuple[Path, str]) -> None:
    rng = np.random.default_rng(0)
    for key, pair in compared(*video).items():
        with pytest.raises(AssertionError, match=key):
            check({key: pair._replace(theirs=off(pair.theirs, rng.integers(pair.theirs.size)))})


def test_a_changed_file_fails(unit: Path, tmp_path: Path) -> None:
    """Copies of both halves: a number of each array, a detection's class or end, a setting."""
    z, values, name = arrays(unit), records(unit.with_suffix(".json")), names(unit)[0]

    def fails(arrays_: dict, values_: dict) -> None:
        copy = tmp_path / "copy.npz"
        np.savez(copy, **arrays_)
        copy.with_suffix(".json").write_text(json.dumps(values_))
        compared.cache_clear()
        with pytest.raises(AssertionError):
            check({key: pair for other in names(copy) for key, pair in compared(copy, other).items()})

    for key, value in z.items():
        if key.startswith(name) and value.size:
            fails(z | {key: off(value, 0)}, values)
    first = values["detections"][name][0]
    for other in ({"label": values["class_names"][-1]}, {"segment": [first["segment"][0], first["segment"][1] + 3]}):
        wrong = {**values["detections"], name: [first | other, *values["detections"][name][1:]]}
        fails(z, values | {"detections": wrong})
    fails(z | {f"{name}/new": np.zeros(1)}, values)
    for hyper in ({"delta": 0.6}, {"new": 1}):
        h = values["hyper"] | hyper
        fails(z | {"hyper": np.array(json.dumps(h))}, values | {"hyper": h})


def test_clocks_belong_to_a_recorded_inference(clocks: Path) -> None:
    """Each clock is read for a video of a file beside it, begins at 0 and ends at a whole number."""
    beside = [p for p in clocks.parent.iterdir() if p.suffix == ".npz" and kind(p).startswith("inference/")]
    assert any(set(grouped(p)) == set(arrays(clocks)) for p in beside)
    for clock in arrays(clocks).values():
        assert clock[0] == 0
        assert (np.diff(clock) > 0).all()


def test_a_changed_clock_moves_times(clocks: Path) -> None:
    """Any number of a clock but the last moves times near it, against a slow formula of the map."""
    for clock in arrays(clocks).values():
        n, positions = len(clock) - 1, np.linspace(0, 3 * (len(clock) - 1), 400)
        timing = Timing(np.array([1 / 3]), np.array([float(n)]), clock[None])
        times = timing.time(np.zeros(len(positions), int), positions)
        for position, time in zip(positions[1:-1], times[1:-1]):
            share = position / (3 * n) * clock[-1]
            i = int(np.searchsorted(clock, share, side="right")) - 1
            assert time == pytest.approx(i + (share - clock[i]) / (clock[i + 1] - clock[i]), abs=1e-9)
        moved = clock.copy()
        moved[n // 2] += 0.4
        assert not np.allclose(times, replace_clock(timing, moved).time(np.zeros(len(positions), int), positions))


def replace_clock(timing: Timing, clock: np.ndarray) -> Timing:
    return timing._replace(clocks=clock[None])
