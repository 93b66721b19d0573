"""``python -m harness.store``: sizes add up, only what nobody needs may go, every changed byte is found."""

import io
import json
import shutil
from pathlib import Path

import pytest

from harness import run
from harness.store import __main__ as care
from harness.store import locks, results
from harness.store.requests import read_requests

STUDY = """
title: Two rows
base: paper
seeds: 1
rows: [{label: plain, set: {case.lambda_c: 0}}, {label: full}]
columns: {mAP: map/avg}
"""
FAST = ["--quick", "--no-mlflow", "--jobs", "1", "--set", "training.steps=3", "--set", "training.snippets=8"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a study of two rows and its finished results."""
    place = tmp_path_factory.mktemp("care")
    (place / "two.yaml").write_text(STUDY)
    assert ask(place) == 0
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it, at the same relative place."""
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def ask(place: Path, *more: str) -> int:
    return run.main([str(place / "two.yaml"), "--output", str(place / "runs"), *FAST, *more])


def store(place: Path, *words: str) -> int:
    return care.main([*words, "--output", str(place / "runs")])


def list_trainings(place: Path) -> list[Path]:
    return sorted(path.parent for path in place.glob("runs/store/*/training.json"))


def spoil_digest(path: Path) -> None:
    """Let a record say that other sources made it."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"digest": "0" * 16}))


def snapshot(place: Path) -> dict[str, bytes]:
    files = [path for path in (place / "runs").rglob("*") if path.is_file() and path.suffix not in {".lock", ".clock"}]
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


def test_sizes_of_all_kinds_add_up_to_the_folder(place, capsys):
    assert store(place, "--size") == 0
    out = capsys.readouterr().out.splitlines()
    files = [path for path in (place / "runs").rglob("*") if path.is_file()]
    counts = {" ".join(words[4:]): int(words[2]) for words in map(str.split, out) if "files" in words}
    assert counts.pop("in all") == len(files) == sum(counts.values())
    assert counts["scores"] == counts["weights"] == counts["curves"] == len(list_trainings(place)) == 2
    assert counts["records"] == 2 + len(list(place.glob("runs/store/*/*/result.json")))
    assert counts["notes of what studies ask for"] == 2  # that of the study, and that of its name
    assert "other" not in counts
    assert "1 notes ask for 2 trainings. 0 bytes may go" in out[-1]


def test_what_a_study_asks_for_stays(place, capsys):
    before = snapshot(place)
    assert store(place, "--prune", "--yes") == 0
    assert "nothing to remove" in capsys.readouterr().out
    assert snapshot(place) == before


def test_a_row_that_left_its_study_may_go_and_is_asked_about_first(place, capsys, monkeypatch):
    (place / "two.yaml").write_text(STUDY.replace(", {label: full}", ""))
    assert ask(place) == 0
    (kept,) = read_requests(place / "runs").scorings
    (lost,) = [path for path in list_trainings(place) if path.name != kept]
    before = snapshot(place)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal: nobody confirms
    assert store(place, "--prune") == 0
    out = capsys.readouterr().out
    assert "training: no study asks for it: 1, " in out
    assert str(lost) in out
    assert "nothing removed; --yes removes it" in out
    assert snapshot(place) == before
    assert store(place, "--prune", "--yes") == 0
    assert [path.name for path in list_trainings(place)] == [kept]
    assert not lost.exists()
    assert not list(place.glob("runs/.pruned"))
    assert results.read_result(place / "runs", kept, *read_requests(place / "runs").scorings[kept])


def test_only_the_scoring_goes_where_the_training_is_asked_for(place, capsys):
    (place / "two.yaml").write_text(STUDY + "set: {localization.nms_threshold: 0.5}\n")
    assert ask(place) == 0
    assert len(list(place.glob("runs/store/*/*/result.json"))) == 4
    assert store(place, "--prune", "--yes") == 0
    assert "scoring: no study asks for it: 2, " in capsys.readouterr().out
    assert len(list_trainings(place)) == len(list(place.glob("runs/store/*/*/result.json"))) == 2
    asked = read_requests(place / "runs").scorings
    for path in place.glob("runs/store/*/*/result.json"):
        assert path.parent.name in asked[path.parent.parent.name]


def test_other_options_of_a_study_ask_beside_it(place):
    assert ask(place, "--set", "case.clusters=3") == 0
    assert read_requests(place / "runs").notes == 2
    assert store(place, "--prune", "--yes") == 0
    assert len(list_trainings(place)) == 4


def test_what_other_sources_made_may_go(place, capsys):
    first, second = list_trainings(place)
    spoil_digest(first / "training.json")
    spoil_digest(next(second.glob("*/result.json")))
    assert store(place, "--prune", "--yes") == 0
    out = capsys.readouterr().out
    assert "training: made by other sources: 1, " in out
    assert "scoring: made by other sources: 1, " in out
    assert list_trainings(place) == [second]
    assert not list(second.glob("*/result.json"))


def test_what_somebody_works_on_stays(place, capsys):
    first, second = list_trainings(place)
    for folder in (first, second):
        spoil_digest(folder / "training.json")
    with locks.Locks(place / "runs") as held:
        assert held.acquire(first.name)
        assert store(place, "--prune", "--yes") == 0
        assert list_trainings(place) == [first]
        assert "training: made by other sources: 1, " in capsys.readouterr().out


def test_what_is_taken_after_the_listing_stays(place, capsys, monkeypatch):
    """Between the question and the answer another driver takes one training and trains another one anew."""
    taken, renewed = list_trainings(place)
    whole = (renewed / "training.json").read_bytes()
    for folder in (taken, renewed):
        spoil_digest(folder / "training.json")
    other = locks.Locks(place / "runs")

    def answer() -> bool:
        (renewed / "training.json").write_bytes(whole)
        return other.acquire(taken.name)

    monkeypatch.setattr(care, "confirm", answer)
    assert store(place, "--prune") == 0
    assert list_trainings(place) == [taken, renewed]
    assert capsys.readouterr().out.count("kept, as it is in use") == 2
    assert (taken / "owner.json").exists()
    assert not (renewed / "owner.json").exists()


def test_a_data_set_that_nobody_reads_may_go(place, capsys):
    (cache,) = [path for path in place.glob("runs/data/*") if path.is_dir()]
    shutil.copytree(cache, cache.with_name("0" * 16))
    assert store(place, "--prune", "--yes") == 0
    assert "data: no study reads it: 1, " in capsys.readouterr().out
    assert [path for path in place.glob("runs/data/*") if path.is_dir()] == [cache]


def test_a_store_without_notes_loses_nothing_that_is_of_these_sources(place, capsys):
    shutil.rmtree(place / "runs" / "asked")
    assert store(place, "--prune", "--yes") == 0
    assert "only other sources were looked for" in capsys.readouterr().out
    assert len(list_trainings(place)) == 2


@pytest.mark.parametrize("changed", [{"trainings": 3}, {"trainings": {"a": 5}}, {"data": 7}, {"data": [[]]}])
def test_a_damaged_note_asks_for_nothing_and_is_written_again(place, capsys, changed):
    (note,) = place.glob("runs/asked/*.json")
    whole = json.loads(note.read_text())
    note.write_text(json.dumps(whole | changed))
    assert store(place, "--prune") == 0
    assert "nothing to remove" in capsys.readouterr().out
    assert ask(place) == 0
    again = json.loads(note.read_text())
    assert {name: again[name] for name in ("rows", "data", "trainings")} == {
        name: whole[name] for name in ("rows", "data", "trainings")
    }


def test_removed_results_are_made_again(place):
    for folder in list_trainings(place):
        spoil_digest(folder / "training.json")
    assert store(place, "--prune", "--yes") == 0
    assert list_trainings(place) == []
    assert ask(place) == 0
    assert len(list_trainings(place)) == 2


def test_a_whole_store_verifies(place, capsys):
    assert store(place, "--verify") == 0
    files = [path for pattern in ("*/*.npz", "*/*.pt", "*/*/*.bz2") for path in place.glob(f"runs/store/{pattern}")]
    size = sum(path.stat().st_size for path in files)
    told = f"2 trainings, 2 scorings, {len(files)} files, {size / 1000:.1f} kB: all as they were written"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("name", ["scores.npz", "checkpoint.pt", "curves.npz", "*/predictions.json.bz2"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_each_changed_byte_is_found(place, capsys, name, harm):
    (path,) = list_trainings(place)[0].glob(name)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    if harm == "flipped":
        content[middle] ^= 1
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[:middle])
    else:
        path.unlink()
    words = {
        "flipped": "has other content than was written",
        "cut": f"has {middle} bytes; {len(content)} were written",
        "gone": "cannot be read (No such file or directory)",
    }
    assert store(place, "--verify") == 1
    out = capsys.readouterr().out
    assert f"{path}: {words[harm]}" in out
    assert "1 damaged" in out


def test_damaged_records_checkpoints_and_caches_are_found(place, capsys):
    first, second = list_trainings(place)
    (first / "training.json").write_text("{")
    (second / "unfinished.pt").write_bytes(b"half")
    (cache,) = [path for path in place.glob("runs/data/*") if path.is_dir()]
    (cache / "test.npz").write_bytes(b"")
    assert store(place, "--verify") == 1
    out = capsys.readouterr().out
    for path in (first / "training.json", second / "unfinished.pt", cache):
        assert f"{path}: " in out
    assert "3 damaged" in out


def test_unfinished_and_busy_trainings_are_left_out(place, capsys):
    first, second = list_trainings(place)
    (first / "training.json").unlink()
    with locks.Locks(place / "runs") as held:
        assert held.acquire(second.name)
        assert store(place, "--verify") == 0
    assert "left out: 1 that somebody works on, 1 unfinished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--size", "--output", "nowhere"], "--output: 'nowhere' holds no results"),
        (["--size", "--yes"], "--yes: goes with --prune alone"),
        (["--verify", "--output", "a\0b"], "holds no results"),
    ],
)
def test_bad_input_is_refused(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert care.main(words) == 2
    assert told in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [[], ["--size", "--verify"], ["--all"]])
def test_one_thing_is_asked_for(words):
    with pytest.raises(SystemExit, match="2"):
        care.main(words)
