"""Compressed predictions are evaluated as plain ones are: as the store keeps them, and as earlier versions did."""

import bz2
import gzip
import json
from pathlib import Path

import pytest

from harness.evaluate import main

TRUTH = {"database": {"a": {"subset": "test", "annotations": [{"label": "Run", "segment": [0, 10]}]}}}
FOUND = {"results": {"a": [{"label": "Run", "score": 0.9, "segment": [1, 9]}]}}


@pytest.fixture
def evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Evaluates a file of this content; returns exit code, output and errors."""
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH))

    def run(content: bytes) -> tuple[int, str, str]:
        (tmp_path / "predictions").write_bytes(content)
        given = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "predictions"), "--json"]
        return main(given), *capsys.readouterr()

    return run


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_numbers_are_those_of_the_plain_file(pack, evaluate):
    content = json.dumps(FOUND).encode()
    code, plain, _ = evaluate(content)
    assert (code, plain) == evaluate(pack(content))[:2]
    assert json.loads(plain)["per_class"]["Run"][0] == 1


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_truncated_file_is_told(pack, evaluate):
    code, out, errors = evaluate(pack(json.dumps(FOUND).encode())[:-9])
    assert (code, out) == (2, "")
    assert "predictions: cannot be read" in errors
