"""Plain references: what the released code computes, as one would write it first.

Convolutions of the whole grid, losses stream by stream, one prediction after another in the matching. They must give
the losses and the mAP of the product.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.compute.localize import Detections
from harness.compute.train import State
from harness.data import Split
from harness.data.sampling import uniform


def compute_loss(state: State, x: Tensor, labels: Tensor) -> Tensor:
    """Eq. 16 of the released preset, before the first step: x (M, B, T, D), every stream on the whole grid."""
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
        Q_C = label_in_rounds(
            s.epsilon * torch.stack(logits).mean(0) + prior, torch.full((s.clusters,), len(a) / s.clusters)
        )
    R_logits = []
    for Z in embedding:
        centres = F.normalize(Q_C.T @ Z, dim=-1)
        sides = F.normalize(torch.stack([q, 1 - q]) @ Z, dim=-1)
        R_logits.append(s.rho * centres @ sides.T)
    with torch.no_grad():
        beta = s.clusters * torch.stack([q.mean(), 1 - q.mean()])
        Q_R = label_in_rounds(s.epsilon * torch.stack(R_logits).mean(0), beta)
    for weight, Q, scores in ((s.lambda_c, Q_C, logits), (s.lambda_r, Q_R, R_logits)):
        loss = loss - weight * sum((Q * each.log_softmax(-1)).sum(-1).mean() for each in scores) / 2
    return loss


def label_in_rounds(log_S: Tensor, beta: Tensor) -> Tensor:
    """Three rounds of Sinkhorn-Knopp in the log domain, as released."""
    for _ in range(3):
        log_S = log_S + beta.log() - log_S.logsumexp(0)
        log_S = log_S - log_S.logsumexp(1, keepdim=True)
    return log_S.exp()


def gather_grid(split: Split, videos: np.ndarray, indices: np.ndarray) -> Tensor:
    """Features at every position: (M, B, T, D)."""
    rows = split.offsets[videos][:, None] + indices
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(split.features)[rows], 2, 0)))


def evaluate_network(state: State, split: Split, T: int) -> None:
    """The released network on the whole grid, video by video."""
    baseline, head = state.case.baseline, state.case.head
    assert head is not None
    with torch.no_grad():
        for video in range(len(split.ids)):
            videos = np.array([video])
            x = gather_grid(split, videos, uniform(split.lengths[videos], T))
            for m, x_m in enumerate(x):
                hidden = baseline.video_encoder.copies[m](x_m.mT).relu()
                baseline.action_classifier.copies[m](hidden).softmax(1)
                Z = baseline.attention_encoder.copies[m](x_m.mT).relu()
                baseline.attention_layer.copies[m](Z).sigmoid()
                (10 * F.normalize(Z.mT, dim=-1) @ head.weight[m].T).softmax(-1)


def list_instances(video: np.ndarray, label: float) -> list[tuple[float, float]]:
    """(start, end) of the instances of a class among segments (n, 3)."""
    return [(start, end) for start, end, own in video.tolist() if own == label]


def compute_map(segments: tuple[np.ndarray, ...], found: Detections, thresholds: tuple[float, ...]) -> float:
    """mAP (fraction) as a loop over predictions, one threshold and class after the other."""
    values = []
    for limit in thresholds:
        for c in np.unique(np.concatenate(segments)[:, 2]):
            truth = [list_instances(video, c) for video in segments]
            free, hits = [[True] * len(own) for own in truth], []
            ranked = [i for i in np.argsort(found.score, kind="stable")[::-1] if found.label[i] == c]
            for i in ranked:
                own, video = truth[found.video[i]], found.video[i]
                overlaps = [(compute_tiou(found.start[i], found.end[i], *s), g) for g, s in enumerate(own)]
                best = next((g for v, g in sorted(overlaps)[::-1] if v >= limit and free[video][g]), None)
                hits.append(best is not None)
                if best is not None:
                    free[video][best] = False
            values.append(compute_area(hits, sum(map(len, truth))))
    return float(np.mean(values))


def compute_tiou(start: float, end: float, low: float, high: float) -> float:
    inside = max(0.0, min(end, high) - max(start, low))
    return inside / ((end - start) + (high - low) - inside)


def compute_area(hits: list[bool], positives: int) -> float:
    """Area under the monotone precision."""
    precision = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    return sum(max(precision[n:]) for n, hit in enumerate(hits) if hit) / positives
