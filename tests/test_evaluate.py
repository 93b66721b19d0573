"""The evaluation command: its numbers, its output and every input that it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.compute.localize import Detections
from harness.evaluate import main, thresholds


def video(subset: str, *annotations: tuple[str, object]) -> dict:
    return {"subset": subset, "annotations": [{"label": label, "segment": segment} for label, segment in annotations]}


TRUTH = {
    "database": {
        "video_a": video("test", ("Run", [0, 10]), ("Jump", ["20", "30.0"])),
        "video_b": video("test", ("Run", [5, 9])),
        "video_c": video("validation", ("Swim", [1, 2])),
    }
}


def hit(label: str = "Run", score: object = 0.9, segment: object = (0, 10)) -> dict:
    return {"label": label, "score": score, "segment": segment}


FOUND = {"video_a": [hit(), hit("Jump", 0.8, [20, 25])], "video_b": []}


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs the command on JSON values (or raw text) and returns exit code, standard output and lines of errors."""

    def run(
        results: object = FOUND, *more: str, truth: object = TRUTH, whole: bool = False
    ) -> tuple[int, str, list[str]]:
        for name, value in {"gt.json": truth, "pred.json": results if whole else {"results": results}}.items():
            (tmp_path / name).write_text(value if isinstance(value, str) else json.dumps(value))
        arguments = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "pred.json")]
        code = main([*arguments, *more])
        out, errors = capsys.readouterr()
        return code, out, errors.replace(f"{tmp_path}/", "").splitlines()

    return run


def test_json_has_the_stated_form_and_fractions(command) -> None:
    """Run: one of two found exactly: AP 1/2. Jump: tIoU 1/2: AP 1 up to threshold 0.5, then 0."""
    code, out, errors = command(FOUND, "--json")
    report = json.loads(out)
    assert (code, errors) == (0, [])
    assert list(report) == ["tiou", "mAP", "average", "per_class"]
    np.testing.assert_allclose(report["tiou"], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    assert report["mAP"] == [0.75] * 5 + [0.25] * 2
    assert report["per_class"] == {"Run": [0.5] * 7, "Jump": [1] * 5 + [0] * 2}
    whole = (5 * 0.75 + 2 * 0.25) / 7
    wanted = {"avg": whole, "0.1:0.5": 0.75, "0.3:0.7": 0.55, "0.1:0.7": whole, "0.5:0.95": 0.3}
    assert report["average"] == pytest.approx(wanted, abs=1e-15)


@pytest.mark.parametrize(
    ("tiou", "averages"),
    [
        ("0.5", {"avg", "0.5:0.95"}),
        ("0.1:0.5:0.1", {"avg", "0.1:0.5", "0.5:0.95"}),
        ("0.3,0.4,0.5,0.6,0.7", {"avg", "0.3:0.7", "0.5:0.95"}),
        ("0.5:0.95:0.05", {"avg", "0.5:0.95"}),
        ("0.1:0.9:0.1", {"avg", "0.1:0.5", "0.3:0.7", "0.1:0.7", "0.5:0.95"}),
    ],
)
def test_averages_are_those_that_the_thresholds_cover(command, tiou: str, averages: set[str]) -> None:
    """The 0.5:0.95 average is the same whatever was asked for."""
    report = json.loads(command(FOUND, "--json", "--tiou", tiou)[1])
    assert set(report["average"]) == averages
    assert report["average"]["0.5:0.95"] == pytest.approx(0.3)
    assert report["average"]["avg"] == pytest.approx(np.mean(report["mAP"]))


def test_table_shows_percent_and_classes_only_when_asked(command) -> None:
    plain, classes = command()[1], command(FOUND, "--per-class")[1]
    assert "75.00" in plain
    assert "0.5:0.95" in plain
    assert "Jump" not in plain
    assert "Jump" in classes


def test_subset_chooses_videos_and_classes(command) -> None:
    report = json.loads(command({"video_c": [hit("Swim", 1, [1, 2])]}, "--json", "--subset", "validation")[1])
    assert report["per_class"] == {"Swim": [1.0] * 7}


def test_listed_videos_count_where_annotations_have_no_subsets(command, tmp_path: Path) -> None:
    """The annotations of the README's own layout: the numbers are those of the same videos as a subset."""
    bare = {name: {"annotations": entry["annotations"]} for name, entry in TRUTH["database"].items()}
    listed = tmp_path / "split_test.txt"
    listed.write_text("video_a\n\nvideo_b\n")
    found = command(FOUND, "--json", "--videos", str(listed), truth={"database": bare})
    assert found == command(FOUND, "--json")
    assert command(FOUND, "--json", truth={"database": bare})[0] == 2
    listed.write_text("video_d\n")
    code, _, errors = command(FOUND, "--videos", str(listed), truth={"database": bare})
    assert code == 2
    assert errors[0].startswith("error: split_test.txt: no annotations of 'video_d'; did you mean 'video_")
    for content, told in (("", "lists no video; allowed: one ID a line"), (None, "missing; allowed: a text file")):
        listed.unlink()
        if content is not None:
            listed.write_text(content)
        code, _, errors = command(FOUND, "--videos", str(listed))
        assert code == 2
        assert told in errors[0]
        listed.touch()


def test_our_own_predictions_are_read(command) -> None:
    one = np.array([0, 1])
    found = Detections(one, np.zeros(2, int), np.array([0.9, 0.8]), np.array([0.0, 5.0]), np.array([10.0, 9.0]))
    code, out, _ = command(found.predictions(["video_a", "video_b"], ["Run", "Jump"]), "--json", whole=True)
    assert code == 0
    assert json.loads(out)["per_class"] == {"Run": [1.0] * 7, "Jump": [0.0] * 7}


REFUSED = {  # what is wrong -> (results, entry that the message names, words of the message, lenient counts it)
    "unknown label": ({"video_a": [hit(), hit("Jmp")]}, "results.video_a[1].label", "did you mean 'Jump'?", False),
    "label of another subset": ({"video_a": [hit("Swim")]}, "results.video_a[0].label", "allowed: Jump, Run", False),
    "unknown video": ({"video_x": [hit()]}, "results.video_x", "did you mean 'video_", True),
    "video of another subset": ({"video_c": [hit()]}, "results.video_c", "in subset 'validation'", True),
    "inverted": ({"video_b": [hit(segment=[9, 5])]}, "results.video_b[0].segment", "[9, 5] (inverted)", True),
    "zero length": ({"video_b": [hit(segment=[5, 5])]}, "results.video_b[0].segment", "(zero length)", True),
    "NaN time": ({"video_b": [hit(segment=[5, float("nan")])]}, "results.video_b[0].segment", "(not finite)", True),
    "one time": ({"video_b": [hit(segment=[5])]}, "results.video_b[0].segment", "[start, end]", False),
    "no times": ({"video_b": [hit(segment=["a", "b"])]}, "results.video_b[0].segment", "[start, end]", False),
    "segment no list": ({"video_b": [hit(segment=5)]}, "results.video_b[0].segment", "a list", False),
    "NaN score": ({"video_b": [hit(score=float("nan"))]}, "results.video_b[0].score", "NaN; allowed: a finite", True),
    "infinite score": ({"video_b": [hit(score=float("inf"))]}, "results.video_b[0].score", "Infinity", True),
    "text score": ({"video_b": [hit(score="0.9")]}, "results.video_b[0].score", 'the text "0.9"', True),
    "word score": ({"video_b": [hit(score="high")]}, "results.video_b[0].score", 'the text "high"', False),
    "boolean score": ({"video_b": [hit(score=True)]}, "results.video_b[0].score", "true", True),
    "no score at all": ({"video_b": [hit(score=None)]}, "results.video_b[0].score", "null", False),
    "huge score": ({"video_b": [hit(score=10**400)]}, "results.video_b[0].score", "a finite number", False),
    "missing label": ({"video_b": [{"score": 1, "segment": [1, 2]}]}, "results.video_b[0]", "no key 'label'", False),
    "missing score": (
        {"video_b": [{"label": "Run", "segment": [1, 2]}]},
        "results.video_b[0]",
        "no key 'score'",
        False,
    ),
    "missing segment": ({"video_b": [{"label": "Run", "score": 1}]}, "results.video_b[0]", "no key 'segment'", False),
    "label no text": ({"video_b": [hit(label=3)]}, "results.video_b[0].label", "3; allowed: a text", False),
    "entry no mapping": ({"video_b": [7]}, "results.video_b[0]", "7; allowed: a mapping", False),
    "video no list": ({"video_b": {}}, "results.video_b", "{}; allowed: a list", False),
    "results no mapping": ([], "results", "[]; allowed: a mapping", False),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_predictions_are_refused(command, name: str) -> None:
    """Exit code 2, nothing on standard output, one message with file and entry; lenient warns or refuses too."""
    results, entry, words, countable = REFUSED[name]
    code, out, errors = command(results)
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith(f"error: pred.json: {entry}: ")
    assert words in errors[0]
    code, out, errors = command(results, "--lenient", "--json")
    assert code == (0 if countable else 2)
    assert errors[0].startswith("warning: " if countable else "error: ")
    assert f"pred.json: {entry}: " in errors[0]
    assert not countable or json.loads(out)["mAP"]


GOOD = {"video_b": video("test", ("Run", [0, 1]))}
SEGMENT = "database.video_a.annotations[0].segment"
BAD_TRUTH = {  # what is wrong -> (database, entry, words, lenient counts it)
    "inverted": ({"video_a": video("test", ("Run", [3, 1]))}, SEGMENT, "inverted", True),
    "zero length": ({"video_a": video("test", ("Run", ["1", "1"]))}, SEGMENT, "zero length", True),
    "no number": ({"video_a": video("test", ("Run", ["1", "x"]))}, SEGMENT, "[start, end] in seconds", False),
    "no subset": ({"video_a": {"annotations": []}, **GOOD}, "database.video_a", "no key 'subset'", False),
    "no annotations": ({"video_a": {"subset": "test"}, **GOOD}, "database.video_a", "no key 'annotations'", False),
    "empty": ({"video_a": video("test")}, "database", "no annotated segment", False),
    "other subset": ({"video_a": video("testing")}, "database", "did you mean 'testing'?", False),
    "no videos": ({}, "database", "no video in subset 'test'; allowed: none", False),
    "list": ([], "database", "a mapping", False),
}


@pytest.mark.parametrize("name", BAD_TRUTH)
def test_bad_ground_truth_is_refused(command, name: str) -> None:
    database, entry, words, countable = BAD_TRUTH[name]
    code, _, errors = command({}, truth={"database": database})
    assert (code, len(errors)) == (2, 1)
    assert errors[0].startswith(f"error: gt.json: {entry}: ")
    assert words in errors[0]
    assert command({}, "--lenient", truth={"database": database})[0] == (0 if countable else 2)


def test_all_errors_are_told_at_once(command) -> None:
    bad = {"video_a": [hit("Rn"), hit(segment=[2, 1], score="x")], "video_z": [hit(score=float("nan"))]}
    code, _, errors = command(bad)
    entries = [line.split(": ")[2] for line in errors]
    assert code == 2
    assert entries == [
        "results.video_a[0].label", "results.video_a[1].score", "results.video_a[1].segment",
        "results.video_z", "results.video_z[0].score",
    ]  # fmt: skip


def test_lenient_still_refuses_what_has_no_number(command) -> None:
    """Only what cannot be counted is then an error."""
    code, _, errors = command({"video_a": [hit("Rn"), hit(segment=[2, 1])]}, "--lenient")
    assert (code, len(errors)) == (2, 1)
    assert "results.video_a[0].label" in errors[0]


def test_long_lists_of_errors_end_at_twenty(command) -> None:
    code, _, errors = command({"video_a": [hit(segment=[1, 1])] * 50})
    assert (code, len(errors), errors[-1]) == (2, 21, "... and 30 more")
    assert len(command({"video_a": [hit("Rn")] * 50})[2]) == 1  # an unknown label is told once


def test_lenient_counts_like_the_released_evaluator(command) -> None:
    """A detection in an unknown video is a false positive: here the better one of two."""
    found = {"video_a": [hit()], "video_x": [hit(score=0.95)]}
    assert json.loads(command(found, "--lenient", "--json")[1])["per_class"]["Run"] == [0.25] * 7


@pytest.mark.parametrize("which", ["truth", "results"])
def test_broken_json_is_told_by_line_and_column(command, which: str) -> None:
    text = '{"results": {},\n "x": [1,, 2]}'
    code, _, errors = command(text, whole=True) if which == "results" else command(truth=text)
    name = "pred.json" if which == "results" else "gt.json"
    assert code == 2
    assert errors == [f"error: {name}:2:10: broken JSON: Expecting value"]


@pytest.mark.parametrize(("value", "words"), [([1], "[1]; allowed: a mapping"), ({"version": 1}, "it has 'version'")])
def test_other_json_is_told(command, value: object, words: str) -> None:
    assert words in command(value, whole=True)[2][0]
    assert words in command(truth=value)[2][0]


def test_both_files_are_read_before_refusing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    assert main(["--ground-truth", str(tmp_path / "a.json"), "--predictions", str(tmp_path / "none.json")]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "a.json: cannot be read (not UTF-8, byte 0); allowed: a JSON file" in first
    assert "none.json: missing; allowed: a JSON file" in second


def test_a_video_that_stands_twice_is_refused(command) -> None:
    """A reader of JSON keeps the last one silently; half of the detections would be lost."""
    text = '{"results": {"video_a": [], "video_b": [], "video_a": []}}'
    code, out, errors = command(text, whole=True)
    assert (code, out) == (2, "")
    assert "'video_a' stands twice in one mapping" in errors[0]


BAD_THRESHOLDS = (
    "", "a", "0.7:0.1:0.1", "0.1:0.7", "0.1:0.7:0", "0.1:0.7:0.4", "0", "1.5", "nan", "0.5,0.5", "0.125",
    "0.1:inf:0.1", "0.1:0.7:0.1:2",
)  # fmt: skip


@pytest.mark.parametrize("text", BAD_THRESHOLDS)
def test_bad_thresholds_are_refused(command, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command(FOUND, "--tiou", text)
    assert error.value.code == 2
    assert f"'{text}'; allowed: LOW:HIGH:STEP" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "low", "high", "n"), [("0.1:0.7:0.1", 0.1, 0.7, 7), ("0.5:0.95:0.05", 0.5, 0.95, 10)])
def test_ranges_are_the_released_evaluators(text: str, low: float, high: float, n: int) -> None:
    """Bit for bit numpy.linspace, so a tIoU that equals a threshold falls on the same side."""
    assert thresholds(text) == np.linspace(low, high, n).tolist()


def test_help_needs_no_numpy() -> None:
    code = "import sys; from harness import evaluate\ntry: evaluate.main(['--help'])\n"
    code += "except SystemExit: sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_exit_code_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "gt.json").write_text(json.dumps(TRUTH))
    (tmp_path / "pred.json").write_text(json.dumps({"results": {"video_a": [hit("Walk")]}}))
    arguments = ["--ground-truth", str(tmp_path / "gt.json"), "--predictions", str(tmp_path / "pred.json")]
    program = [sys.executable, "-m", "harness.evaluate"]
    done = subprocess.run([*program, *arguments], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no class 'Walk'" in done.stderr
