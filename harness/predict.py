"""``python -m harness.predict RUN|STUDY:ROW[:SEED] --features DIR --out FILE``: a trained run applied to new videos.

RUN is the key of a training in the run store, or its folder. STUDY:ROW takes the mean of the snippet scores over the
row's seeds. Detections are made as the row asks, in the format that ``harness.evaluate`` reads.
Exit codes: 0 done, 2 bad input (nothing was written), 130 interrupted.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.cli import Parser, check_file, check_output, guard, positive
from harness.errors import ConfigError, DataError, hint, quote

if TYPE_CHECKING:
    import numpy as np

    from harness import data
    from harness.compute.localize import Detections
    from harness.data.tools.unlabelled import Expected
    from harness.settings import Settings


SHOWN = 20  # characters of a seed that is none


@dataclass(frozen=True)
class Trained:
    """Finished trainings that differ in their seed alone, and how their scores are read."""

    folders: tuple[Path, ...]
    settings: "Settings"


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    p = Parser("python -m harness.predict", description="Detections of a trained run on new videos.")
    p.add_argument("run", metavar="RUN|STUDY:ROW[:SEED]", help="a training's key or folder, or a row (mean over seeds)")
    p.add_argument("--features", type=Path, required=True, metavar="DIR", help="STREAM/ID.npy, or ID.npy side by side")
    p.add_argument("--out", type=Path, required=True, metavar="FILE", help="detections, ActivityNet format")
    p.add_argument("--timelines", type=Path, metavar="DIR", help="also draw each video's attention and detections")
    p.add_argument("--snippet-seconds", type=float, metavar="S", help="seconds of a snippet (default: as trained on)")
    p.add_argument("--output", type=Path, default=Path("mlruns"), metavar="DIR", help="results (default: mlruns)")
    for name, words in (("data", "data set"), ("base", "preset")):
        p.add_argument(f"--{name}", metavar="NAME", help=f"{words} that the study was run with")
    p.add_argument("--seeds", type=positive, metavar="N", help="seeds that the study was run with")
    p.add_argument("--quick", action="store_true", help="the study was run with --quick")
    p.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="as the study was run with")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return guard(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """Find the run, check the features, predict and write."""
    try:
        check_places(arguments)
        trained = find_trained(arguments)
        with TemporaryDirectory() as folder:
            dataset, scores = score_videos(trained, arguments, Path(folder))
            detections = detect_actions(scores, trained.settings, dataset)
            write_predictions(arguments.out, detections, dataset)
            if arguments.timelines:
                draw_videos(arguments.timelines, trained.settings, dataset, scores, detections)
    except ConfigError as error:
        print(*error.errors, sep="\n", file=sys.stderr)
        return 2
    count = f"{len(detections.score)} detections in {len(dataset.test.ids)} videos"
    seeds = len(trained.folders)
    print(f"{arguments.out}: {count}, {f'mean over {seeds} seeds' if seeds > 1 else 'one seed'}")
    return 0


def check_places(arguments: argparse.Namespace) -> None:
    """ConfigError lists what is wrong with folders and files of the command line, before any work."""
    from harness.study.document import is_folder

    errors = check_file(arguments.out, "--out")
    if arguments.timelines:
        errors += check_output(arguments.timelines, "--timelines")
    for option, folder in (("--features", arguments.features), ("--output", arguments.output)):
        if not is_folder(folder):
            errors.append(f"{option}: {quote(folder)} is not a folder")
    if errors:
        raise ConfigError(errors)


def find_trained(arguments: argparse.Namespace) -> Trained:
    """The trainings asked for. ConfigError where there are none, or where they are not finished."""
    name, _, rest = arguments.run.partition(":")
    if rest:
        return find_row(name, rest, arguments)
    from harness.store import results
    from harness.study.building import rebuild
    from harness.study.document import is_folder

    folder = Path(name) if is_folder(Path(name)) else results.training_folder(arguments.output, name)
    record = results.read_training(folder.parent.parent, folder.name) if is_folder(folder) else None
    if record is None:
        known = [path.name for path in (arguments.output / "store").glob("*") if path.is_dir()]
        raise ConfigError([f"no training {quote(name)} in {arguments.output}; {hint(name, sorted(known)[:20])}"])
    if record["status"] != "ok":
        raise ConfigError([f"{folder}: the training ended as '{record['status']}'"])
    return Trained((folder,), rebuild(record["settings"]))


def find_row(name: str, rest: str, arguments: argparse.Namespace) -> Trained:
    """The finished seeds of a study's row, or one of them."""
    from harness import study
    from harness.claims.reading import read_grown_records
    from harness.store import results

    row, _, seed = rest.partition(":")
    options = {key: getattr(arguments, key) for key in ("base", "data", "quick", "seeds")}
    found = study.load(name, **options, sets=arguments.set, root=arguments.output)
    rows = {str(own.number): own for own in found.rows}
    rows |= {own.label: own for own in found.rows}
    if row not in rows:
        raise ConfigError([f"{found.path}: no row '{row}'; {hint(row, rows)}"])
    grown = read_grown_records(found, arguments.output).study
    keys = {run.seed: run.training_key for run in grown.runs if run.row == rows[row].number}
    wanted = [key for own, key in sorted(keys.items()) if seed in {"", str(own)}]
    done = [key for key in wanted if (results.read_training(arguments.output, key) or {}).get("status") == "ok"]
    if not done:
        seeds = f" seed {seed[:SHOWN]}" if seed else ""
        raise ConfigError([f"row {row}{seeds} of {name} is not trained here; python -m harness.run {name} trains it"])
    folders = tuple(results.training_folder(arguments.output, key) for key in done)
    return Trained(folders, rows[row].settings)


def read_checkpoint(folder: Path) -> dict[str, Any]:
    """Weights, what was carried, and what the data were like; no code of the file is run."""
    import pickle

    import torch

    path = folder / "checkpoint.pt"
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        lacking = {"weights", "Q_R", "memory", "data"} - set(content)
    except (OSError, RuntimeError, EOFError, ValueError, TypeError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0][:100]
        raise ConfigError([f"{path}: cannot be read as weights ({reason})"]) from None
    if lacking:
        raise ConfigError([f"{path}: has no {', '.join(sorted(lacking))}; train the run again"])
    return content


def read_expected(checkpoint: Mapping[str, Any], seconds: float | None) -> "Expected":
    """What new videos must be like; ``seconds`` goes before what the training videos say."""
    from harness.data.annotations import LEAST_SECONDS, MOST_SECONDS
    from harness.data.tools.unlabelled import Expected

    about = checkpoint["data"]
    known = about["snippet_seconds"][0] if about["snippet_seconds"] else None
    length = known if seconds is None else seconds
    if length is None:
        raise DataError(["--snippet-seconds: the training videos differ in it; state it for the new videos"])
    if not LEAST_SECONDS <= length <= MOST_SECONDS:
        raise DataError([f"--snippet-seconds: {length:g}; expected {LEAST_SECONDS:g} .. {MOST_SECONDS:g}"])
    return Expected(tuple(about["classes"]), tuple(about["streams"]), tuple(about["widths"]), float(length))


def score_videos(
    trained: Trained, arguments: argparse.Namespace, place: Path
) -> tuple["data.Dataset", dict[str, "np.ndarray"]]:
    """The new videos, and their snippet scores: the mean over the trainings."""
    import numpy as np

    from harness.data.cache import load_cached
    from harness.data.tools.unlabelled import pend_features

    checkpoints = [read_checkpoint(folder) for folder in trained.folders]
    expected = read_expected(checkpoints[0], arguments.snippet_seconds)
    dataset = load_cached(place / "new", lambda: pend_features(arguments.features, expected))
    mean: dict[str, np.ndarray] = {}
    scored = [apply_checkpoint(content, trained.settings, dataset) for content in checkpoints]
    shared = [name for name in scored[0] if name not in {"P_C", "Q_R", "embedding"}]  # clusters have no common order
    for name in shared:
        mean[name] = np.mean([scores[name] for scores in scored], 0)
    return dataset, mean


def apply_checkpoint(
    checkpoint: Mapping[str, Any], settings: "Settings", dataset: "data.Dataset"
) -> dict[str, "np.ndarray"]:
    """Snippet scores of the videos under stored weights."""
    import torch

    from harness.compute import train
    from harness.store.scores import round_scores
    from model.streams import Carried

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = train.start(settings, dataset, train.Streams.of(0, device), device)
    try:
        state.case.load_state_dict(checkpoint["weights"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError([f"the weights do not fit the settings: {reason}"]) from None
    memory = {name: tensor.to(device) for name, tensor in checkpoint["memory"].items()}
    state.carried = Carried(checkpoint["Q_R"].to(device), memory)
    return round_scores(train.test_scores(state, dataset.test, settings.training))


def detect_actions(scores: Mapping[str, "np.ndarray"], settings: "Settings", dataset: "data.Dataset") -> "Detections":
    """Detections as the row's localisation makes them; the truth is not known, so no oracle."""
    from harness.compute import score

    if settings.localization.q_r == "oracle":
        raise ConfigError(["localization.q_r: 'oracle' reads the annotations of the test videos; new videos have none"])
    if settings.localization.match == "quantile" and "clusters" in scores:
        matched = score.quantile_matched(scores["clusters"], scores["attention"])
        scores = {**scores, "clusters": matched}
    seconds = dataset.test.lengths * dataset.test.snippet_seconds
    return score.infer(scores, settings, seconds)[1]


def write_predictions(path: Path, detections: "Detections", dataset: "data.Dataset") -> None:
    """The detections as JSON, whole or not at all."""
    from harness.store.files import write_json

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, detections.predictions(dataset.test.ids, dataset.classes), indent=None)
    except OSError as error:
        raise ConfigError([f"--out: '{path}' cannot be written ({error.strerror or error})"]) from None


def draw_videos(
    folder: Path,
    settings: "Settings",
    dataset: "data.Dataset",
    scores: Mapping[str, "np.ndarray"],
    detections: "Detections",
) -> None:
    """A picture of each video."""
    from harness.report.figures.predicted import draw_prediction

    folder.mkdir(parents=True, exist_ok=True)
    for video in range(len(dataset.test.ids)):
        draw_prediction(folder, settings, dataset, scores, detections, video)


if __name__ == "__main__":
    sys.exit(main())
