"""The benchmark's plain references give the numbers of the product, and its report is whole; no time is judged."""

import contextlib
import io
import json
from math import isclose

import numpy as np
import pytest
import torch
from rich.console import Console

from harness.bench.__main__ import SCALES, main, parser
from harness.bench.generated import Form, make_dataset
from harness.bench.growth import fit_exponent
from harness.bench.parts import STEP_PARTS, compare
from harness.bench.subject import Subject, load_subject, shape_as_activitynet
from harness.bench.table import show, write_seconds
from harness.bench.timing import time_in_turn
from harness.study.presets import load_preset

TIMED = ("seconds", "step", "evaluation", "start")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mlruns")


@pytest.fixture(scope="module")
def found(folder):
    """What ``--json`` prints at tiny scale."""
    before = torch.get_num_threads()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["--scale", "tiny", "--steps", "1", "--json", "--output", str(folder)]) == 0
    torch.set_num_threads(before)
    return json.loads(printed.getvalue())


def test_references_agree_with_the_product(folder) -> None:
    found = compare(load_subject("tiny", folder), 1, 1)
    assert found["differences"]["loss"] < 1e-5
    assert found["differences"]["map"] < 1e-9
    assert all(value > 0 for value in found["ratios"].values())


@pytest.mark.slow
def test_all_parts_are_reported(found) -> None:
    assert set(found["differences"]) == {"loss", "map"}
    assert set(found["ratios"]) == {"step_fp32", "step_bf16", "evaluation", "map"} == set(found["spread"])
    assert set(found["roof"]) == {"fp32", "bf16", "evaluation"}
    assert set(found["step"]) == set(STEP_PARTS)
    assert set(found["growth"]["step"]) == {"videos", "T", "D", "K"}
    assert {"memory", "run", "study", "data"} <= set(found)
    assert {"report", "mirror", "plan of a full store"} <= set(found["many runs"])


@pytest.mark.slow
def test_numbers_are_plausible(found) -> None:
    """Medians lie in their spreads, shares below 1, a whole run takes longer than its parts, memory holds torch."""
    for part in TIMED:
        assert all(0 < own["min"] <= own["median"] <= own["max"] for own in found[part].values())
    assert all(low <= found["ratios"][name] <= high for name, (low, high) in found["spread"].items())
    assert all(0 < share < 1 for share in found["roof"].values())
    assert 0 < found["run"]["evaluation_s"] < found["run"]["total_s"] < found["run"]["wall_s"]
    assert 0 < found["study"]["training_share"] < found["study"]["steady_share"] <= 1
    assert 0 < found["study"]["again_s"] < found["study"]["wall_s"]
    assert found["study"]["trainings"] == 4  # Table 4's rows
    memory = found["memory"]
    assert 100 < memory["start_mb"] <= memory["steps_mb"] <= memory["evaluation_mb"] < 4000
    assert found["data"]["videos"] == {"train": 80, "test": 60}


@pytest.mark.slow
def test_every_number_is_shown(found) -> None:
    shown = render(found, width=200)
    assert "{" not in shown
    for part in found.keys() - {"spread", "growth"}:
        assert part in shown
    assert f"{found['ratios']['map']:.2f} x" in shown
    assert f"10: {write_seconds(found['growth']['plan']['runs']['seconds'][0])}" in shown


MEASURED = {
    "scale": "small",
    "start": {"--help": {"median": 0.2, "min": 0.1, "max": 1.5}},
    "memory": {"start_mb": 359.6},
    "study": {"trainings": 4, "wall_s": 61.0, "training_share": 0.913},
    "ratios": {"step_fp32": 14.777},
    "spread": {"step_fp32": [10.2, 16.764]},
    "differences": {"loss": 1.7e-7},
    "roof": {"fp32": 0.4776},
    "growth": {"step": {"T": {"exponent": 0.571, "sizes": [100, 200], "seconds": [0.00619, 0.00788]}}},
    "many runs": {
        "plan of an empty store": {"exponent": 1.0, "sizes": [100, 200], "seconds": [3.461e-05, 7e-05]},
        "memory": {"sizes": [100, 200], "mb": [28.45, 59.4]},
    },
}
SHOWN = """
 part          |             | median  | lowest | highest
 call          | scale       | small   |        |
 start         | --help      | 200 ms  | 100 ms | 1.5 s
 memory        | start       | 360 MB  |        |
 study         | trainings   | 4       |        |
               | wall        | 61 s    |        |
               | training    | 91%     |        |
 ratios        | step_fp32   | 14.78 x | 10.20 x | 16.76 x
 differences   | loss        | 1.7e-07 |        |
 roof          | fp32        | 48%     |        |
 time of       | grows with  | exponent |  |
 step          | T           | 0.57    | 100: 6.19 ms | 200: 7.88 ms
 many runs     | plan of an empty store | 1.00 | 100: 34.6 µs | 200: 70 µs
               | memory      |         | 100: 28 MB | 200: 59 MB
"""


def render(found, width: int) -> str:
    out = io.StringIO()
    show(found, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [20, 200])
def test_numbers_stand_in_columns_with_their_units(width: int) -> None:
    """Nothing is cut on a narrow terminal, names never run into values, and numbers end in one column."""
    shown = [line for line in render(MEASURED, width).splitlines() if line.strip(" ─")]
    wanted = [[cell.strip() for cell in line.split("|")] for line in SHOWN.strip().splitlines()]
    assert [line.split() for line in shown] == [" ".join(cells).split() for cells in wanted]
    numbers = [cells[0] for cells in wanted].index("time of")  # lines of the first table
    ends = {line.find(cells[2]) + len(cells[2]) for line, cells in zip(shown[:numbers], wanted)}
    assert len(ends) == 1


@pytest.mark.parametrize(("value", "text"), [(61.04, "61 s"), (1.0, "1 s"), (0.99, "990 ms"), (2e-7, "0.2 µs")])
def test_seconds_take_the_unit_that_suits_them(value: float, text: str) -> None:
    assert write_seconds(value) == text


def test_products_are_those_of_the_encoders(folder) -> None:
    """Counted by torch itself in a forward pass of the two encoders, of both streams."""
    from torch.utils.flop_counter import FlopCounterMode

    settings = load_preset("released", scale="tiny")
    form = Form(videos=4, length=30, width=12, classes=3)
    subject = Subject.of(settings, make_dataset(form, form))
    batch, baseline = subject.make_batch("fp32"), subject.state.case.baseline
    with FlopCounterMode(display=False) as counter:
        for m, x in enumerate(batch.x):
            for encoder in (baseline.video_encoder, baseline.attention_encoder):
                weight = encoder.copies[m].weight[..., 0]
                x[:-1] @ weight.T
    assert subject.count_step_products() == 2 * counter.get_total_flops()
    assert subject.count_test_products() == subject.count_products(4 * 30)


def test_references_agree_at_the_shape_of_activitynet() -> None:
    """T = 50 of 60 snippets, 64 clusters, k = T // 2 and ten tIoU, on few and narrow videos."""
    settings = shape_as_activitynet(load_preset("released", scale="tiny"))
    form = Form(videos=12, length=60, width=24, classes=20)
    differences = compare(Subject.of(settings, make_dataset(form, form)), 1, 1)["differences"]
    assert differences["loss"] < 1e-5
    assert differences["map"] < 1e-9


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_a_planted_growth_is_found(power: float) -> None:
    sizes = np.array([10, 20, 40, 80])
    assert isclose(fit_exponent(sizes, 3e-3 * sizes**power), power, rel_tol=1e-9)


def test_kinds_of_work_take_turns_and_a_first_round_is_not_counted() -> None:
    calls: list[str] = []
    seconds = time_in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert calls == ["a", "b"] * 4
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3}


def test_every_scale_can_be_asked_for() -> None:
    assert [parser().parse_args(["--scale", scale]).scale for scale in SCALES] == list(SCALES)
