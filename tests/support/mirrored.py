"""A small store and what MLflow shows of it: fixtures ``empty`` (a fresh database) and ``root`` (the store)."""

import shutil

import pytest

from harness.store import records
from harness.track import database
from harness.track import mirror as track

from support import workers


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A fresh database, made once: its migrations take a second."""
    folder = tmp_path_factory.mktemp("empty")
    database.silence()
    database.create_database(folder)
    return folder / "mlflow.db"


@pytest.fixture
def root(tmp_path, empty, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(empty, tmp_path)
    monkeypatch.chdir(tmp_path)
    for seed in (0, 1):
        workers.finish(workers.job(tmp_path, f"t{seed}", seed, scorings=("s1", "s2")), value=40.0 + seed)
    report = tmp_path / "reports" / "toy"
    report.mkdir(parents=True)
    (report / "table.md").write_text("| mAP |")
    (report / "table.csv").write_text("mAP\n40.5\n")
    return tmp_path


def mirror(root, study):
    """Bring MLflow up to date, with a report; returns what was done."""
    said = track.mirror_runs(records.read(study, root), "abc123")
    findings = ["2 claims: 1 appears, 1 undecided", "appears: row 2 beats row 1"]
    track.mirror_report(records.read(study, root), root / "reports" / "toy", findings)
    return said


def close_databases():
    """Make MLflow forget the databases that this process has open, as a new process would."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _tracking_store_registry

    for engine in SqlAlchemyStore._engine_map.values():
        engine.dispose()
    SqlAlchemyStore._engine_map.clear()
    _tracking_store_registry._get_store_with_resolved_uri.cache_clear()


def runs(root, **asked):
    """Active runs of the only experiment with these tags or params."""
    from mlflow import MlflowClient

    client = MlflowClient(database.find_address(root))
    (experiment,) = [e for e in client.search_experiments() if e.name != "Default"]
    assert experiment.name == "toy/synthetic-tiny"
    found = client.search_runs([experiment.experiment_id])
    texts = {name: str(value) for name, value in asked.items()}
    return client, [run for run in found if texts.items() <= {**run.data.params, **run.data.tags}.items()]
