"""A disk that is full, at each phase: it is told in a line, nothing half-written stays, and with room all goes on."""

import resource
import shutil

import pytest

from support import faults

OPTIONS = ("--no-mlflow",)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with the results of an uninterrupted run, and its table."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, faults.complete(folder, options=OPTIONS)


@pytest.fixture
def folder(whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "copy")
    return tmp_path / "copy"


def run_cramped(folder, kilobytes):
    """The toy study where no file may be larger: writing more fails as on a full disk."""
    limit = (1000 * kilobytes, 1000 * kilobytes)
    process = faults.start(folder, options=OPTIONS, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    out, errors = process.communicate(timeout=2 * faults.PATIENCE)
    assert "Traceback" not in errors
    assert not [path for path in folder.rglob(".*") if path.is_file()]
    return process.returncode, out, errors


def test_while_data_are_written(tmp_path):
    code, _, errors = run_cramped(tmp_path, 500)
    assert code == 2
    assert "the data set cannot be written (File too large)" in errors
    assert not list(tmp_path.glob("mlruns/store/*"))


def test_while_runs_are_stored(folder, whole):
    shutil.rmtree(folder / "mlruns/store")
    shutil.rmtree(folder / "mlruns/reports")
    code, out, errors = run_cramped(folder, 20)
    assert code == 1
    assert out.count("FAILED (OSError: [Errno 27] File too large") == 2
    assert "no result: toy " in errors
    assert faults.complete(folder, options=OPTIONS) == whole[1]


def test_while_the_report_is_written(folder, whole):
    shutil.rmtree(folder / "mlruns/reports")
    before = faults.finished(folder / "mlruns")
    code, _, errors = run_cramped(folder, 1)
    assert code == 1
    assert "File too large: finished runs are kept; with room, the same command goes on from there" in errors
    assert faults.finished(folder / "mlruns") == before
    assert faults.complete(folder, options=OPTIONS) == whole[1]
