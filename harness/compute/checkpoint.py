"""A training under way as bytes and back: whoever goes on from them ends with the same bits.

Held are the weights, the optimiser, all that is carried from step to step (Q^R, a baseline's memory), the random
generators, the curves and the evaluations so far. The order of the videos is drawn again from its beginning and its
first steps are passed over, as it depends on nothing else.
"""

import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch

from harness import sources
from harness.compute.machine import name_arithmetic
from harness.compute.score import Evaluations
from harness.store.checkpoints import (
    CheckpointError,
    Origin,
    locate_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from harness.store.jobs import Job

if TYPE_CHECKING:
    from harness.compute.train import Curves, State, Streams


@dataclass
class Course:
    """All that changes from the first step of a training to its last; ``done`` steps lie behind it."""

    state: "State"
    streams: "Streams"
    curves: "Curves"
    evaluations: dict[str, Evaluations]  # by scoring key
    began: float  # by ``time.perf_counter``; earlier by what was spent before an interruption
    testing: float = 0.0  # seconds spent on evaluation
    done: int = 0
    resumed: list[int] = field(default_factory=list)  # steps after which the training went on from a checkpoint
    saved: float = field(default_factory=time.perf_counter)  # when the last checkpoint was written


def name_origin(job: Job, device: torch.device) -> Origin:
    """What decides the bits of a training: its key, the sources, versions, and the kind of device."""
    own = sources.digest(job.settings.case.baseline)
    return {"key": job.training_key, "sources": own, **name_arithmetic(device)}


def save_if_due(job: Job, course: Course) -> None:
    """Write a checkpoint, unless one was written lately or the end is reached."""
    now = time.perf_counter()
    if course.done < job.settings.training.steps and now - course.saved >= job.checkpoint_every:
        course.saved = now
        save(job, course)


def save(job: Job, course: Course) -> None:
    """Write a checkpoint into the training's folder. A disk that is full costs the checkpoint, not the run."""
    content = io.BytesIO()
    torch.save(pack(job, course), content)
    origin = name_origin(job, course.state.device)
    try:
        write_checkpoint(locate_checkpoint(job.root, job.training_key), origin, course.done, content.getvalue())
    except OSError as error:
        print(f"no checkpoint after step {course.done}: {type(error).__name__}: {error}", flush=True)


def resume(job: Job, begin: Callable[[], Course]) -> Course:
    """The course of a job where its checkpoint stands; a new one where there is none, or none that counts."""
    path, course = locate_checkpoint(job.root, job.training_key), begin()
    if not path.exists():
        return course
    try:
        content = read_checkpoint(path, name_origin(job, course.state.device))
        unpack(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True), job, course)
    except Exception as error:  # whatever stands in the file, the training starts over
        print(f"{path}: counts as absent ({type(error).__name__}: {error})", flush=True)
        return begin()
    print(f"going on after step {course.done}", flush=True)
    return course


def remove(job: Job) -> None:
    locate_checkpoint(job.root, job.training_key).unlink(missing_ok=True)


def pack(job: Job, course: Course) -> dict[str, Any]:
    """Everything that changes while training, as tensors, numbers and text."""
    state, streams = course.state, course.streams
    evaluated = {key: {"steps": e.steps, "metrics": e.metrics} for key, e in course.evaluations.items()}
    return {
        "done": course.done,
        "weights": state.case.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "carried": {field.name: strip(getattr(state.carried, field.name)) for field in fields(state.carried)},
        "sampling": json.dumps(streams.sampling.bit_generator.state),
        "dropout": streams.dropout.get_state(),
        "curves": {"names": course.curves.names, "rows": torch.stack(course.curves.rows)},
        "evaluations": json.dumps(evaluated),
        "watched": sorted(job.watched),
        "seconds": {"total": time.perf_counter() - course.began, "evaluation": course.testing},
        "resumed": course.resumed,
    }


def strip(value: Any) -> Any:
    """Plain dictionaries in place of other mappings."""
    return {name: strip(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def unpack(content: Mapping[str, Any], job: Job, course: Course) -> None:
    """Fill a new course with what ``pack`` made."""
    if not job.watched <= set(content["watched"]):
        raise CheckpointError("it lacks evaluations that are asked for now")
    state, streams = course.state, course.streams
    state.case.load_state_dict(content["weights"])
    state.optimizer.load_state_dict(content["optimizer"])
    carried = {name: place(value, state.device) for name, value in content["carried"].items()}
    state.carried = replace(state.carried, **carried)
    streams.sampling.bit_generator.state = json.loads(content["sampling"])
    streams.dropout.set_state(content["dropout"])
    course.curves.names = content["curves"]["names"]
    course.curves.rows = list(content["curves"]["rows"].to(state.device))
    evaluated = json.loads(content["evaluations"])
    for key in job.watched:
        course.evaluations[key] = Evaluations(**evaluated[key])
    course.done = content["done"]
    course.began -= content["seconds"]["total"]
    course.testing = content["seconds"]["evaluation"]
    course.resumed = [*content["resumed"], course.done]


def place(value: Any, device: torch.device) -> Any:
    """The same tensors on a device."""
    if isinstance(value, Mapping):
        return {name: place(inner, device) for name, inner in value.items()}
    return value.to(device) if isinstance(value, torch.Tensor) else value
