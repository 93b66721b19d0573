"""Training: ``steps`` is a generator over optimiser steps, ``fit`` consumes it into a training of the run store."""

import math
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from harness import data
from harness.compute import checkpoint, score
from harness.compute.batches import EVALUATION_VIDEOS, on_device
from harness.compute.checkpoint import Course
from harness.compute.grids import group_videos, join_parts
from harness.compute.machine import describe_machine
from harness.compute.optimiser import Adam
from harness.compute.outer import draw_batch, prepare_test, read_clocks, refresh
from harness.data.sampling import count_positions, orders, paired
from harness.settings import Settings, Training
from harness.store import results
from harness.store.jobs import Job, Progress
from harness.store.scores import pack_scores, unpack_scores
from model.case import Case, Step
from model.streams import Batch, Carried, Shape


@dataclass(frozen=True)
class Streams:
    """Random numbers of a run: independent generators, equal for all rows of a seed, so that rows are paired."""

    initial: int
    order: np.random.Generator
    sampling: np.random.Generator
    dropout: torch.Generator

    @classmethod
    def of(cls, seed: int, device: torch.device) -> "Streams":
        initial, order, sampling, dropout = np.random.SeedSequence(seed).spawn(4)
        return cls(
            int(initial.generate_state(1)[0]),
            np.random.default_rng(order),
            np.random.default_rng(sampling),
            torch.Generator(device).manual_seed(int(dropout.generate_state(1)[0])),
        )


@dataclass
class State:
    """What changes while training: the model, its optimiser and what is carried from step to step (Q^R)."""

    case: Case
    optimizer: Adam
    carried: Carried
    device: torch.device


def start(settings: Settings, dataset: data.Dataset, streams: Streams, device: torch.device) -> State:
    """Model and optimiser before step 1 (Appendix E.3: Adam)."""
    train = dataset.train
    widths = (train.features.shape[-1],) * len(dataset.streams)
    shape = Shape(widths, train.labels.shape[1], settings.case.width)
    case = Case(settings.case, shape, streams.initial).to(device)
    training = settings.training
    lr = training.lr * training.lr_scale
    optimizer = Adam(case.parameters(), lr, training.beta2, training.weight_decay)
    return State(case, optimizer, case.initial(), device)


def steps(
    state: State, train: data.Split, training: Training, streams: Streams, done: int = 0
) -> Iterator[tuple[int, Step]]:
    """Yield (number, Step) after each optimiser step, ``done`` + 1 .. ``training.steps``."""
    features = on_device(train, state.device)
    if training.pairs:
        batches = paired(train.labels, training.batch, training.pairs, streams.order)
    else:
        batches = orders(len(train.ids), training.batch, streams.order)
    numbered = zip(range(1, training.steps + 1), batches)
    for number, videos in islice(numbered, done, None):
        refresh_state(state, features, train, training, number)
        warm = float(number <= training.warm_up)
        clocks = read_clocks(state.carried, videos)
        batch = draw_batch(features, train, videos, training, clocks, streams.sampling)
        batch = replace(batch, warm=warm, generator=streams.dropout, pairs=training.pairs, steps=training.steps)
        yield number, update(state, batch)


def refresh_state(
    state: State, features: tuple[torch.Tensor, ...], train: data.Split, training: Training, number: int
) -> None:
    """What the baseline makes of all training videos before this step, if it asks for it; then maybe new weights."""
    baseline = state.case.baseline
    if not (hasattr(baseline, "refreshes") and baseline.refreshes(number, training.steps)):
        return
    state.carried = refresh(state.case, state.carried, features, train, training)
    if getattr(baseline, "restarts", False):
        state.carried = replace(state.case.initial(), memory=state.carried.memory)
        state.case.restart_()
        state.optimizer.state.clear()


def update(state: State, batch: Batch) -> Step:
    """One optimiser step (Eq. 16); gradients stay readable until the next."""
    state.case.project_()
    step = state.case.step(state.carried, batch)
    state.optimizer.clear_gradients()
    torch.autograd.backward(step.loss)
    state.optimizer.step()
    state.carried = step.carried
    return step


@torch.no_grad()
def test_scores(state: State, split: data.Split, training: Training) -> dict[str, np.ndarray]:
    """Snippet scores of every video of ``split``, evenly sampled, video axis first, and Q^R (M, K, 2).

    Videos with equally many positions pass together. Where they differ, "positions" (V,) says how many each has.
    """
    state.case.eval()
    features = on_device(split, state.device)
    parts: list[dict[str, np.ndarray]] = []
    groups = group_videos(count_positions(split.lengths, training), EVALUATION_VIDEOS)
    for videos in groups:
        batch, carried = prepare_test(state.case, state.carried, features, split, videos, training)
        found = state.case.scores(batch, carried, training.keep_embeddings)
        parts.append({name: value.cpu().numpy() for name, value in found.items()})
    state.case.train()
    whole = {"Q_R": state.carried.Q_R.cpu().numpy()}
    return whole | join_parts(groups, parts)


@dataclass
class Curves:
    """Per-step scalars, kept as tensors until read: no synchronisation inside a step."""

    names: list[str] = field(default_factory=list)
    rows: list[torch.Tensor] = field(default_factory=list)

    def add(self, step: Step) -> None:
        scalars = {"loss": step.loss.detach()}
        scalars |= {f"loss/{name}": value.detach() for name, value in step.parts.items()} | step.monitors
        self.names = self.names or list(scalars)
        self.rows.append(torch.stack([scalars[name] for name in self.names]))

    def arrays(self) -> dict[str, np.ndarray]:
        table = torch.stack(self.rows).cpu().numpy()
        return {"step": np.arange(1, len(table) + 1)} | {name: table[:, i] for i, name in enumerate(self.names)}

    def trouble(self) -> str:
        """Why the run must stop: the first step and term that is not finite; empty when all is well."""
        table = torch.stack(self.rows).isfinite()
        if bool(table[:, 0].all()):
            return ""
        step = int((~table[:, 0]).nonzero()[0, 0])
        bad = [name for name, ok in zip(self.names, table[step].tolist()) if not ok]
        return f"{', '.join(bad)} not finite at step {step + 1}"


def fit(job: Job, progress: Callable[[Progress], None]) -> None:
    """Train ``job``, evaluate it under each of its scorings, and write everything to the run store.

    It goes on from a checkpoint where there is one. The end is evaluated, and every k steps the scorings that are
    watched: whose metrics over the steps a study reads. A loss that is not finite ends the run with status "nan" and
    the reason; other errors are the caller's to record.
    """
    settings, training = job.settings, job.settings.training
    began, reason = time.perf_counter(), ""
    dataset = data.load(settings.source, job.root)
    truth = score.Truth.of(dataset.test, training.snippets)
    course = checkpoint.resume(job, lambda: begin(job, dataset, began))
    state, packed = course.state, dict[str, np.ndarray]()
    for number, step in steps(state, dataset.train, training, course.streams, course.done):
        course.curves.add(step)
        course.done = number
        if number == training.steps or number % training.evaluate_every == 0:
            if reason := course.curves.trouble():
                break
            packed = look(job, course, dataset, truth)
            value = next((e.latest("map/avg") for e in course.evaluations.values()), None)
            progress(Progress(job.training_key, number, training.steps, value, float(step.loss.detach())))
        checkpoint.save_if_due(job, course)
    arrays = {"curves": course.curves.arrays(), "scores": {} if reason else packed}
    files = {"checkpoint.pt": checkpoint_writer(state, dataset)}
    results.write_training(job.root, job.training_key, training_record(job, course, reason), arrays, files, settings)
    for key, scoring in {} if reason else job.scorings.items():
        score.store(job, key, scoring, course.evaluations[key], dataset)
    checkpoint.remove(job)


def begin(job: Job, dataset: data.Dataset, began: float) -> Course:
    """A training before its first step."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    streams = Streams.of(job.seed, device)
    state = start(job.settings, dataset, streams, device)
    return Course(state, streams, Curves(), {key: score.Evaluations() for key in job.scorings}, began)


def look(job: Job, course: Course, dataset: data.Dataset, truth: score.Truth) -> dict[str, np.ndarray]:
    """Evaluate the scorings that are due after the step just done; returns the test scores as they are stored."""
    clock, due = time.perf_counter(), job.find_due(course.done)
    if not due:
        return {}
    packed = pack_scores(score.reduced(test_scores(course.state, dataset.test, job.settings.training), truth))
    scores = unpack_scores(packed)  # what a scoring of the stored file will read, to the bit
    for key, scoring in due.items():
        course.evaluations[key].add(course.done, score.evaluate(scores, scoring, truth, dataset.classes))
    course.testing += time.perf_counter() - clock
    return packed


def checkpoint_writer(state: State, dataset: data.Dataset) -> Callable[[Path], None]:
    """Writes weights, all that is carried and what new videos must be like; ``weights_only=True`` reads it."""
    carried = {"Q_R": state.carried.Q_R, "memory": dict(state.carried.memory)}
    seconds = set(dataset.train.snippet_seconds.tolist())
    about = {name: list(getattr(dataset, name)) for name in ("classes", "streams", "widths")}
    about["snippet_seconds"] = list(seconds) if len(seconds) == 1 else []  # where all training videos agree
    content = {"weights": state.case.state_dict(), **carried, "data": about}
    return lambda path: torch.save(content, path)


def training_record(job: Job, course: Course, reason: str) -> dict[str, object]:
    """What training.json says beside the settings, which ``results`` adds."""
    seconds = {"total": time.perf_counter() - course.began, "evaluation": course.testing}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux: kilobytes
    rounded = {name: round(value, 3) for name, value in seconds.items()}
    return {
        "status": "nan" if reason else "ok",
        "reason": reason,
        "seed": job.seed,
        "seconds": rounded,
        "resumed": course.resumed,
        "peak_mb": math.ceil(peak),
        "torch": torch.__version__,
        "machine": describe_machine(course.state.device),
        "parameters": sum(p.numel() for p in course.state.case.parameters()),
    }
