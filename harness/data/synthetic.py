"""The embedded data set: generated two-stream features. numpy only, the same bits for the same seed.

One SeedSequence(seed) spawns (world, train, test). Each video has a child of its own, so that video i does not depend
on how many videos there are; its time line has a child of its own too, and does not depend on the features' dimension.
"""

import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.data import timeline
from harness.data.cache import PendingDataset
from harness.data.check import check_streams
from harness.data.dataset import PendingSplit, Split, multi_hot
from harness.data.knobs import STREAMS, Knobs, replace_knobs
from harness.data.timeline import Script, Timeline, draw_script, draw_timeline
from harness.errors import DataError
from harness.settings import Source


@dataclass(frozen=True)
class Vocabulary:
    """Codes of one stream: random directions of norm sqrt(d)."""

    action: np.ndarray  # (S+C, d) sub-actions and key phases, the common action code mixed in
    distractor: np.ndarray  # (S, d) sub-actions with minus half of the common action code
    scene: np.ndarray  # (C, d)
    situation: np.ndarray  # (situations, d)
    weights: np.ndarray  # (d, D) from codes to features


@dataclass(frozen=True)
class World:
    """All that the videos of a data set share."""

    knobs: Knobs
    script: Script
    streams: tuple[Vocabulary, ...]


def draw_directions(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """n random directions of norm sqrt(d), (n, d)."""
    x = rng.standard_normal((n, d))
    return x * (np.sqrt(d) / np.linalg.norm(x, axis=1, keepdims=True))


def mix(own: np.ndarray, other: np.ndarray, part: float) -> np.ndarray:
    """sqrt(1 - part) own + sqrt(part) other: keeps the norm of orthogonal codes."""
    return np.sqrt(1 - part) * own + np.sqrt(part) * other


def draw_vocabulary(knobs: Knobs, script: Script, stream: int, rng: np.random.Generator) -> Vocabulary:
    """The codes of one stream and its map to features."""
    d, C = knobs.code_dimension, knobs.classes
    sub, key, venue = (draw_directions(rng, n, d) for n in (knobs.sub_actions, C, knobs.venues))
    scene, situation, common = (draw_directions(rng, n, d) for n in (C, knobs.situations, 1))
    key = mix(key, sub[script.key_part], knobs.key_shared)
    part = knobs.action_share[stream]
    return Vocabulary(
        mix(np.concatenate([sub, key]), common, part),
        mix(sub, knobs.distractor_action * common, part),
        mix(scene, venue[script.venue], knobs.scene_venue),
        situation,
        rng.standard_normal((d, knobs.dimension)) / np.sqrt(d),
    )


def draw_world(knobs: Knobs, seed: np.random.SeedSequence) -> World:
    script_seed, *stream_seeds = seed.spawn(1 + len(STREAMS))
    script = draw_script(knobs, np.random.default_rng(script_seed))
    rngs = map(np.random.default_rng, stream_seeds)
    return World(knobs, script, tuple(draw_vocabulary(knobs, script, m, rng) for m, rng in enumerate(rngs)))


def draw_autoregressive(rng: np.random.Generator, shape: tuple[int, ...], rho: float) -> np.ndarray:
    """AR(1) along axis 0 with unit variance from the first entry on.

    sum_k rho^k e[t-k] is the product over j of (1 + rho^(2^j) shift^(2^j)): log2(n) passes instead of n.
    """
    x = rng.standard_normal(shape)
    x[1:] *= np.sqrt(1 - rho**2)
    lag = 1
    while lag < len(x):
        x[lag:] = x[lag:] + rho**lag * x[:-lag]
        lag *= 2
    return x


def draw_visibility(knobs: Knobs, length: int, rng: np.random.Generator) -> np.ndarray:
    """v (n, M): how well each stream sees the action."""
    h = draw_autoregressive(rng, (length, 1 + len(STREAMS)), knobs.visibility_rho)
    h = mix(h[:, 1:], h[:, :1], knobs.visibility_correlation)
    seen = 1 / (1 + np.exp(-(knobs.visibility_slope * h + knobs.visibility_bias)))
    return knobs.visibility_least + (1 - knobs.visibility_least) * seen


def make_stream(world: World, stream: int, video: Timeline, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Features (n, D) float32 of one stream; ``seen`` (n,) is its visibility."""
    knobs, words, S = world.knobs, world.streams[stream], world.knobs.sub_actions
    deformed = knobs.deformation * rng.standard_normal(words.action.shape)
    situation = words.situation + knobs.deformation * rng.standard_normal(words.situation.shape)
    act = video.action @ (words.action + deformed)  # (n, d)
    carried = video.distractor >= 0
    act[carried] += (words.distractor + deformed[:S])[video.distractor[carried]]
    backdrop = np.concatenate([knobs.scene[stream] * words.scene, knobs.situation[stream] * situation])
    z = backdrop[video.backdrop] + knobs.action[stream] * seen[:, None] * act
    z += knobs.offset[stream] * rng.standard_normal(z.shape[1])
    z += knobs.noise[stream] * draw_autoregressive(rng, z.shape, knobs.noise_rho)
    return (knobs.gain * np.maximum(z @ words.weights - knobs.threshold, 0)).astype(np.float32)


def pend_split(world: World, name: str, videos: int, seed: np.random.SeedSequence) -> PendingSplit:
    """Time lines of all videos of a split, and an iterator over their features."""
    knobs = world.knobs
    seeds = [video.spawn(1 + len(STREAMS) + 1) for video in seed.spawn(videos)]
    lines = [draw_timeline(knobs, world.script, i, np.random.default_rng(s[0])) for i, s in enumerate(seeds)]
    offsets = np.concatenate([[0], np.cumsum([len(line.backdrop) for line in lines])]).astype(np.int64)
    segments = tuple(line.segments for line in lines)
    empty = np.empty((0, len(STREAMS), knobs.dimension), np.float32)
    seconds = np.full(videos, knobs.snippet_seconds)
    ids = tuple(f"{name}_{i:04d}" for i in range(videos))
    split = Split(ids, empty, offsets, multi_hot(segments, knobs.classes), segments, seconds)
    return PendingSplit(split, (make_video(world, line, s[1:]) for line, s in zip(lines, seeds)))


def make_video(world: World, video: Timeline, seeds: list[np.random.SeedSequence]) -> np.ndarray:
    """Features (n, M, D) of one video."""
    seen = draw_visibility(world.knobs, len(video.backdrop), np.random.default_rng(seeds[0]))
    rngs = map(np.random.default_rng, seeds[1:])
    return np.stack([make_stream(world, m, video, seen[:, m], rng) for m, rng in enumerate(rngs)], 1)


def pend_splits(knobs: Knobs, seed: int) -> tuple[PendingSplit, PendingSplit]:
    """Training and test split of generator seed ``seed``."""
    world_seed, train, test = np.random.SeedSequence(seed).spawn(3)
    world = draw_world(knobs, world_seed)
    return pend_split(world, "train", knobs.train_videos, train), pend_split(world, "test", knobs.test_videos, test)


def name_classes(knobs: Knobs) -> tuple[str, ...]:
    return tuple(f"action {i:02d}" for i in range(knobs.classes))


def name(source: Source) -> str:
    return "synthetic" if source.scale == "default" else f"synthetic-{source.scale}"


def digest(source: Source) -> str:
    """Changes with the constants, the seed, the streams and the code that generates."""
    from harness.sources import code

    parts = [repr(replace_knobs(source.scale, source.knobs)), str(source.seed), repr(find_positions(source))]
    parts += [code(Path(str(module.__file__)).read_text()) for module in (timeline, sys.modules[__name__])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def find_positions(source: Source) -> list[int]:
    """Positions of the streams asked for."""
    if errors := check_streams(source.streams, STREAMS):
        raise DataError(errors)
    return [STREAMS.index(stream) for stream in source.streams]


def info(source: Source) -> dict[str, Any]:
    knobs = replace_knobs(source.scale, source.knobs)
    return {
        "name": name(source),
        "classes": name_classes(knobs),
        "videos": {"train": knobs.train_videos, "test": knobs.test_videos},
        "streams": source.streams,
        "dimension": knobs.dimension,
        "widths": (knobs.dimension,) * len(source.streams),
        "layout": "embedded",
        "like": {"default": "synthetic", "tiny": "tiny", "paper": "paper-scale"}[source.scale],
    }


def pend(source: Source) -> PendingDataset:
    """The data set, ready to be written."""
    knobs, streams = replace_knobs(source.scale, source.knobs), find_positions(source)
    train, test = (pick(split, streams) for split in pend_splits(knobs, source.seed))
    widths = (knobs.dimension,) * len(streams)
    return PendingDataset(name(source), name_classes(knobs), tuple(source.streams), train, test, widths)


def pick(pending: PendingSplit, streams: list[int]) -> PendingSplit:
    """The streams at these positions, in this order."""
    split = replace(pending.split, features=pending.split.features[:, streams])
    return PendingSplit(split, (video[:, streams] for video in pending.features))
