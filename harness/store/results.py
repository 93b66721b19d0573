"""The run store: a finished training, and each scoring of it, is a folder addressed by what determines it.

``<root>/store/<training key>/`` holds training.json (written last: it makes the training finished), curves.npz,
scores.npz, checkpoint.pt and log.txt, and while it trains unfinished.pt (see ``checkpoints``); ``<scoring key>/`` below
it holds predictions.json.bz2 and, last, result.json.
No torch, no mlflow. Every file lands by a rename inside its folder, so a reader sees a whole file or none.
"""

import bz2
import contextlib
import gzip
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.settings import Settings
from harness.sources import digest
from harness.store.arrays import read_arrays, write_arrays
from harness.store.files import describe_file, is_whole, landing, read_json, write_json
from harness.store.jobs import Job
from harness.study.keys import flat

if TYPE_CHECKING:
    from harness.study import Run

PREDICTIONS = "predictions.json.bz2"  # a quarter smaller than by gzip
FORMS: Mapping[str, Callable[[bytes], bytes]] = {  # names of it, those of earlier versions, too, and how they are read
    PREDICTIONS: bz2.decompress,
    "predictions.json.gz": gzip.decompress,
    "predictions.json": bytes,
}
STATUSES = ("ok", "nan", "failed")  # of a training that ended


def training_folder(root: Path, key: str) -> Path:
    return root / "store" / key


def scoring_folder(root: Path, training_key: str, scoring_key: str) -> Path:
    return training_folder(root, training_key) / scoring_key


def write_training(
    root: Path,
    key: str,
    record: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    files: Mapping[str, Callable[[Path], None]],
    settings: Settings,
) -> None:
    """Store a training that ended. ``arrays["curves"]`` becomes curves.npz; ``files`` maps a name to its writer.

    What an earlier attempt left (its training.json first, then its scorings) is removed before anything is written.
    """
    folder = training_folder(root, key)
    remove_training(root, key)
    for name, content in arrays.items():
        with landing(folder / f"{name}.npz") as temporary:
            write_arrays(temporary, content)
    for name, writer in files.items():
        with landing(folder / name) as temporary:
            writer(temporary)
    written = [*(f"{name}.npz" for name in arrays), *files]
    whole = {**record, "files": {name: describe_file(folder / name) for name in written}}
    write_json(folder / "training.json", stamp_record(key, whole, settings))


def stamp_record(key: str, record: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """``record`` with what every stored record says: key, source digest, time (UTC) and settings."""
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    own = digest(settings.case.baseline)
    return {**record, "key": key, "digest": own, "finished": finished, "settings": flat(settings)}


def write_result(
    root: Path,
    training_key: str,
    scoring_key: str,
    result: Mapping[str, Any],
    predictions: Mapping[str, Any],
    settings: Settings,
) -> None:
    """Store one scoring: predictions.json.bz2 (ActivityNet format) and then result.json."""
    folder = scoring_folder(root, training_key, scoring_key)
    with landing(folder / PREDICTIONS) as temporary:
        temporary.write_bytes(bz2.compress(json.dumps(predictions).encode()))
    written = {PREDICTIONS: describe_file(folder / PREDICTIONS)}
    record = {"training_key": training_key, **result, "files": written}
    write_json(folder / "result.json", stamp_record(scoring_key, record, settings))


def write_failure(job: Job, reason: str) -> None:
    """Record that ``job`` failed; a finished training whose scoring failed stays finished."""
    if not job.rescore:
        record = {"status": "failed", "reason": reason, "seed": job.seed}
        write_training(job.root, job.training_key, record, {}, {}, job.settings)


def remove_training(root: Path, key: str) -> None:
    """Remove a training's record and scorings, so that a half-written successor never looks finished."""
    folder = training_folder(root, key)
    (folder / "training.json").unlink(missing_ok=True)
    for path in folder.glob("*/result.json"):
        path.unlink(missing_ok=True)
        shutil.rmtree(path.parent, ignore_errors=True)


@contextlib.contextmanager
def mark_unfinished(job: Job) -> Iterator[None]:
    """Mark ``job``'s folder while it trains, so that a kill between training and scorings is seen afterwards."""
    path = training_folder(job.root, job.training_key) / "unfinished.json"
    write_json(path, {"scorings": list(job.scorings), "pid": os.getpid()})
    yield
    path.unlink(missing_ok=True)


def was_cut_off(root: Path, key: str, scorings: Iterable[str]) -> bool:
    """Whether an interrupted training was still to write one of these scorings."""
    path = training_folder(root, key) / "unfinished.json"
    if not path.exists():
        return False
    content = read_json(path)
    lost = content.get("scorings") if isinstance(content, dict) else None
    return not isinstance(lost, list) or not set(lost).isdisjoint(scorings)


def read_training(root: Path, key: str) -> dict[str, Any] | None:
    """training.json; None where there is none or where it, or a file it speaks of, is damaged."""
    record = read_record(training_folder(root, key) / "training.json", key)
    return record if record and tells_outcome(record) else None


def tells_outcome(record: Mapping[str, Any]) -> bool:
    """Whether a record says how a training ended: why where it did not end well, and its seconds where it has any."""
    seconds = record.get("seconds", {"total": 0.0})
    timed = isinstance(seconds, dict) and isinstance(seconds.get("total"), int | float)
    reason = record.get("reason", "" if record.get("status") == "ok" else None)
    return record.get("status") in STATUSES and timed and isinstance(reason, str)


def read_result(root: Path, training_key: str, scoring_key: str) -> dict[str, Any] | None:
    """result.json of one scoring; None where there is none or where it, or its predictions, are damaged."""
    record = read_record(scoring_folder(root, training_key, scoring_key) / "result.json", scoring_key)
    return record if record and isinstance(record.get("metrics"), dict) else None


def read_record(path: Path, key: str) -> dict[str, Any] | None:
    """A stored record, if it is that of ``key`` and the files beside it have the sizes that it notes."""
    content = read_fields(path, key)
    if content is None:
        return None
    whole = all(is_whole(path.parent / name, about) for name, about in content.get("files", {}).items())
    return content if whole else None


def read_fields(path: Path, key: str) -> dict[str, Any] | None:
    """A stored record, if it is that of ``key`` and has the fields of one; the files beside it are not looked at."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("key") != key or not isinstance(content.get("digest"), str):
        return None
    if not (is_time(content.get("finished")) and isinstance(content.get("settings"), dict)):
        return None
    return content if isinstance(content.get("files", {}), dict) else None


def is_time(text: Any) -> bool:
    """Whether a stored time can be read."""
    try:
        return bool(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return False


def find_damage(root: Path, training_key: str, scoring_keys: Iterable[str]) -> list[Path]:
    """Records that are there but cannot be used: damaged themselves, another key's, or without their files."""
    folder = training_folder(root, training_key)
    training = folder / "training.json"
    wanted = {folder / key / "result.json": key for key in scoring_keys}
    damaged = [training] if training.exists() and read_training(root, training_key) is None else []
    return damaged + [path for path, own in wanted.items() if path.exists() and read_record(path, own) is None]


def read_predictions(root: Path, training_key: str, scoring_key: str) -> Mapping[str, Any]:
    """Detections of one scoring, by video; of earlier versions, too. Empty: none, or none that can be read."""
    folder = scoring_folder(root, training_key, scoring_key)
    content = None
    for name, unpack in FORMS.items():
        if (folder / name).is_file():
            with contextlib.suppress(OSError, EOFError, zlib.error, ValueError, RecursionError):
                content = json.loads(unpack((folder / name).read_bytes()))
            break
    found = content.get("results") if isinstance(content, dict) else None
    return found if isinstance(found, dict) else {}


def read_training_arrays(root: Path, key: str, name: str) -> dict[str, np.ndarray]:
    """Arrays that a training keeps as ``name``.npz."""
    return read_arrays(training_folder(root, key) / f"{name}.npz")


def read_scores(root: Path, key: str) -> dict[str, np.ndarray]:
    """Test scores of a training, video axis first (``model.case.Case.scores``, ``harness.compute.score.reduced``)."""
    from harness.store.scores import unpack_scores  # which imports scipy: planning and --help read no scores

    return unpack_scores(read_training_arrays(root, key, "scores"))


def read_curves(root: Path, key: str) -> dict[str, np.ndarray]:
    """Per-step scalars of a training: ``step`` and one array per loss part and monitor."""
    return read_training_arrays(root, key, "curves")


def status(root: Path, run: "Run") -> str:
    """State of a run, as ``state`` names it."""
    training = read_training(root, run.training_key) or {}
    return state(training, read_result(root, run.training_key, run.scoring_key) or {}, run.settings)


def state(training: Mapping[str, Any], result: Mapping[str, Any], settings: Settings) -> str:
    """What became of a run: "ok", "stale" (other sources), "failed", "nan" or "missing" (not run yet)."""
    if not training:
        return "missing"
    if training["status"] != "ok":
        return str(training["status"])
    if not result:
        return "missing"
    return "ok" if training["digest"] == result["digest"] == digest(settings.case.baseline) else "stale"
