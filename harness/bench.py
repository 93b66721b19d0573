"""``python -m harness.bench``: a step and an evaluation, part by part and beside a plain reference of each.

The references compute what the released code computes, as one would write it first: convolutions of the whole grid,
losses stream by stream, one prediction after another in the matching. Both are timed in turn in one process and must
agree. Machines are noisy: compare ratios of one call, not seconds of two. ``--json`` prints ratios (reference / ours),
differences (relative for the loss) and the share of this machine's measured product rate that the step reaches.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from harness.compute.localize import Detections
    from harness.compute.train import State
    from harness.data import Split
    from harness.settings import Settings

SCALES = ("tiny", "default", "paper")
SQUARE = 2048  # side of the matrices whose product gives the machine's rate


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(prog="python -m harness.bench", description=__doc__)
    out.add_argument("--scale", choices=SCALES, default="default", help="scale of the embedded data set")
    out.add_argument("--steps", type=int, default=10, help="optimiser steps timed of each kind")
    out.add_argument("--threads", type=int, default=1, help="torch threads")
    out.add_argument("--json", action="store_true", help="print JSON instead of a table")
    out.add_argument("--output", type=Path, default=Path("mlruns"), help="folder of the data cache")
    return out


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and what it gave."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def time_in_turn(kinds: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each kind of work, one after the other in each round; a first round is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, work in kinds.items():
            took, _ = clock(work)
            seconds[name] += [took] if number else []
    return seconds


# The plain reference


def plain_loss(state: "State", x: "Tensor", labels: "Tensor") -> "Tensor":
    """Eq. 16 of the released preset, before the first step: x (M, B, T, D), every stream on the whole grid."""
    import torch
    from torch.nn import functional as F

    case, s = state.case, state.case.settings
    baseline, o = case.baseline, s.options
    head: Any = case.head
    cas, attention, embedding = [], [], []
    for m, x_m in enumerate(x):
        hidden = baseline.video_encoder.copies[m](x_m.mT).relu()
        cas.append(baseline.action_classifier.copies[m](hidden).mT)  # (B, T, C)
        Z = baseline.attention_encoder.copies[m](x_m.mT).relu()
        attention.append(baseline.attention_layer.copies[m](Z)[:, 0].sigmoid())  # (B, T)
        embedding.append(Z.mT.flatten(0, 1))  # (N, H)
    with torch.no_grad():
        calibrated = sum(o.omega * c.softmax(-1) + (1 - o.omega) * a[..., None] for c, a in zip(cas, attention)) / 2
        selected = calibrated.topk(max(1, x.shape[2] // o.topk), 1).indices
        Q_A = (torch.zeros_like(calibrated).scatter_(1, selected, 1.0) * labels[:, None]).amax(-1)  # (B, T)
    Y = labels / labels.sum(-1, keepdim=True).clamp_min(1) + o.label_floor
    loss = torch.zeros(())
    for c, a in zip(cas, attention):
        loss = loss - (Y * c.gather(1, selected).mean(1).log_softmax(-1)).sum(-1).mean() / 2
        for P, Q in ((a, Q_A), (1 - a, 1 - Q_A)):
            each = (Q * (1 - (P + o.guard) ** o.gamma) / o.gamma).sum(-1) / (Q.sum(-1) + o.guard)
            loss = loss + o.lambda_a * each.mean() / 2
    q = Q_A.flatten()
    logits = [s.head_temperature * F.normalize(Z, dim=-1) @ w.T for Z, w in zip(embedding, head.weight)]
    with torch.no_grad():
        a = torch.stack(attention).mean(0).flatten()
        rank = 1 - ((-a).argsort() + 1) / len(a)
        prior = -((rank[:, None] - state.carried.Q_R.mean(0)[:, 0]) ** 2) / (2 * s.sigma**2)
        Q_C = plain_labels(
            s.epsilon * torch.stack(logits).mean(0) + prior, torch.full((s.clusters,), len(a) / s.clusters)
        )
    R_logits = []
    for Z in embedding:
        centres = F.normalize(Q_C.T @ Z, dim=-1)
        sides = F.normalize(torch.stack([q, 1 - q]) @ Z, dim=-1)
        R_logits.append(s.rho * centres @ sides.T)
    with torch.no_grad():
        beta = s.clusters * torch.stack([q.mean(), 1 - q.mean()])
        Q_R = plain_labels(s.epsilon * torch.stack(R_logits).mean(0), beta)
    for weight, Q, scores in ((s.lambda_c, Q_C, logits), (s.lambda_r, Q_R, R_logits)):
        loss = loss - weight * sum((Q * each.log_softmax(-1)).sum(-1).mean() for each in scores) / 2
    return loss


def plain_labels(log_S: "Tensor", beta: "Tensor") -> "Tensor":
    """Three rounds of Sinkhorn-Knopp in the log domain, as released."""
    for _ in range(3):
        log_S = log_S + beta.log() - log_S.logsumexp(0)
        log_S = log_S - log_S.logsumexp(1, keepdim=True)
    return log_S.exp()


def plain_average_precision(
    segments: tuple[np.ndarray, ...], found: "Detections", thresholds: tuple[float, ...]
) -> float:
    """mAP (fraction) as a loop over predictions, one threshold and class after the other."""
    values = []
    for limit in thresholds:
        for c in np.unique(np.concatenate(segments)[:, 2]):
            truth = [[tuple(s[:2]) for s in video if s[2] == c] for video in segments]
            free, hits = [[True] * len(own) for own in truth], []
            ranked = [i for i in np.argsort(found.score, kind="stable")[::-1] if found.label[i] == c]
            for i in ranked:
                own, video = truth[found.video[i]], found.video[i]
                overlaps = [(plain_tiou(found.start[i], found.end[i], *s), g) for g, s in enumerate(own)]
                best = next((g for v, g in sorted(overlaps)[::-1] if v >= limit and free[video][g]), None)
                hits.append(best is not None)
                if best is not None:
                    free[video][best] = False
            values.append(plain_area(hits, sum(map(len, truth))))
    return float(np.mean(values))


def plain_tiou(start: float, end: float, low: float, high: float) -> float:
    inside = max(0.0, min(end, high) - max(start, low))
    return inside / ((end - start) + (high - low) - inside)


def plain_area(hits: list[bool], positives: int) -> float:
    """Area under the monotone precision."""
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    return sum(max(precision[n:]) for n, hit in enumerate(hits) if hit) / positives


# What is measured


class Bench:
    """One training of the released preset, as we compute it and as the reference does."""

    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        from harness import data
        from harness.compute import score, train
        from harness.data.sampling import stratified
        from harness.study.presets import load_preset

        torch.set_num_threads(options.threads)
        self.settings: Settings = load_preset("released", scale=options.scale)
        self.dataset = data.load(self.settings.source, options.output)
        self.device, self.rounds = torch.device("cpu"), options.steps
        self.state = train.start(self.settings, self.dataset, train.Streams.of(0, self.device), self.device)
        self.state.case.project_()
        self.features = train.on_device(self.dataset.train, self.device)
        training, split = self.settings.training, self.dataset.train
        rng = np.random.default_rng(0)
        self.videos = np.arange(min(training.batch, len(split.ids)))
        self.indices = stratified(split.lengths[self.videos], training.snippets, rng)
        self.truth = score.Truth.of(self.dataset.test, training.snippets)

    def our_loss(self, precision: str) -> "Tensor":
        from harness.compute import train

        batch = train.make_batch(self.features, self.dataset.train, self.videos, self.indices, precision)
        return self.state.case.step(self.state.carried, batch).loss

    def reference_loss(self) -> "Tensor":
        import torch

        x = gather_grid(self.dataset.train, self.videos, self.indices)
        return plain_loss(self.state, x, torch.from_numpy(self.dataset.train.labels[self.videos]))

    def step(self, loss: Callable[[], "Tensor"]) -> None:
        """Forward and backward pass; the optimiser's step is the same for both and left out."""
        self.state.optimizer.zero_grad(set_to_none=True)
        loss().backward()  # type: ignore[no-untyped-call]

    def reference_evaluation(self) -> None:
        """The released network on the whole grid, video by video."""
        import torch

        from harness.data.sampling import uniform

        split, T, baseline = self.dataset.test, self.settings.training.snippets, self.state.case.baseline
        head: Any = self.state.case.head
        with torch.no_grad():
            for video in range(len(split.ids)):
                videos = np.array([video])
                x = gather_grid(split, videos, uniform(split.lengths[videos], T))
                for m, x_m in enumerate(x):
                    hidden = baseline.video_encoder.copies[m](x_m.mT).relu()
                    baseline.action_classifier.copies[m](hidden).softmax(1)
                    Z = baseline.attention_encoder.copies[m](x_m.mT).relu()
                    baseline.attention_layer.copies[m](Z).sigmoid()
                    (10 * torch.nn.functional.normalize(Z.mT, dim=-1) @ head.weight[m].T).softmax(-1)

    def measure(self) -> dict[str, Any]:
        """Ratios (reference / ours), differences and roof."""
        from harness.compute import metrics, score, train

        kinds: dict[str, Callable[[], Any]] = {
            "reference": lambda: self.step(self.reference_loss),
            "fp32": lambda: self.step(lambda: self.our_loss("fp32")),
            "bf16": lambda: self.step(lambda: self.our_loss("bf16")),
        }
        seconds = {name: median(values) for name, values in time_in_turn(kinds, self.rounds).items()}
        losses = [float(loss.detach()) for loss in (self.reference_loss(), self.our_loss("fp32"))]
        test = self.dataset.test

        def scoring() -> dict[str, np.ndarray]:
            return train.test_scores(self.state, test, self.settings.training)

        networks = time_in_turn({"reference": self.reference_evaluation, "ours": scoring}, 1)
        tiou, classes = self.settings.metrics.tiou, len(self.dataset.classes)
        _, found = score.evaluate(scoring(), self.settings, self.truth, self.dataset.classes)
        slow, plain = clock(lambda: plain_average_precision(test.segments, found, tiou))
        fast, ap = clock(lambda: metrics.average_precision(test.segments, found, tiou, classes))
        rates = {name: machine_rate(name) for name in ("fp32", "bf16")}
        ratios = {f"step_{name}": seconds["reference"] / seconds[name] for name in rates}
        ratios |= {"evaluation": median(networks["reference"]) / median(networks["ours"]), "map": slow / fast}
        differences = {"loss": abs(losses[1] / losses[0] - 1), "map": abs(float(np.nanmean(ap)) - plain)}
        roof = {name: self.products() / seconds[name] / rate for name, rate in rates.items()}
        return {"ratios": ratios, "differences": differences, "roof": roof, "seconds": seconds}

    def products(self) -> float:
        """Operations of the encoders' products in a step on unique snippets, forward and backward (weights only)."""
        rows = sum(len(np.unique(row)) for row in self.indices)
        width = self.settings.case.width
        return 2 * 2 * 2 * rows * width * sum(stream.shape[1] for stream in self.features)


def gather_grid(split: "Split", videos: np.ndarray, indices: np.ndarray) -> "Tensor":
    """Features at every position: (M, B, T, D)."""
    import torch

    rows = split.offsets[videos][:, None] + indices
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(split.features)[rows], 2, 0)))


def machine_rate(precision: str) -> float:
    """Operations a second of a large matrix product on this machine, now."""
    import torch

    from harness.compute.train import PRECISIONS

    a: torch.Tensor = torch.randn(SQUARE, SQUARE).to(PRECISIONS[precision])
    seconds = time_in_turn({"product": lambda: a @ a}, 5)["product"]
    return 2 * SQUARE**3 / median(seconds)


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    found = Bench(options).measure()
    if options.json:
        print(json.dumps(found, indent=1))
        return 0
    print(f"{options.scale} scale, preset released, {options.threads} thread(s); reference / ours:")
    for part, values in found.items():
        for name, value in values.items():
            print(f"{part:12}{name:12}{value:14.6g}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
