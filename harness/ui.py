"""``python -m harness.ui``: MLflow's pages on 127.0.0.1 for the runs of one output folder."""

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote as escape

from harness.cli import Parser, hear_signals
from harness.errors import quote
from harness.execute.leash import run_on_leash
from harness.study.document import is_file
from harness.track.database import find_address, is_damaged, locate_artifacts, locked, mend_locations
from harness.track.pages import PORT, list_tables, move_pages

LOCAL = "127.0.0.1"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the MLflow server until a signal comes, or until this process or the one that started it is gone.

    Exit codes: 2 there is nothing to show or the port is taken, 128 + n ended by signal n, else the server's.
    """
    parser = Parser("python -m harness.ui", description="Browse tracked runs with MLflow.")
    parser.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    parser.add_argument("--port", type=int, default=PORT, help=f"port on 127.0.0.1 (default {PORT})")
    arguments = parser.parse_args(argv)
    if trouble := refusal(arguments.output, arguments.port):
        print(trouble, file=sys.stderr)
        return 2
    prepare_pages(arguments.output, arguments.port)
    print(f"http://{LOCAL}:{arguments.port} (runs: 'Model training', top left; Ctrl-C ends it)", flush=True)
    command = [sys.executable, "-m", "mlflow", *server(arguments.output, arguments.port)]
    with hear_signals() as heard:
        try:
            return run_on_leash(command, os.environ | environment())
        except KeyboardInterrupt:
            return 128 + heard[0]


def prepare_pages(output: Path, port: int) -> None:
    """Let files be found where the folder lies now and links lead to this port; say where each table is shown."""
    with locked(output):
        mend_locations(output)
        move_pages(output, port)
    for experiment, address in list_tables(output):
        print(f"{experiment}: {address}")


def refusal(output: Path, port: int) -> str:
    """Why the server cannot start; empty when it can."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return "MLFLOW_TRACKING_URI is set: runs are tracked by that server; look there, or unset it"
    if not is_file(output / "mlflow.db"):
        return f"{quote(output)} holds no tracked runs (mlflow.db); run a study first, or name its folder with --output"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except (OSError, OverflowError) as error:
            return f"--port {port}: {error}; choose another, for example {port + 1}"
    if is_damaged(output):
        return (
            f"'{output / 'mlflow.db'}' is damaged; python -m harness.track sync STUDY --output {output} makes it anew"
        )
    return ""


def server(output: Path, port: int) -> list[str]:
    """Arguments of ``mlflow``: this store, files served from where they lie, one worker."""
    store, root = find_address(output), escape(locate_artifacts(output), safe=":/")
    paths = ["--backend-store-uri", store, "--default-artifact-root", root, "--no-serve-artifacts"]
    return ["server", *paths, "--host", LOCAL, "--port", str(port), "--workers", "1"]


def environment() -> dict[str, str]:
    """No job execution (its processes take gigabytes), no telemetry."""
    return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


if __name__ == "__main__":
    sys.exit(main())
