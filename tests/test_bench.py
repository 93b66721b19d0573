"""The benchmark's plain references give the numbers of the product, and its report is whole; no time is judged."""

import contextlib
import io
import json
from math import isclose

import numpy as np
import pytest
import torch

from harness.bench.__main__ import SCALES, list_lines, main, parser
from harness.bench.generated import Form, make_dataset
from harness.bench.growth import fit_exponent
from harness.bench.parts import STEP_PARTS, compare
from harness.bench.subject import Subject, load_subject, shape_as_activitynet
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
    assert 0 < found["run"]["evaluation"] < found["run"]["total"] < found["run"]["wall"]
    assert 0 < found["study"]["efficiency"] <= 1
    assert found["study"]["trainings"] == 4  # Table 4's rows
    memory = found["memory"]
    assert 100 < memory["start_mb"] <= memory["steps_mb"] <= memory["evaluation_mb"] < 4000
    assert found["data"]["videos"] == {"train": 80, "test": 60}


@pytest.mark.slow
def test_each_number_is_printed_on_one_line(found) -> None:
    lines = dict(list_lines(found))
    assert lines["scale"] == "tiny"
    assert lines["growth step T"].startswith(f"{found['growth']['step']['T']['exponent']:.2f}")
    assert lines["ratios map"] == f"{found['ratios']['map']:.4g}"
    assert not any("{" in text for text in lines.values())


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
