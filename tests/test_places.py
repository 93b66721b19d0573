"""Folders of results that are not as they were, and places that cannot be written: told in a line, before any work."""

import os
from pathlib import Path

import pytest

from harness import run
from harness.cli import FILES, FOLDERS, check_output, guard
from harness.data.tools.command import main
from harness.report.command import main as report

from support import data_folders


@pytest.mark.parametrize("name", [*FOLDERS, *FILES])
@pytest.mark.parametrize("command", [run.main, report])
def test_a_part_of_the_results_of_another_kind_is_told(name, command, tmp_path, capsys):
    root = tmp_path / "runs"
    root.mkdir()
    (root / name).mkdir() if name in FILES else (root / name).touch()
    assert command(["table2", "--quick", "--output", str(root)]) == 2
    kinds = "a folder, not a file" if name in FILES else "a file, not a folder"
    assert capsys.readouterr().err == f"--output: '{root / name}' is {kinds}\n"
    assert [path.name for path in root.iterdir()] == [name], "nothing is written"


def test_a_part_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    """Asked of the kernel for the user who runs it; root may write everywhere."""
    (tmp_path / "runs" / "store").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "store" and access(path, mode))
    for root in (Path("runs"), tmp_path / "runs"):
        assert check_output(root) == [f"--output: '{root / 'store'}' cannot be written"]


def test_a_file_that_may_not_be_read_is_told(monkeypatch, capsys):
    def read() -> int:
        raise PermissionError(13, "Permission denied", "runs/store/x/training.json")

    assert guard(read) == 1
    assert capsys.readouterr().err == "runs/store/x/training.json: Permission denied; what is finished is kept\n"


@pytest.fixture
def toy(tmp_path) -> Path:
    return data_folders.split_folders(tmp_path / "toy")


LONG = "x" * 300
BAD = {
    "convert {toy} {file}/x": "file' is a file, not a folder",
    "convert {toy} /proc/x": "'/proc' belongs to the kernel",
    "convert {toy} {long}": "cannot be a folder of results: File name too long",
    "convert {toy} /proc/x --to memory-mapped": "'/proc' belongs to the kernel",
    "convert {toy} {file} --to memory-mapped": "is a file, not a folder",
    "describe {toy} --out /proc/x.png": "'/proc' belongs to the kernel",
    "describe {toy} --out {file}/x.png": "file' is a file, not a folder",
    "describe {toy} --out {pipe}": "is there and is no regular file",
    "describe {toy} --out x.nope": "--out: a picture as '.nope'; allowed: .png",
    "describe {long}": "is neither a folder nor a data set",
    "check {long}": "is neither a folder nor a data set",
    "synthetic --scale tiny --out {file}/x": "file' is a file, not a folder",
}


@pytest.mark.parametrize("words", BAD)
def test_data_commands_refuse_places(words, toy, tmp_path, capsys):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    places = {"toy": toy, "file": tmp_path / "file", "pipe": tmp_path / "pipe", "long": LONG}
    assert main(words.format(**places).split()) == 2
    assert BAD[words] in capsys.readouterr().err


@pytest.mark.parametrize("words", ["synthetic --out x --seed -1", "import actrectut a b --seed 1e3"])
def test_seeds_are_whole_numbers(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert "is not a whole number from 0 on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source.streams: 3", "source.streams: found 3; expected a list of names"),
        ("source.streams: [1]", "source.streams: found a list; expected a list of names"),
        ("source: {seed: {a: 1}}", "source.seed: found a mapping; expected a whole number"),
        ("source.path: 5", "source.path: found 5; expected a text"),
        ("source.knobs: 3", "source.knobs: found 3; expected a mapping"),
        ("source: &a {knobs: *a}", "maximum recursion depth"),
    ],
)
def test_values_of_another_kind_in_data_yaml(text, message, toy, capsys):
    (toy / "data.yaml").write_text(text)
    assert main(["check", str(toy)]) == 2
    assert message in capsys.readouterr().err
