"""The evaluation command on files of any content: it gives sound numbers or refuses, and never fails otherwise."""

import json
import math
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.evaluate import main

VIDEOS, LABELS = ("a", "b", "c"), ("Run", "Jump")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("1.5")
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


def mostly(usual):
    """The usual value, and now and then anything."""
    return st.integers(0, 12).flatmap(lambda number: JSON if number == 12 else usual)


def entries(**more):
    """Annotations or detections as they should be."""
    ends = st.tuples(st.floats(0, 50), st.floats(0.1, 50)).map(lambda pair: [pair[0], pair[0] + pair[1]])
    return st.lists(st.fixed_dictionaries({"label": st.sampled_from(LABELS), "segment": ends, **more}), max_size=4)


def spoiled(found):
    """A list of entries, some of which have another value in a field, or lack it."""
    change = st.tuples(st.integers(0, 3), st.sampled_from(["label", "segment", "score", "subset"]), JSON, st.booleans())

    def apply(pair):
        own, changes = pair
        for number, name, value, drop in changes:
            if number < len(own):
                own[number] = {k: v for k, v in own[number].items() if k != name} | ({} if drop else {name: value})
        return own

    return st.tuples(found, st.just([]) | st.just([]) | st.lists(change, max_size=2)).map(apply)


def truths(found):
    video = st.fixed_dictionaries({"subset": st.just("test"), "annotations": found})
    return st.dictionaries(st.sampled_from(VIDEOS), video, min_size=1).map(lambda videos: {"database": videos})


def predictions(found):
    return st.dictionaries(st.sampled_from(VIDEOS), found).map(lambda videos: {"results": videos})


SCORED = entries(score=st.floats(0, 1))
QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@pytest.fixture
def evaluate(tmp_path, capsys):
    """Runs the command on two texts, or values; gives its exit code, its report and what it said of errors."""

    def run(truth, found, *options, write=json.dumps):
        for name, value in {"truth.json": truth, "found.json": found}.items():
            (tmp_path / name).write_text(write(value))
        files = ["--ground-truth", str(tmp_path / "truth.json"), "--predictions", str(tmp_path / "found.json")]
        code = main([*files, "--json", *options])
        out, errors = capsys.readouterr()
        return code, json.loads(out) if out else None, errors

    return run


def is_sound(report):
    """Every number is a share."""
    values = [*report["mAP"], *report["average"].values()]
    values += [value for own in report["per_class"].values() for value in own]
    return all(math.isfinite(value) and 0 <= value <= 1 + 1e-12 for value in values)


@QUIET
@given(truth=mostly(truths(mostly(spoiled(entries())))), found=mostly(predictions(mostly(spoiled(SCORED)))))
def test_near_files_are_evaluated_or_refused(evaluate, truth, found):
    code, report, errors = evaluate(truth, found)
    if code == 0:
        assert is_sound(report)
        assert errors == ""
        assert evaluate(truth, found, "--lenient") == (0, report, "")
    else:
        assert code == 2
        assert report is None
        assert errors.startswith("error: ")
        assert all(".json: " in line for line in errors.splitlines() if not line.startswith("..."))
    code, report, errors = evaluate(truth, found, "--lenient")
    assert (code, report is None) in {(0, False), (2, True)}


@QUIET
@given(text=st.text(max_size=60), swap=st.booleans())
def test_any_text_is_evaluated_or_refused(evaluate, text, swap):
    whole = '{"database": {"a": {"subset": "test", "annotations": [{"label": "Run", "segment": [0, 1]}]}}}'
    code, report, errors = evaluate(*((text, '{"results": {}}') if swap else (whole, text)), write=str)
    assert (code, report) == (2, None)
    assert errors.startswith("error: ")


@QUIET
@given(truth=truths(entries()), found=predictions(SCORED), data=st.data())
def test_the_order_of_videos_does_not_matter(evaluate, truth, found, data):
    """Where no two scores are equal; there the later listed comes first."""
    known = truth["database"]
    found = {"results": {name: own for name, own in found["results"].items() if name in known}}
    scores = [entry["score"] for own in found["results"].values() for entry in own]
    labels = {entry["label"] for video in known.values() for entry in video["annotations"]}
    own = {entry["label"] for video in found["results"].values() for entry in video}
    if len(set(scores)) < len(scores) or not own <= labels or not labels:
        return
    shuffled = [
        {outer: {name: content[outer][name] for name in data.draw(st.permutations(list(content[outer])))}}
        for content in (truth, found)
        for outer in content
    ]
    assert sort_classes(evaluate(truth, found)) == sort_classes(evaluate(*shuffled))


def sort_classes(answer):
    """A report whose classes stand in the order of their names; sums over classes to the last bit but three."""
    code, report, errors = answer
    assert code == 0, errors
    rounded = {name: round(value, 12) for name, value in report["average"].items()}
    return [round(value, 12) for value in report["mAP"]], rounded, sorted(report["per_class"].items())


@QUIET
@given(truth=truths(entries()))
def test_the_ground_truth_itself_is_perfect(evaluate, truth):
    """Annotations as detections: AP 1 for each class, whatever their overlaps with each other."""
    labels = {entry["label"] for video in truth["database"].values() for entry in video["annotations"]}
    if not labels:
        return
    found = {
        name: [{**entry, "score": 1.0} for entry in video["annotations"]] for name, video in truth["database"].items()
    }
    code, report, errors = evaluate(truth, {"results": found})
    assert (code, errors) == (0, "")
    assert report["mAP"] == pytest.approx([1.0] * len(report["tiou"]))


def test_a_pipe_in_place_of_a_list_of_videos_is_refused(evaluate, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        code, _, errors = evaluate({"database": {}}, {"results": {}}, "--videos", str(path))
        assert code == 2
        assert f"error: {path}: is not a regular file; allowed: a text file with one ID a line\n" in errors


def make(count, video="v{}", label="c{}", scored=False):
    """Entries of many videos, a class each."""
    found = {}
    for number in range(count):
        entry = {"label": label.format(number), "segment": [0, 1]} | ({"score": 0.5} if scored else {})
        found[video.format(number)] = [entry]
    return found


def test_thousands_of_unknown_names_are_told_soon(evaluate):
    """Each would be compared with each: hours."""
    count = 4000
    truth = {video: {"subset": "test", "annotations": own} for video, own in make(count).items()}
    code, _, errors = evaluate({"database": truth}, {"results": make(count, "w{}", "d{}", scored=True)})
    assert code == 2
    assert errors.splitlines()[0].startswith("error: ")
    assert "the ground truth has no such video; did you mean" in errors.splitlines()[0]
    assert errors.splitlines()[-1] == f"... and {2 * count - 20} more"


def test_more_pairs_than_memory_holds_are_refused_with_their_size(evaluate):
    entries = [{"label": "Run", "segment": [n, n + 1]} for n in range(30_000)]
    found = [entry | {"score": 0.5} for entry in entries] * 10
    code, _, errors = evaluate(
        {"database": {"a": {"subset": "test", "annotations": entries}}}, {"results": {"a": found}}
    )
    assert code == 2
    assert (
        "truth.json: 30000 annotations of one class in one video beside 300000 detections need about 536 GB" in errors
    )
