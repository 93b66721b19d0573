"""Rows and grid: a batch that holds each snippet once is the batch in which each position has a copy of its own."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from model.case import Case, Step
from model.clustering import class_logits, cosines, label_loss
from model.options import OPTIONS
from model.settings import CaseSettings
from model.streams import Batch, PerStream, Shape, collect, drop_features, encode, spread

NAMES = tuple(sorted(OPTIONS))
M, B, T, D, C, H, K = 2, 4, 48, 6, 5, 8, 3
SHORT = 17  # snippets of a video, each of which stands at two or three positions


def rand(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def once(seed: int = 0, **more) -> Batch:
    """B videos of SHORT snippets, stretched to T positions."""
    rows = torch.arange(T) * SHORT // T + SHORT * torch.arange(B)[:, None]
    x = tuple(F.pad(rand(seed + m, B * SHORT, D), (0, 0, 0, 1)) for m in range(M))
    return Batch(x, rows, torch.eye(C, dtype=torch.float64)[[0, 0, 1, 2]], **more)


def copied(batch: Batch) -> Batch:
    """The same batch with a copy of the snippet at each position."""
    x = tuple(F.pad(x[batch.rows.flatten()], (0, 0, 0, 1)) for x in batch.x)
    return replace(batch, x=x, rows=torch.arange(B * T).view(B, T))


def case(name: str, **changes) -> Case:
    settings = CaseSettings(name, OPTIONS[name](), width=H, clusters=K, sinkhorn_steps=5, sinkhorn_steps_r=5, sigma=0.3)
    return Case(replace(settings, **changes), Shape((D,) * M, C, H), 0).double()


def stepped(module: Case, batch: Batch) -> tuple[Step, list[Tensor]]:
    step = module.step(module.initial(), batch)
    return step, list(torch.autograd.grad(step.loss, list(module.parameters())))


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_snippets_held_once_give_the_same_loss_labels_and_gradients(name: str, dropped: bool) -> None:
    """With dropout, too: masks are drawn for positions, so that copies of a snippet get masks of their own."""
    results = []
    for batch in (once(), copied(once())):
        generator = torch.Generator().manual_seed(1) if dropped else None
        results.append(stepped(case(name), replace(batch, generator=generator)))
    (one, gradients), (other, theirs) = results
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(one.carried.Q_R, other.carried.Q_R, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(one.pseudo.Q_C, other.pseudo.Q_C, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradients, theirs, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_snippets_held_once_give_the_same_scores(name: str) -> None:
    module = case(name)
    one, other = (module.scores(batch, module.initial()) for batch in (once(), copied(once())))
    assert one.keys() == other.keys()
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert "embedding" not in module.scores(once(), module.initial(), embedding=False)


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_encoders_together_are_convolutions_of_the_grid(kernel: int) -> None:
    """Two encoders of other widths and streams of other widths, against torch's convolution of each video."""
    features, batch = (D, D + 3), once()
    batch = replace(batch, x=(batch.x[0], F.pad(rand(7, B * SHORT, D + 3), (0, 0, 0, 1))))
    layers = [PerStream(features, width, kernel, 0, name).double() for width, name in ((4, "a"), (5, "b"))]
    outputs, rows = encode(batch.x, batch.rows, *layers)
    assert (rows is None) == (kernel > 1)
    for layer, output in zip(layers, outputs):
        found = batch.spread(output, rows)
        for m, copy in enumerate(layer.copies):
            for b in range(B):
                expected = copy(batch.x[m][batch.rows[b]].mT[None])[0].mT
                torch.testing.assert_close(found[m, b], expected, rtol=1e-10, atol=1e-10)


def test_features_apart_are_a_copy_for_each_position() -> None:
    batch, other = once(), copied(once())
    x, rows = drop_features(batch.x, batch.rows, 0.0, None)
    assert torch.equal(rows, other.rows)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(x, other.x))


def test_cosines_are_those_of_normalised_vectors_and_so_are_their_gradients() -> None:
    Z, unit = rand(0, M, 7, H) - 0.5, F.normalize(rand(1, M, K, H) - 0.5, dim=-1)
    Z[:, 2] = 0  # nothing points nowhere: 0 in any direction
    torch.testing.assert_close(cosines(Z, unit), F.normalize(Z, dim=-1) @ unit.mT)
    assert not cosines(Z, unit)[:, 2].any()
    Z = Z[:, 3:].requires_grad_()
    assert torch.autograd.gradcheck(cosines, (Z, unit.requires_grad_()))


def test_collect_is_the_adjoint_of_spread() -> None:
    """<spread(V), W> = <V, collect(W)>, which is what makes weighted labels of rows equal to labels of the grid."""
    rows, V, W = torch.tensor([0, 0, 2, 3, 3, 3]), rand(0, M, 5, 4), rand(1, M, 6, 4)
    torch.testing.assert_close((spread(V, rows) * W).sum(), (V * collect(W, rows, 5)).sum())
    assert torch.equal(collect(torch.ones(M, 6, 1), rows, 5)[0, :, 0], torch.tensor([2.0, 0, 1, 3, 0]))
    V.requires_grad_()
    torch.testing.assert_close(torch.autograd.grad((spread(V, rows) * W).sum(), V)[0], collect(W, rows, 5))


def test_labels_of_positions_may_be_summed_per_row() -> None:
    """Eq. 3 and 8-10 of rows with summed labels are those of the grid."""
    rows = once().rows.flatten()
    Z, logits, Q, q = rand(0, M, B * SHORT, H), rand(1, M, B * SHORT, K), rand(2, 1, B * T, K), rand(3, M, B * T)
    torch.testing.assert_close(label_loss(Q, logits, rows), label_loss(Q, spread(logits, rows)))
    torch.testing.assert_close(class_logits(Q, q, Z, 10, rows), class_logits(Q, q, spread(Z, rows), 10))


@pytest.mark.parametrize("name", ["proposed", "asl"])
def test_positions_that_do_not_count_are_not_labelled(name: str) -> None:
    """Padding after the lengths: CASE labels the positions before them, with a kernel of 3 (grid) and of 1 (rows)."""
    lengths, module = torch.tensor([T, 30, 20, T]), case(name)
    batch = replace(once(), lengths=lengths)
    counted = [T * b + t for b, n in enumerate(lengths.tolist()) for t in range(n)]
    assert batch.counted.tolist() == counted
    step, snippets = module.step(module.initial(), batch), module.baseline(batch)
    labels = step.pseudo
    assert labels.Q_C.shape == (1, len(counted), K)
    Z = batch.spread(snippets.embedding, snippets.rows).flatten(1, 2)[:, counted]
    expected = class_logits(labels.Q_C, labels.Q_A.flatten(1)[:, counted], Z, 10)
    torch.testing.assert_close(step.logits["classes"], expected)
    torch.testing.assert_close(step.parts["clusters"], label_loss(labels.Q_C, module.head(Z)))


def test_a_memory_is_carried_from_step_to_step() -> None:
    """A baseline that counts its steps: what it returns is what it is given next, and no step writes to it."""
    module = case("proposed")
    losses, seen = module.baseline.losses, []

    def counting(snippets, batch, co_label):
        seen.append(int(batch.memory["steps"]))
        return replace(losses(snippets, batch, co_label), memory={"steps": batch.memory["steps"] + 1})

    module.baseline.losses = counting
    module.baseline.initial_memory = lambda: {"steps": torch.tensor(0)}
    carried = module.initial()
    for _ in range(3):
        carried = module.step(carried, once()).carried
    assert seen == [0, 1, 2]
    assert int(carried.memory["steps"]) == 3


@pytest.mark.parametrize("name", NAMES)
def test_features_in_bfloat16_give_nearly_the_same_step(name: str) -> None:
    """Products in bfloat16 (8 bits of mantissa); what follows, losses and gradients in the weights' precision."""
    module, batch = case(name).float(), once()
    full = replace(batch, x=tuple(x.float() for x in batch.x), labels=batch.labels.float())
    half = replace(full, x=tuple(x.bfloat16() for x in batch.x))
    (one, _), (other, theirs) = (stepped(module, b) for b in (full, half))
    assert other.loss.dtype == torch.float32
    assert all(gradient.dtype == torch.float32 for gradient in theirs)
    assert other.loss.item() == pytest.approx(one.loss.item(), rel=0.02)
    assert not torch.equal(one.loss, other.loss)
