"""A damaged run store: whatever a file holds, it counts as missing, is named, and the run is made again."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.store import files, plan, records, results

from support import workers
from support.workers import study

DAMAGE = {  # what may stand in place of a JSON file
    "empty": b"",
    "cut off": b'{"status": "ok", "key": "t',
    "not UTF-8": b'\xff\xfe{"status": "ok"}',
    "no mapping": b"3",
    "empty mapping": b"{}",
    "nested deeply": b"[" * 100_000,
    "not a time": b'{"key": "%b", "status": "ok", "digest": "x", "finished": "soon", "settings": {}}',
}


@pytest.fixture
def root(tmp_path):
    """A store where all runs of the toy study are finished."""
    for seed in (0, 1):
        workers.finish(workers.job(tmp_path, f"t{seed}", seed, scorings=("s1", "s2")))
    assert plan.make_plan([study()], tmp_path).todo == ()
    return tmp_path


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize(
    ("name", "key", "rescore"), [("t0/training.json", b"t0", False), ("t0/s2/result.json", b"s2", True)]
)
def test_damaged_record_is_named_and_made_again(root, kind, name, key, rescore):
    path = root / "store" / name
    path.write_bytes(DAMAGE[kind].replace(b"%b", key))
    made = plan.make_plan([study()], root)
    assert made.damaged == (path,)
    assert [(job.training_key, job.rescore) for job in made.todo] == [("t0", rescore)]
    states = [record.status for record in records.read(study(), root).records if record.run.training_key == "t0"]
    assert "missing" in states


@pytest.mark.parametrize("name", ["scores.npz", "curves.npz", "checkpoint.pt"])
@pytest.mark.parametrize("cut", [True, False], ids=["cut off", "gone"])
def test_training_without_one_of_its_files_is_trained_again(root, name, cut):
    path = root / "store/t0" / name
    if cut:
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    made = plan.make_plan([study()], root)
    assert [(job.training_key, job.rescore) for job in made.todo] == [("t0", False)]
    assert made.damaged == (root / "store/t0/training.json",)


def test_record_of_another_key_is_not_this_runs(root):
    (root / "store/t0/training.json").write_bytes((root / "store/t1/training.json").read_bytes())
    assert [job.training_key for job in plan.make_plan([study()], root).todo] == ["t0"]
    (root / "store/t1/s1/result.json").write_bytes((root / "store/t1/s2/result.json").read_bytes())
    assert results.read_result(root, "t1", "s1") is None


def test_damaged_mark_of_an_interrupted_training_asks_for_all_of_it(root):
    """Which scorings were lost with their curves cannot be known."""
    (root / "store/t0/s2/result.json").unlink()
    (root / "store/t0/unfinished.json").write_text("3")
    assert [(job.training_key, job.rescore) for job in plan.make_plan([study()], root).todo] == [("t0", False)]


RECORD = {"key": "t0", "status": "ok", "digest": "x", "finished": "2026-01-01T00:00:00+00:00", "settings": {}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(content=st.dictionaries(st.sampled_from([*RECORD, "files", "metrics"]), JSON), whole=st.booleans())
def test_any_record_is_read_or_refused(tmp_path, content, whole):
    """Records near to real ones, each field any JSON value: no reader of the store raises."""
    path = results.training_folder(tmp_path, "t0") / "training.json"
    files.write_json(path, RECORD | content if whole else content)
    record = results.read_training(tmp_path, "t0")
    assert record is None or {"key", "status", "digest", "finished", "settings"} <= record.keys()
    made = plan.make_plan([study(seeds=(0,))], tmp_path)
    assert [job.training_key for job in made.todo + made.done] == ["t0"]
    assert len(records.read(study(seeds=(0,)), tmp_path).frame()) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path, content):
    path = results.scoring_folder(tmp_path, "t0", "s1") / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    assert results.read_result(tmp_path, "t0", "s1") is None


@given(content=st.binary(min_size=1, max_size=200), position=st.integers(0))
def test_one_wrong_byte_is_seen_by_the_digest(tmp_path_factory, content, position):
    path = tmp_path_factory.mktemp("byte") / "file"
    path.write_bytes(content)
    noted = files.describe_file(path)
    wrong = bytearray(content)
    wrong[position % len(content)] ^= 1
    path.write_bytes(wrong)
    assert files.is_whole(path, noted), "the size is the same"
    assert files.describe_file(path) != noted


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    gone, alive = f".{files.machine()}-999999999.file.json", f".{files.machine()}-1.file.json"
    other = ".000000-999999999.file.json"
    for name in (gone, alive, other):
        (tmp_path / name).touch()
    monkeypatch.setattr(files, "is_alive", lambda pid: pid == 1)
    files.write_json(path, {"a": 1})
    assert {child.name for child in tmp_path.iterdir()} == {"file.json", alive, other}
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize(("name", "pack"), [("predictions.json.gz", gzip.compress), ("predictions.json", bytes)])
def test_predictions_of_earlier_versions_are_read(name, pack, tmp_path):
    found = {"video": [{"label": "x", "score": 0.1, "segment": [0.0, 1.5]}]}
    folder = results.scoring_folder(tmp_path, "t", "s")
    folder.mkdir(parents=True)
    (folder / name).write_bytes(pack(json.dumps({"results": found}).encode()))
    assert results.read_predictions(tmp_path, "t", "s") == found
    (folder / results.PREDICTIONS).write_bytes(b"BZh9 cut off")  # written over them by this version, and damaged
    assert results.read_predictions(tmp_path, "t", "s") == {}


@pytest.mark.parametrize(
    "changed", [{"status": "failed", "reason": None}, {"seconds": 3}, {"seconds": {}}, {"status": []}, {"reason": 1}]
)
def test_a_record_that_does_not_say_how_a_training_ended_is_damaged(root, changed):
    path = next(root.glob("store/*/training.json"))
    content = json.loads(path.read_text())
    assert results.read_training(root, path.parent.name) is not None
    path.write_text(json.dumps(content | changed))
    assert results.read_training(root, path.parent.name) is None
    assert results.find_damage(root, path.parent.name, []) == [path]
