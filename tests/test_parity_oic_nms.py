"""Outer-inner contrast and NMS of the product against the released code's single cases, to 1e-8 (README.md there)."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.compute.localize import detect, nms
from harness.settings import Localization
from model.inference import Group, Inference

from support.reference import changed, files, numbers, parametrize, records

TOLERANCE = 1e-8
RELEASED_GAMMA = 0.2  # of the released call, whose gamma lands in the position of lambda
SETTINGS = ("name", "score", "threshold", "video_score", "num_snippets", "gamma", "T", "scale")
OIC = r"(as_called_by_released_inference_lambda_equals_gamma)|with_lambda(\d+)p(\d+)"  # names of expected lists


def cases(path: Path) -> dict[str, tuple[str, dict]]:
    """Test id -> (kind of case, case) of a file."""
    values = records(path)
    assert set(values) <= {"oic", "nms"}, f"{path.name}: not understood: {sorted(values)}"
    return {f"{kind}-{i}-{case['name']}": (kind, case) for kind in values for i, case in enumerate(values[kind])}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    found = [(p, name) for p in files(metafunc.config, "oic_nms") for name in cases(p)]
    parametrize(metafunc, "case", found, [f"{p.stem}-{name}" for p, name in found])


def expected(kind: str, case: dict) -> dict[str, list]:
    """The recorded lists of a case; every other key has to be a known setting."""
    known = SETTINGS if kind == "oic" else ("name", "proposals_score_start_end", "thresh", "alpha")
    found = {key: values for key, values in case.items() if key not in known}
    assert found, f"{case['name']}: nothing is expected"
    assert set(known) <= set(case)
    return found


def proposals(case: dict, name: str) -> np.ndarray:
    """The product's (score, start, end) of one sequence; the list's ``name`` says which lambda and gamma."""
    match = re.fullmatch(OIC, name)
    assert match, f"'{name}' is not understood"
    oic_lambda = case["gamma"] if match[1] else float(f"{match[2]}.{match[3]}")
    settings = Localization(
        upsampling=1, thresholds={"only": (case["threshold"],)}, class_threshold=-np.inf, nms_threshold=np.inf,
        oic_lambda=oic_lambda, oic_gamma=RELEASED_GAMMA if match[1] else case["gamma"],
    )  # fmt: skip
    sequence, video = np.array(case["score"])[None, :, None], np.array([[case["video_score"]]])
    step = 16 * case["num_snippets"] / (case["scale"] * case["T"] * 25)  # seconds per fine position
    inference = Inference(video, {"only": Group(sequence, sequence, video)})
    found = detect(inference, settings, np.array([step * sequence.shape[1]]))
    return np.column_stack([found.score, found.start, found.end])[np.argsort(found.start)]


def suppressed(case: dict, name: str) -> np.ndarray:
    """The product's (score, start, end) after NMS with one second added to lengths, in its order."""
    assert name in {"hard", "soft"}, f"'{name}' is not understood"
    score, start, end = np.array(case["proposals_score_start_end"], np.float64).reshape(-1, 3).T
    settings = Localization(nms=name, nms_threshold=case["thresh"], nms_alpha=case["alpha"], nms_plus=1)
    index, scores = nms(start, end, score, settings)
    return np.column_stack([scores, start[index], end[index]])


def check(kind: str, case: dict) -> None:
    for name, values in expected(kind, case).items():
        found = (proposals if kind == "oic" else suppressed)(case, name)
        wanted = np.array(values, np.float64).reshape(-1, 3)
        assert found.shape == wanted.shape, name
        np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE, err_msg=name)


def test_case(case: tuple[Path, str]) -> None:
    check(*cases(case[0])[case[1]])


def test_a_changed_number_fails(case: tuple[Path, str], tmp_path: Path) -> None:
    """Each recorded number 1e-3 off, and a recorded proposal left out or added, make the comparison fail."""
    kind, values = cases(case[0])[case[1]]
    lists = expected(kind, values)
    wrong = [changed(values, place) for place in numbers(values) if place[0] in lists]
    wrong += [{**values, name: [*rows, [0.5, 1.0, 2.0]]} for name, rows in lists.items()]
    wrong += [{**values, name: rows[1:]} for name, rows in lists.items() if rows]
    for copy in wrong:
        path = tmp_path / case[0].name
        path.write_text(json.dumps({kind: [copy]}))
        (again,) = cases(path).values()
        with pytest.raises(AssertionError):
            check(*again)


@pytest.mark.parametrize("key", ["hard_with_plus_2", "soft2"])
def test_unknown_list_is_not_understood(key: str) -> None:
    case = {"name": "x", "proposals_score_start_end": [[1, 0, 1]], "thresh": 0.4, "alpha": 0.35, key: [[1, 0, 1]]}
    with pytest.raises(AssertionError, match="not understood"):
        check("nms", case)
