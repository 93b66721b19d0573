"""The benchmark's plain references give the numbers of the product; no time is asserted."""

import json

import pytest

from harness import bench


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlruns")
    options = bench.parser().parse_args(["--scale", "tiny", "--steps", "1", "--output", str(folder)])
    return bench.Bench(options).measure()


def test_references_agree_with_the_product(measured) -> None:
    assert measured["differences"]["loss"] < 1e-5
    assert measured["differences"]["map"] < 1e-9


def test_what_is_reported_is_json(measured) -> None:
    found = json.loads(json.dumps(measured))
    assert set(found["ratios"]) == {"step_fp32", "step_bf16", "evaluation", "map"}
    assert set(found["roof"]) == {"fp32", "bf16"}
    assert all(value > 0 for value in found["ratios"].values())
