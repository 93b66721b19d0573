"""A step and an evaluation, part by part and beside the plain reference of each."""

import time
from collections.abc import Callable
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.bench import reference
from harness.bench.subject import Subject
from harness.bench.timing import Seconds, Work, divide, summarise, summarise_all, time_call, time_in_turn
from harness.compute import batches, metrics, score
from harness.compute.localize import detect
from harness.data.sampling import stratified
from model.baselines import load

PRECISIONS = ("fp32", "bf16")
SIDES = (256, 512, 1024, 2048)  # of the matrices whose product gives the machine's rate
ENOUGH = 0.5  # seconds for five products, after which no larger ones are tried
STEP_PARTS = (
    "sampling",
    "baseline",
    "baseline losses",
    "cluster head",
    "labels and their losses",
    "backward",
    "optimiser",
)


def compare(subject: Subject, rounds: int, evaluations: int) -> dict[str, Any]:
    """Ratios (reference / ours, medians over rounds), how they spread, differences, and shares of the product rate."""
    seconds = time_in_turn(list_steps(subject), rounds)
    networks = {"evaluation_reference": subject.compute_reference_scores, "evaluation": subject.compute_scores}
    seconds |= time_in_turn(networks, evaluations)
    matched, difference = compare_map(subject, rounds)
    seconds |= matched
    ratios = {f"step_{name}": divide(seconds["step_reference"], seconds[f"step_{name}"]) for name in PRECISIONS}
    ratios["evaluation"] = divide(seconds["evaluation_reference"], seconds["evaluation"])
    ratios["map"] = divide(matched["map_reference"] * rounds, matched["map"])
    spreads = summarise_all(ratios)
    medians = {name: spread["median"] for name, spread in spreads.items()}
    ranges = {name: [spread["min"], spread["max"]] for name, spread in spreads.items()}
    return {
        "ratios": medians,
        "spread": ranges,
        "differences": {"loss": compare_losses(subject), "map": difference},
        **reach_roof(subject, seconds),
        "seconds": summarise_all(seconds),
    }


def list_steps(subject: Subject) -> dict[str, Work]:
    """A step of the reference, and ours in each precision."""
    losses: dict[str, Callable[[], Tensor]] = {"reference": subject.compute_reference_loss}
    losses |= {name: partial(subject.compute_loss, name) for name in PRECISIONS}
    return {f"step_{name}": partial(subject.step, loss) for name, loss in losses.items()}


def compare_losses(subject: Subject) -> float:
    """How far our loss is from the reference's, as a share of it."""
    own, expected = subject.compute_loss("fp32"), subject.compute_reference_loss()
    return abs(float(own.detach()) / float(expected.detach()) - 1)


def compare_map(subject: Subject, rounds: int) -> tuple[Seconds, float]:
    """Seconds of matching and averaging, the reference's once, and how far the two mAP (fractions) are apart."""
    segments, tiou, classes = subject.dataset.test.segments, subject.settings.metrics.tiou, subject.dataset.classes
    _, found = score.evaluate(subject.compute_scores(), subject.settings, subject.truth, classes)
    slow, expected = time_call(lambda: reference.compute_map(segments, found, tiou))
    own: dict[str, Work] = {"map": lambda: metrics.average_precision(segments, found, tiou, len(classes))}
    difference = abs(float(np.nanmean(own["map"]())) - expected)
    return time_in_turn(own, rounds) | {"map_reference": [slow]}, difference


def reach_roof(subject: Subject, seconds: Seconds) -> dict[str, dict[str, float]]:
    """This machine's product rate now, and the share of it that the encoders' products alone would need of the time."""
    rates = {name: measure_rate(name) for name in PRECISIONS}
    took = {name: summarise(values)["median"] for name, values in seconds.items()}
    roof = {name: subject.count_step_products() / took[f"step_{name}"] / rate for name, rate in rates.items()}
    roof["evaluation"] = subject.count_test_products() / took["evaluation"] / rates["fp32"]
    return {"roof": roof, "gflops": {name: rate / 1e9 for name, rate in rates.items()}}


def measure_rate(precision: str) -> float:
    """Operations a second of a large matrix product on this machine, now.

    Of the largest that is tried: a processor without instructions for bfloat16 takes minutes for one of SIDES[-1].
    """
    for side in SIDES:
        a = torch.randn(side, side).to(batches.PRECISIONS[precision])
        seconds = time_in_turn({"product": partial(torch.matmul, a, a)}, 5)["product"]
        if sum(seconds) > ENOUGH:
            break
    return 2 * side**3 / summarise(seconds)["median"]


def time_step_parts(subject: Subject, rounds: int) -> Seconds:
    """Seconds of the parts of optimiser steps, stamped where the step enters and leaves its modules; fp32."""
    case, stamps, table = subject.state.case, list[float](), list[np.ndarray]()
    assert case.head is not None
    rng = np.random.default_rng(0)
    lengths, T = subject.dataset.train.lengths[subject.videos], subject.settings.training.snippets

    def stamp(*_: Any) -> None:
        stamps.append(time.perf_counter())

    hooks = [part.register_forward_pre_hook(stamp) for part in (case.baseline, case.head)]
    hooks += [part.register_forward_hook(stamp) for part in (case.baseline, case.head)]
    for _ in range(rounds + 1):
        case.project_()
        stamps.clear()
        stamp()
        subject.indices = stratified(lengths, T, rng)
        loss = subject.compute_loss("fp32")
        stamp()
        subject.state.optimizer.clear_gradients()
        torch.autograd.backward(loss)
        stamp()
        subject.state.optimizer.step()
        stamp()
        table.append(np.diff(stamps))
    for hook in hooks:
        hook.remove()
    return {name: values.tolist() for name, values in zip(STEP_PARTS, np.stack(table[1:]).T)}


def time_evaluation_parts(subject: Subject, rounds: int) -> Seconds:
    """Seconds of the parts of an evaluation; "scoring" is all that follows the network."""
    settings, truth, classes = subject.settings, subject.truth, subject.dataset.classes
    rule = load(settings.case.baseline).inference
    scores = subject.compute_scores()
    attention = score.refined(scores, settings.case.cat)
    inference = rule(scores, attention, settings.case.options)
    found = detect(inference, settings.localization, truth.seconds)
    threshold = settings.metrics.acc_threshold
    kinds: dict[str, Work] = {
        "network": subject.compute_scores,
        "scoring": lambda: score.evaluate(scores, settings, truth, classes),
        "inference rule": lambda: rule(scores, attention, settings.case.options),
        "localization": lambda: detect(inference, settings.localization, truth.seconds),
        "mAP": lambda: metrics.average_precision(truth.segments, found, settings.metrics.tiou, len(classes)),
        "ACC and AUC": lambda: score.separation(scores, attention, truth.foreground, threshold),
    }
    return time_in_turn(kinds, rounds)


def describe_data(subject: Subject) -> dict[str, Any]:
    """Sizes that the times belong to; ``features_mb`` lies in a memory map, or in memory where generated."""
    splits = {"train": subject.dataset.train, "test": subject.dataset.test}
    snippets = [float(split.lengths.mean()) for split in splits.values()]
    videos = {name: len(split.ids) for name, split in splits.items()}
    return {
        "name": subject.dataset.name,
        "videos": videos,
        "snippets": fmean(snippets),
        "T": subject.settings.training.snippets,
        "B": len(subject.videos),
        "D": subject.features[0].shape[1],
        "width": subject.settings.case.width,
        "classes": len(subject.dataset.classes),
        "clusters": subject.settings.case.clusters,
        "features_mb": sum(split.features.nbytes for split in splits.values()) / 2**20,
    }
