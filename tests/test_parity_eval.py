"""mAP of the product against the released evaluator's recorded values, to 1e-12 (../shared/reference, README.md there).

Among tied scores the later listed comes first: the recorded "expected" values, not "expected_if_ties_earlier_first".
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.evaluate import average_precision, collect, main

from support.reference import CLAIMED, FOLDERS, changed, files, folder, kind, numbers, parametrize, records

TOLERANCE = 1e-12


def cases(path: Path) -> dict[str, dict]:
    """Name -> {ground_truth, results, expected} of a file of small cases."""
    values = records(path)
    named = (
        values if isinstance(values, dict) else {f"{i}-{case.get('name', '')}": case for i, case in enumerate(values)}
    )
    for name, case in named.items():
        extra = set(case) - {"name", "ground_truth", "results", "expected", "subset"}
        assert extra <= {"released_value_here_platform_dependent", "expected_if_ties_earlier_first"}, (
            path,
            name,
            extra,
        )
    return named


def sets(path: Path) -> list[tuple[str, str]]:
    """(set of predictions, name of a list of thresholds) of a file of expected values."""
    found = [(name, key) for name, entry in records(path).items() for key in entry if key != "n_predictions"]
    assert found, path
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    small = [(p, name) for p in files(config, "eval_cases") for name in cases(p)]
    parametrize(metafunc, "small", small, [f"{p.stem}-{name}" for p, name in small])
    large = [(p, *names) for p in files(config, "eval_expected") for names in sets(p)]
    parametrize(metafunc, "large", large, [f"{p.stem}-{name}-{key}" for p, name, key in large])
    inputs = files(config, "eval_ground_truth", "eval_predictions")
    parametrize(metafunc, "supplied", inputs, [p.name for p in inputs])
    folders = [where for where in (folder(config, name) for name in FOLDERS) if where]
    every = [p for where in folders for p in sorted(where.iterdir())]
    parametrize(metafunc, "file", every, [p.name for p in every])


def check(case: dict) -> None:
    """The product's AP per class and tIoU, mAP and average are the expected ones; or it raises what is expected."""
    expected = dict(case["expected"])
    tiou = expected.pop("tiou")

    def ours() -> dict[str, list[float]]:
        return average_precision(collect(case["ground_truth"], case["results"], case.get("subset", "test")), tiou)

    if raised := expected.pop("raises", None):
        with pytest.raises(KeyError) as error:
            ours()
        assert raised.split(":")[0] == "KeyError"
        assert str(error.value) == raised.split(": ", 1)[1]
        assert not expected
        return
    found = ours()
    wanted = expected.pop("AP_per_class")
    assert set(found) == set(wanted)
    for label, values in wanted.items():
        np.testing.assert_allclose(found[label], values, rtol=0, atol=TOLERANCE, err_msg=label)
    mean = np.mean(list(found.values()), axis=0)
    np.testing.assert_allclose(mean, expected.pop("mAP"), rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(mean.mean(), expected.pop("average_mAP"), rtol=0, atol=TOLERANCE)
    assert not expected, f"not understood: {sorted(expected)}"


def predictions(expected: Path, name: str) -> Path:
    """The predictions that a set of expected values belongs to: the file in the same folder whose name ends with it."""
    found = [p for p in expected.parent.glob(f"*_{name}.json") if kind(p) == "eval_predictions"]
    assert len(found) == 1, f"{expected.name}: '{name}' belongs to {[p.name for p in found]}, not to one file"
    return found[0]


def ground_truth(results: Path) -> Path:
    """The ground truth in the same folder that has the most of the videos."""
    videos = set(records(results)["results"])
    found = [p for p in sorted(results.parent.glob("*.json")) if kind(p) == "eval_ground_truth"]
    assert found, f"{results.name}: no ground truth beside it"
    return max(found, key=lambda p: len(videos & set(records(p)["database"])))


def full_case(path: Path, name: str, key: str) -> dict:
    """A set of expected values with its inputs."""
    results, expected = predictions(path, name), records(path)[name]
    found, truth = records(results)["results"], records(ground_truth(results))
    assert expected["n_predictions"] == sum(map(len, found.values()))
    return {"ground_truth": truth, "results": found, "expected": expected[key], "subset": subset(truth)}


def subset(truth: dict) -> str:
    """The videos that were evaluated: "test", or the only subset that there is."""
    (only, *more) = {"test"} & (there := {v["subset"] for v in truth["database"].values()}) or there
    assert not more, f"which of {sorted(there)} was evaluated?"
    return only


def test_small_case(small: tuple[Path, str]) -> None:
    path, name = small
    check(cases(path)[name])


def test_predictions(large: tuple[Path, str, str]) -> None:
    check(full_case(*large))


def test_a_changed_number_fails(small: tuple[Path, str], tmp_path: Path) -> None:
    """Each recorded mAP, AP and average that is 1e-3 off makes the comparison fail; so does another error."""
    path, name = small
    case = cases(path)[name]
    wrong = [changed(case, ("expected", *place)) for place in _recorded(case["expected"])]
    if "raises" in case["expected"]:
        wrong = [{**case, "expected": {**case["expected"], "raises": "KeyError: 'another'"}}]
    for values in wrong:
        copy = tmp_path / path.name
        copy.write_text(json.dumps({name: values}))
        with pytest.raises(AssertionError):
            check(cases(copy)[name])


def test_a_changed_number_of_many_fails(large: tuple[Path, str, str]) -> None:
    """One of the recorded numbers of a full set, drawn at random, 1e-3 off."""
    case = full_case(*large)
    places = list(_recorded(case["expected"]))
    place = places[np.random.default_rng(0).integers(len(places))]
    with pytest.raises(AssertionError):
        check(changed(case, ("expected", *place)))


def _recorded(expected: dict[str, Any]) -> Iterator[tuple]:
    return (place for place in numbers(expected) if place[0] != "tiou")


def test_the_command_agrees(large: tuple[Path, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """``python -m harness.evaluate`` prints the recorded numbers."""
    path, name, key = large
    results, expected = predictions(path, name), records(path)[name][key]
    tiou, truth = expected["tiou"], ground_truth(results)
    arguments = ["--ground-truth", str(truth), "--predictions", str(results), "--subset", subset(records(truth))]
    step = f"{(tiou[-1] - tiou[0]) / (len(tiou) - 1):.2f}"
    assert main([*arguments, "--json", "--tiou", f"{tiou[0]}:{tiou[-1]}:{step}"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tiou"] == tiou
    np.testing.assert_allclose(report["mAP"], expected["mAP"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(report["average"]["avg"], expected["average_mAP"], rtol=0, atol=TOLERANCE)
    for label, values in expected["AP_per_class"].items():
        np.testing.assert_allclose(report["per_class"][label], values, rtol=0, atol=TOLERANCE)


def test_the_command_refuses_what_raises(small: tuple[Path, str], tmp_path: Path) -> None:
    """Where the released evaluator stops, the command does, lenient or not; elsewhere lenient counts."""
    case = cases(small[0])[small[1]]
    truth, results = tmp_path / "truth.json", tmp_path / "predictions.json"
    truth.write_text(json.dumps(case["ground_truth"]))
    results.write_text(json.dumps({"results": case["results"]}))
    arguments = ["--ground-truth", str(truth), "--predictions", str(results), "--subset", case.get("subset", "test")]
    assert main([*arguments, "--lenient"]) == (2 if "raises" in case["expected"] else 0)


def test_supplied_file_is_used(supplied: Path) -> None:
    """No ground truth and no predictions lie in the folder that no expected values belong to."""
    beside = [p for p in supplied.parent.iterdir() if kind(p) == "eval_expected"]
    used = {predictions(p, name) for p in beside for name in records(p)}
    assert supplied in used | {ground_truth(p) for p in used}


def test_file_is_understood(file: Path) -> None:
    """Every file of the folder is of a kind that a parity test compares."""
    assert kind(file) in CLAIMED, f"{file.name}: not understood ({kind(file)}); known kinds: {', '.join(CLAIMED)}"
    test = Path(__file__).with_name(f"{CLAIMED[kind(file)]}.py")
    assert kind(file) == "document" or test.is_file(), f"{test.name}, which compares {file.name}, is missing"


def test_unknown_file_is_not_understood(tmp_path: Path) -> None:
    """Neither another format nor a broken file passes for a recorded one."""
    texts = {
        "a.json": "{}",
        "b.json": "[1]",
        "c.json": "{",
        "d.npz": "x",
        "e.txt": "",
        "f.json": '{"x": {"y": 1}}',
        "g.json": "3",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert kind(tmp_path / name) not in CLAIMED, name
