"""From snippet scores to metrics and detections; scoring again gives the same digits, because it is the same path.

Stored scores are read by the baseline's own inference rule (``model/baselines``), everything after is numpy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from harness import data
from harness.compute import metrics
from harness.compute.clocks import even_out
from harness.compute.grids import split_lengths
from harness.compute.localize import Detections, detect
from harness.data.sampling import uniform
from harness.settings import Settings
from harness.store import results
from harness.store.jobs import Job
from model.baselines import load

LAST_SHARE = 0.1  # label entropies are averaged over this last share of the training steps


@dataclass(frozen=True)
class Truth:
    """What the test split says: snippet labels on the sampled grid (V, T), seconds (V,), video labels and segments."""

    foreground: np.ndarray
    seconds: np.ndarray
    labels: np.ndarray
    segments: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, split: data.Split, T: int) -> "Truth":
        """Each sampled snippet counts once, with the label of the snippet it shows (inclusive rounding)."""
        indices = uniform(split.lengths, T)
        rows = [
            metrics.snippet_labels(segments, int(length), float(snippet))[index]
            for segments, length, snippet, index in zip(split.segments, split.lengths, split.snippet_seconds, indices)
        ]
        return cls(np.stack(rows), split.lengths * split.snippet_seconds, split.labels, split.segments)


@dataclass
class Evaluations:
    """Metrics at each evaluation of a training, and the last detections."""

    steps: list[int] = field(default_factory=list)
    metrics: list[dict[str, float]] = field(default_factory=list)
    detections: Detections | None = None

    def add(self, step: int, evaluation: tuple[dict[str, float], Detections]) -> None:
        self.steps.append(step)
        self.metrics.append(evaluation[0])
        self.detections = evaluation[1]

    def latest(self, name: str) -> float | None:
        return self.metrics[-1].get(name) if self.metrics else None

    def best(self) -> dict[str, Any]:
        """The evaluation with the highest map/avg: selected on the split it is reported on, and labelled so."""
        index = int(np.argmax([m["map/avg"] for m in self.metrics]))
        return {"step": self.steps[index], "metrics": self.metrics[index]}

    def curve(self) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {"step": list(self.steps)}
        for name in self.metrics[-1]:
            out[name] = [metrics[name] for metrics in self.metrics]
        return out


def refined(scores: Mapping[str, np.ndarray], cat: float) -> np.ndarray:
    r"""Section 3.3: (1 - cat) P^A + cat \hat P^A, both averaged over streams; (V, M, T) -> (V, T) float64."""
    P_A = scores["attention"].mean(1, dtype=np.float64)
    return P_A if cat == 0 else (1 - cat) * P_A + cat * scores["clusters"].mean(1, dtype=np.float64)


def oracle(scores: Mapping[str, np.ndarray], foreground: np.ndarray) -> np.ndarray:
    r"""\hat P^A (V, M, T) with Q^R replaced by each cluster's true foreground rate: an upper bound, not a method."""
    P_C = even_out(scores, foreground.shape[1])["P_C"].astype(np.float64)  # (V, M, T, K)
    rate = np.einsum("vmtk,vt->mk", P_C, foreground) / P_C.sum((0, 2)).clip(np.finfo(np.float64).tiny)
    return np.einsum("vmtk,mk->vmt", scores["P_C"].astype(np.float64), rate)


def reduced(scores: Mapping[str, np.ndarray], truth: Truth) -> dict[str, np.ndarray]:
    r"""Scores without P^C (V, M, T, K), which is half of all bytes, but with what scoring and figures read of it.

    ``oracle`` (V, M, T); ``mean_P_C`` (M, K) over snippets; ``entropy`` (), the mean H(P^C) in nats; ``owner`` (V, T),
    the cluster of the highest P^C, streams averaged, and ``owner_P_C`` (V, T). Where embeddings are kept, P^C is, too.
    """
    if "P_C" not in scores:
        return dict(scores)
    P_C = even_out(scores, truth.foreground.shape[1])["P_C"].astype(np.float64)
    joint = P_C.mean(1)  # (V, T, K)
    kept = {name: values for name, values in scores.items() if name != "P_C" or "embedding" in scores}
    return kept | {
        "oracle": oracle(scores, truth.foreground).astype(np.float32),
        "mean_P_C": P_C.mean((0, 2)),
        "entropy": np.array(metrics.entropy(P_C)),
        "owner": joint.argmax(-1).astype(np.min_scalar_type(joint.shape[-1])),
        "owner_P_C": joint.max(-1).astype(np.float32),
    }


def quantile_matched(values: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``values`` with the distribution of ``target`` (one shape): the n-th smallest becomes the n-th smallest there."""
    out = np.empty(values.size)
    out[np.argsort(values, axis=None, kind="stable")] = np.sort(target, axis=None)
    return out.reshape(values.shape)


def adapted(scores: Mapping[str, np.ndarray], settings: Settings) -> Mapping[str, np.ndarray]:
    r"""Scores with \hat P^A as ``localization.q_r`` and ``localization.match`` ask; untouched by default."""
    if "clusters" not in scores:
        return scores
    clusters = scores["clusters"]
    if settings.localization.q_r == "oracle":
        clusters = scores["oracle"]
    if settings.localization.match == "quantile":
        clusters = quantile_matched(clusters, scores["attention"])
    return {**scores, "clusters": clusters}


def evaluate(
    scores: Mapping[str, np.ndarray], settings: Settings, truth: Truth, classes: tuple[str, ...]
) -> tuple[dict[str, float], Detections]:
    """Metrics (mAP, ACC, AUC in percent, entropies in nats) and detections of ``reduced`` scores under ``settings``."""
    scores = adapted(scores, settings)
    video, detections = infer(scores, settings, truth.seconds)
    ap = metrics.average_precision(truth.segments, detections, settings.metrics.tiou, len(classes))  # (tiou, C)
    out = {f"map/{name}": 100 * value for name, value in metrics.averages(ap, settings.metrics.tiou).items()}
    out |= {"video_map": 100 * metrics.video_map(truth.labels, video)}
    even = even_out(scores, truth.foreground.shape[1])
    measured = refined(even, settings.case.cat)
    out |= separation(even, measured, truth.foreground, settings.metrics.acc_threshold)
    for number, mean in enumerate(even["attention"].mean((0, 2), dtype=np.float64), start=1):
        out[f"mean/stream/{number}"] = float(mean)
    if "mean_P_C" in scores:
        out |= {"entropy/P_C": float(scores["entropy"]), "entropy/mean_P_C": metrics.entropy(scores["mean_P_C"])}
    return out, detections


def infer(scores: Mapping[str, np.ndarray], settings: Settings, seconds: np.ndarray) -> tuple[np.ndarray, Detections]:
    """Video scores (V, C) and detections by the baseline's own rule; videos with equally many positions together."""
    rule, found, videos = load(settings.case.baseline).inference, [], []
    for own, part in split_lengths(scores):
        inference = rule(part, refined(part, settings.case.cat), settings.case.options)
        d = detect(inference, settings.localization, seconds[own])
        found.append(replace(d, video=own[d.video]))
        videos.append((own, inference.video))
    numbers, values = (np.concatenate(column) for column in zip(*videos))
    by_video = np.argsort(np.concatenate([d.video for d in found]), kind="stable")
    columns = []
    for column in fields(Detections):
        every = np.concatenate([getattr(d, column.name) for d in found])
        columns.append(every[by_video])
    return values[np.argsort(numbers)], Detections(*columns)


def separation(
    scores: Mapping[str, np.ndarray], attention: np.ndarray, foreground: np.ndarray, threshold: float
) -> dict[str, float]:
    r"""Foreground/background ACC and AUC (percent) of P^A, \hat P^A, their mean, and the attention used in testing.

    ``auc/stream/n`` is that of the n-th stream's own P^A.
    """
    kinds = {"attention": refined(scores, 0)}
    if "clusters" in scores:
        kinds |= {"clusters": refined(scores, 1), "fused": refined(scores, 0.5)}
    out = {"acc": metrics.accuracy(attention, foreground, threshold), "acc/majority": metrics.majority(foreground)}
    out["auc"] = metrics.auc(attention, foreground)
    for name, values in kinds.items():
        out[f"acc/{name}"] = metrics.accuracy(values, foreground, threshold)
        out[f"auc/{name}"] = metrics.auc(values, foreground)
    for number, values in enumerate(scores["attention"].swapaxes(0, 1), start=1):
        out[f"auc/stream/{number}"] = metrics.auc(values, foreground)
    return {name: 100 * value for name, value in out.items()}


def final(evaluations: Evaluations, curves: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """result.json's numbers: the last evaluation, the curve, the best on test, and the labels' last entropies."""
    return {
        "metrics": evaluations.metrics[-1] | label_entropies(curves),
        "curve": evaluations.curve(),
        "best": evaluations.best() if len(evaluations.steps) > 1 else None,
    }


def label_entropies(curves: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Mean H(Q^C) and H(Q^R) over the last tenth of the training steps, in nats."""
    names = [name for name in ("entropy/Q_C", "entropy/Q_R") if name in curves]
    since = curves["step"] > (1 - LAST_SHARE) * curves["step"][-1]
    return {name: float(curves[name][since].mean()) for name in names}


def store(job: Job, key: str, scoring: Settings, evaluations: Evaluations, dataset: data.Dataset) -> None:
    """Write result.json and the predictions of one scoring of a training."""
    assert evaluations.detections is not None
    predictions = evaluations.detections.predictions(dataset.test.ids, dataset.classes)
    curves = results.read_curves(job.root, job.training_key)
    results.write_result(job.root, job.training_key, key, final(evaluations, curves), predictions, scoring)


def rescore(job: Job) -> None:
    """Score a finished training under further scorings, from its stored scores: no training, no network pass."""
    dataset = data.load(job.settings.source, job.root)
    truth = Truth.of(dataset.test, job.settings.training.snippets)
    scores = reduced(results.read_scores(job.root, job.training_key), truth)  # files of an earlier form hold P^C
    for key, scoring in job.scorings.items():
        evaluations = Evaluations()
        evaluations.add(job.settings.training.steps, evaluate(scores, scoring, truth, dataset.classes))
        store(job, key, scoring, evaluations, dataset)
