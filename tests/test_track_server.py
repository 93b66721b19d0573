"""A tracking server that is down, or accepts and stays silent: told within seconds, and no result is lost."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.track import database

from support import stores

HOME = Path(__file__).resolve().parents[1]
LIMIT = 10  # seconds a request may take


@pytest.fixture
def silent():
    """Port of a server that accepts and never answers; how many it accepted."""
    listening, held = socket.create_server(("127.0.0.1", 0)), []

    def accept():
        try:
            while True:
                held.append(listening.accept())
        except OSError:
            return

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1], held
    listening.close()
    for connection, _ in held:
        connection.close()


@pytest.fixture
def sync(tmp_path):
    """A function that mirrors a finished study to a server; gives the ended process."""
    stores.fill(stores.load(tmp_path), tmp_path / "mlruns")

    def run(port):
        environment = os.environ | {"PYTHONPATH": str(HOME), "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}
        call = [sys.executable, "-m", "harness.track", "sync", "made.yaml"]
        return subprocess.run(
            call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return run


def check_told(done):
    """Why, what became of the results, and how to go on; no traceback."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "waiting for the server at MLFLOW_TRACKING_URI, 10 s a request at most" in done.stderr
    assert "MLflow could not be brought up to date" in done.stderr
    assert "results are kept; later: python -m harness.track sync" in done.stderr


def test_a_silent_server_is_given_up_after_its_time(silent, sync):
    port, held = silent
    done = sync(port)
    check_told(done)
    assert f"read timeout={LIMIT}" in done.stderr
    assert 1 <= len(held) <= 2, "it is asked once more, and then no more"


def test_a_server_that_is_down_is_told(sync):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    done = sync(port)
    check_told(done)
    assert "Connection refused" in done.stderr


def test_the_limit_is_set_where_nothing_else_is(monkeypatch):
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    database.silence()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == str(LIMIT)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    database.silence()
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77", "the user's own counts"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--output", "nowhere"], "'nowhere' holds no results"),
        (["--output", "/proc"], "belongs to the kernel"),  # else it waits for ever for a lock that nobody can have
        (["--output", "made.yaml"], "is a file, not a folder"),
        (["--seeds", "-1"], "not a whole number above 0"),
    ],
)
def test_what_holds_no_results_is_refused(words, told, tmp_path):
    stores.load(tmp_path)
    call = [sys.executable, "-m", "harness.track", "sync", "made.yaml", *words]
    env = os.environ | {"PYTHONPATH": str(HOME)}
    done = subprocess.run(call, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["made.yaml"]
