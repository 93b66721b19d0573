"""What a baseline makes of whole videos: before some training steps, and of each test video (``model/baselines``).

A baseline whose memory holds "clock" (V, n + 1) is given features between snippets, where its clock samples them
(``model.segments``).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from harness import data
from harness.compute.batches import EVALUATION_VIDEOS, make_batch, make_blended, send
from harness.compute.clocks import ended
from harness.compute.localize import detect
from harness.data.sampling import count_positions, draw_snippets, list_snippets, stratified, uniform
from harness.settings import Localization, Training
from model import baselines
from model.case import Case
from model.segments import Found, sampled
from model.streams import Batch, Carried

Features = tuple[Tensor, ...]


def draw_batch(
    features: Features,
    train: data.Split,
    videos: np.ndarray,
    training: Training,
    clocks: Tensor | None,
    rng: np.random.Generator | None,
) -> Batch:
    """Snippets of training videos as they are sampled, by chance or (``rng`` None) not, by their ``clocks`` if any."""
    if clocks is not None:
        lines = read_lines(clocks)
        counts, T = np.array([len(line) for line in lines]), training.snippets
        indices = uniform(counts, T) if rng is None else stratified(counts, T, rng)
        return blend(features, train, videos, lines, indices, training)
    lengths = train.lengths[videos]
    indices = list_snippets(lengths, training) if rng is None else draw_snippets(lengths, training, rng)
    return make_batch(features, train, videos, indices, training.precision)


def read_lines(clocks: Tensor) -> list[np.ndarray]:
    """Where on each video's time line the snippets lie that its clock samples."""
    return [sampled(ended(clock)) for clock in clocks.cpu().numpy()]


def blend(
    features: Features,
    split: data.Split,
    videos: np.ndarray,
    lines: list[np.ndarray],
    indices: np.ndarray,
    training: Training,
) -> Batch:
    """Of the places on each video's line those with these indices (B, T)."""
    places = np.stack([line[index] for line, index in zip(lines, indices)])
    return make_blended(features, split, videos, places, training.precision)


def read_clocks(carried: Carried, videos: np.ndarray) -> Tensor | None:
    """The clocks of these training videos, (B, n + 1), NaN beyond each one's end; None: there are none."""
    clocks = carried.memory.get("clock")
    return None if clocks is None else clocks[send(videos, clocks.device)]


def refresh(case: Case, carried: Carried, features: Features, train: data.Split, training: Training) -> Carried:
    """The baseline is given all training videos, evenly sampled, without dropout, and its present weights."""

    def batches() -> Iterator[Batch]:
        for first in range(0, len(train.ids), EVALUATION_VIDEOS):
            videos = np.arange(first, min(first + EVALUATION_VIDEOS, len(train.ids)))
            batch = draw_batch(features, train, videos, training, read_clocks(carried, videos), None)
            yield replace(batch, memory=carried.memory)

    case.eval()
    with torch.no_grad():
        memory = case.baseline.refresh(batches(), lambda batch: find_segments(case, carried, train, batch))
    case.train()
    return replace(carried, memory=memory)


@torch.no_grad()
def prepare_test(
    case: Case, carried: Carried, features: Features, split: data.Split, videos: np.ndarray, training: Training
) -> tuple[Batch, Carried]:
    """Test videos with equally many positions, evenly spaced, and what is carried: with what is made of them."""
    T = int(count_positions(split.lengths[videos], training)[0])
    batch = make_batch(features, split, videos, uniform(split.lengths[videos], T), training.precision)
    if not hasattr(case.baseline, "prepare"):
        return batch, carried
    given = replace(batch, memory=carried.memory)
    memory = dict(case.baseline.prepare(given, lambda batch: find_segments(case, carried, split, batch)))
    if "clock" in memory:
        lines = read_lines(memory["clock"])
        counts = np.array([len(line) for line in lines])
        batch = blend(features, split, videos, lines, uniform(counts, T), training)
        longest = int(split.lengths.max()) + 1
        memory["clock"] = F.pad(memory["clock"], (0, longest - memory["clock"].shape[1]), value=torch.nan)
    places = torch.arange(len(videos), device=batch.rows.device)  # of these videos in what was made
    return replace(batch, videos=places), replace(carried, memory=memory)


def find_segments(case: Case, carried: Carried, split: data.Split, batch: Batch) -> list[Found]:
    """What the baseline detects in each video of a batch of ``split``, by its own attention and its rule ``PSEUDO``."""
    assert batch.videos is not None
    s, videos = case.settings, batch.videos.cpu().numpy()
    module = baselines.load(s.baseline)
    found = case.scores(batch, replace(carried, memory=batch.memory), embedding=False)
    scores = {name: value.cpu().numpy() for name, value in found.items()}
    inference = module.inference(scores, scores["attention"].mean(1, dtype=np.float64), s.options)
    snippet = split.snippet_seconds[videos]
    d = detect(inference, Localization(**module.PSEUDO), split.lengths[videos] * snippet)
    own = [np.flatnonzero(d.video == video) for video in range(len(videos))]
    every = Found(d.label, d.score, d.start / snippet[d.video], d.end / snippet[d.video])
    return [every.at(chosen) for chosen in own]
