"""One training of the released preset, as we compute it and as the reference does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness import data
from harness.bench import generated, reference
from harness.compute import batches, score, train
from harness.data.sampling import stratified
from harness.settings import Settings
from harness.study.presets import load_preset
from model.streams import Batch

CPU = torch.device("cpu")


@dataclass
class Subject:
    """A training before its first step, and the batch that all steps are timed on."""

    settings: Settings
    dataset: data.Dataset
    state: train.State
    features: tuple[Tensor, ...]  # of the training videos, per stream (N, D)
    videos: np.ndarray  # (B,)
    indices: np.ndarray  # (B, T): snippets sampled of each
    truth: score.Truth

    @classmethod
    def of(cls, settings: Settings, dataset: data.Dataset) -> "Subject":
        training, split = settings.training, dataset.train
        state = train.start(settings, dataset, train.Streams.of(0, CPU), CPU)
        state.case.project_()
        videos = np.arange(min(training.batch, len(split.ids)))
        indices = stratified(split.lengths[videos], training.snippets, np.random.default_rng(0))
        truth = score.Truth.of(dataset.test, training.snippets)
        return cls(settings, dataset, state, batches.on_device(split, CPU), videos, indices, truth)

    def make_batch(self, precision: str) -> Batch:
        return batches.make_batch(self.features, self.dataset.train, self.videos, self.indices, precision)

    def compute_loss(self, precision: str) -> Tensor:
        return self.state.case.step(self.state.carried, self.make_batch(precision)).loss

    def compute_reference_loss(self) -> Tensor:
        x = reference.gather_grid(self.dataset.train, self.videos, self.indices)
        return reference.compute_loss(self.state, x, torch.from_numpy(self.dataset.train.labels[self.videos]))

    def step(self, loss: Callable[[], Tensor]) -> None:
        """Forward and backward pass; the optimiser's step is the same for both and left out."""
        self.state.optimizer.clear_gradients()
        torch.autograd.backward(loss())

    def compute_scores(self) -> dict[str, np.ndarray]:
        return train.test_scores(self.state, self.dataset.test, self.settings.training)

    def compute_reference_scores(self) -> None:
        reference.evaluate_network(self.state, self.dataset.test, self.settings.training.snippets)

    def count_step_products(self) -> float:
        """Operations of the encoders' products in a step on unique snippets, forward and backward (weights only)."""
        return 2 * self.count_products(sum(len(np.unique(row)) for row in self.indices))

    def count_test_products(self) -> float:
        """Operations of the encoders' products on the unique snippets of the test videos."""
        return self.count_products(int(self.dataset.test.lengths.clip(max=self.settings.training.snippets).sum()))

    def count_products(self, rows: int) -> float:
        """Two encoders a stream, a multiplication and an addition for each entry of their weights."""
        return 2 * 2 * rows * self.settings.case.width * sum(stream.shape[1] for stream in self.features)


def load_subject(scale: str, root: Path) -> Subject:
    """The released preset on the embedded data set of a scale, or on generated features of ActivityNet 1.3's shape."""
    if scale == "activitynet":
        return Subject.of(shape_as_activitynet(load_preset("released", scale="paper")), generated.make_activitynet())
    settings = load_preset("released", scale=scale)
    return Subject.of(settings, data.load(settings.source, root))


def shape_as_activitynet(settings: Settings) -> Settings:
    """T = 50, K^C = 64, k = T // 2 and the tIoU of Tables 7 and 8 (Appendix E.3)."""
    case = replace(settings.case, clusters=64, options=replace(settings.case.options, topk=2))
    metrics = replace(settings.metrics, tiou=tuple(round(0.05 * i, 2) for i in range(10, 20)))
    return replace(settings, case=case, training=replace(settings.training, snippets=50), metrics=metrics)
