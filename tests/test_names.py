"""Files of one name keep apart: each has its own report, and keeps it wherever files and results are moved."""

import json
import shutil
from pathlib import Path

import pytest

from harness import run, study
from harness.report.writing import locate_report
from harness.store.requests import note_names, note_request, read_requests
from harness.study.names import STUDIES, locate_names

STUDY = """
title: {title}
base: paper
seeds: 1
set: {{training.steps: 3, training.snippets: 8}}
rows: [{{label: {title}, set: {{case.lambda_c: {weight}}}}}]
columns: {{mAP: map/avg}}
"""


def write(path: Path, title: str, weight: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(STUDY.format(title=title, weight=weight))
    return path


def note(path: Path, root: Path, **options) -> str:
    """The name under which a study is noted."""
    return note_request(study.load(path, quick=True, root=root, **options), root).name


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path, Path]:
    """Two studies of one name, both noted in the results folder beside them."""
    first, second = write(tmp_path / "here/a/my.yaml", "One"), write(tmp_path / "here/b/my.yaml", "Two", 1)
    root = tmp_path / "here/runs"
    assert note(first, root) == "my"
    assert note(second, root) != "my"
    return first, second, root


def test_two_studies_of_one_name_keep_their_reports_and_a_repeated_one_goes_to_its_own(tmp_path):
    paths = [write(tmp_path / "a/my.yaml", "One"), write(tmp_path / "b/my.yaml", "Two", 1)]
    options = ["--quick", "--no-mlflow", "--jobs", "1", "--output", str(tmp_path / "runs")]
    assert run.main([*map(str, paths), *options]) == 0  # both in one call: neither is noted when they are read
    tables = sorted(tmp_path.glob("runs/reports/my*/*/table.csv"))
    texts = [table.read_text() for table in tables]
    assert len(tables) == 2
    assert ["One" in text for text in texts] != ["Two" in text for text in texts]
    assert read_requests(tmp_path / "runs").notes == 2  # so pruning removes neither's trainings
    assert run.main([str(paths[1]), *options]) == 0
    assert run.main([str(paths[0]), *options]) == 0
    assert sorted(tmp_path.glob("runs/reports/my*/*/table.csv")) == tables
    assert [table.read_text() for table in tables] == texts


def test_an_edited_study_keeps_its_name(pair):
    first, second, root = pair
    names = [note(path, root) for path in (first, second)]
    write(second, "Three", 3)
    assert [note(path, root) for path in (second, first)] == names[::-1]
    second.write_text(first.read_text())  # equal ones are told apart by where they are
    assert [note(path, root) for path in (second, first)] == names[::-1]


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_names_stay_when_all_is_moved_or_copied(how, pair, tmp_path):
    names = [note(path, pair[2]) for path in pair[:2]]
    how(tmp_path / "here", tmp_path / "there")
    first, second, root = (tmp_path / "there" / path.relative_to(tmp_path / "here") for path in pair)
    write(second, "Three", 3)
    assert [note(path, root) for path in (second, first)] == names[::-1]


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
def test_names_stay_when_the_results_alone_are_moved_or_copied(how, pair, tmp_path):
    first, second, root = pair
    names = [note(path, root) for path in (first, second)]
    how(root, tmp_path / "far/away/runs")
    write(second, "Three", 3)
    assert [note(path, tmp_path / "far/away/runs") for path in (second, first)] == names[::-1]


def test_names_stay_when_the_studies_alone_are_moved(pair, tmp_path):
    first, second, root = pair
    names = [note(path, root) for path in (first, second)]
    shutil.move(first.parent, tmp_path / "x")
    shutil.move(second.parent, tmp_path / "y")
    assert [note(tmp_path / place / "my.yaml", root) for place in ("y", "x")] == names[::-1]


def test_another_study_where_one_was_moved_away_is_another(pair, tmp_path):
    first, second, root = pair
    names = [note(path, root) for path in (first, second)]
    shutil.move(second, tmp_path / "here/c.yaml")
    (tmp_path / "here/c").mkdir()
    shutil.move(tmp_path / "here/c.yaml", tmp_path / "here/c/my.yaml")
    assert note(tmp_path / "here/c/my.yaml", root) == names[1]
    assert note(write(second, "Four", 4), root) not in names


def test_a_copied_and_edited_study_is_another(pair, tmp_path):
    first, _, root = pair
    copied = tmp_path / "here/c/my.yaml"
    copied.parent.mkdir()
    shutil.copy(first, copied)
    assert note(copied, root) not in {note(path, root) for path in pair[:2]}


def test_studies_of_the_project_have_their_plain_names(tmp_path):
    root = tmp_path / "runs"
    other = write(tmp_path / "table2.yaml", "Mine")
    assert note(other, root) != "table2"  # although it comes first
    own = study.load("table2", quick=True, root=root)
    assert locate_report(own, root) == root / "reports/table2/synthetic-tiny"
    shutil.copy(STUDIES / "table4.yaml", tmp_path / "table4.yaml")  # of another checkout, say
    assert note(tmp_path / "table4.yaml", root) == "table4"
    assert "table2" not in json.loads(locate_names(root).read_text())["study"]


def test_presets_and_data_folders_keep_their_names_when_all_is_moved(tmp_path):
    here = tmp_path / "here"
    mine = write(here / "my.yaml", "One")
    for place in ("one", "two"):
        (here / place).mkdir()
        (here / place / "best.yaml").write_text("case.rho: 3\n")
    loaded = [study.load(mine, base=str(here / place / "best.yaml"), root=here / "runs") for place in ("one", "two")]
    names = [note_names(one, here / "runs").base_name for one in loaded]
    assert len(set(names)) == 2
    shutil.move(here, tmp_path / "there")
    there = tmp_path / "there"
    bases = [str(there / place / "best.yaml") for place in ("one", "two")]
    assert [study.load(there / "my.yaml", base=base, root=there / "runs").base_name for base in bases] == names


@pytest.mark.parametrize("text", ["", "3", "[]", '{"study": 3}', '{"study": {"my": {"path": 1}}}', "[" * 9999])
def test_damaged_notes_count_as_absent(text, tmp_path):
    root = tmp_path / "runs"
    root.mkdir()
    locate_names(root).write_text(text)
    assert note(write(tmp_path / "my.yaml", "One"), root) == "my"
    assert note(write(tmp_path / "b/my.yaml", "Two"), root) != "my"


def test_a_looping_link_in_place_of_the_results_is_no_trouble_of_names(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert study.load(write(tmp_path / "my.yaml", "One"), root=tmp_path / "loop/runs").name == "my"
