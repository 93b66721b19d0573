"""The contract of model/baselines/__init__.py: every file of the folder goes through it; what each one claims holds."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from harness.compute.localize import detect
from model import baselines
from model.baselines import acmnet, cola, untrimmed, wtalc, wum
from model.mil import min_max, restated
from model.options import OPTIONS, UntrimmedOptions, WumOptions
from model.settings import CaseSettings
from model.streams import dropout, joined

from support.baseline_settings import of_baseline
from support.toy_baselines import B, C, D, M, T, batch, case, run

NAMES = tuple(sorted(OPTIONS))


def test_every_file_is_an_option_and_every_option_a_file() -> None:
    folder = Path(baselines.__file__).parent
    assert {p.stem for p in folder.glob("*.py")} - {"__init__"} == set(OPTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_ranges(name: str) -> None:
    module = case(name)
    b = replace(batch(), memory=module.initial().memory)
    snippets = module.baseline(b)
    streams, width = module.baseline.streams, module.baseline.width
    assert snippets.attention.shape == (streams, B, T)
    assert b.spread(snippets.embedding, snippets.rows).shape == (streams, B, T, width)
    assert snippets.cas.shape in ((streams, B, T, C), (1, B, T, C))
    assert bool(((snippets.attention >= 0) & (snippets.attention <= 1)).all())
    assert all(len(value) == B for value in snippets.extra.values())
    own = module.baseline.losses(snippets, b, True)
    loss, parts, Q_A = own.loss, own.parts, own.Q_A
    assert loss.shape == ()
    assert all(part.shape == () for part in parts.values())
    assert Q_A.shape == (streams, B, T)
    assert set(Q_A.unique().tolist()) == {0.0, 1.0}
    assert not Q_A.requires_grad


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("co_label", [True, False])
def test_one_step_of_case_is_finite_and_reaches_every_weight(name: str, co_label: bool) -> None:
    settings = CaseSettings().co_label
    module, step = run(name, co_label=replace(settings, select=co_label, classes=co_label, clusters=co_label))
    assert math.isfinite(float(step.loss.detach()))
    assert all(bool(part.isfinite()) for part in step.parts.values())
    assert all(bool(value.isfinite()) for value in step.monitors.values())
    for weight_name, weight in module.named_parameters():
        assert weight.grad is not None, weight_name
        assert bool(weight.grad.isfinite().all()), weight_name
        assert float(weight.grad.abs().sum()) > 0, weight_name


@pytest.mark.parametrize("name", NAMES)
def test_plain_baseline_is_its_own_loss(name: str) -> None:
    """Without a head, a step of Case is the baseline's loss and nothing else."""
    module = case(name, clusters=0, cat=0, lambda_c=0, lambda_r=0)
    step = module.step(module.initial(), batch())
    b = replace(batch(), memory=module.initial().memory)
    own = module.baseline.losses(module.baseline(b), b, True)
    assert torch.equal(step.loss, own.loss)
    assert set(step.parts) == set(own.parts)


@pytest.mark.parametrize("name", NAMES)
def test_scores_give_an_inference_that_is_executed(name: str) -> None:
    module, step = run(name, 2)
    scores = {k: v.numpy() for k, v in module.scores(batch(9), step.carried).items()}
    refined = 0.5 * scores["attention"].mean(1) + 0.5 * scores["clusters"].mean(1)
    inference = baselines.load(name).inference(scores, refined.astype(np.float64), OPTIONS[name]())
    assert inference.video.shape == (B, C)
    assert inference.video.dtype == np.float64
    assert inference.video.min() >= 0
    assert (inference.video.sum(1) <= 1 + 1e-9).all()
    for group in inference.groups.values():
        assert group.threshold_on.shape in ((B, T, C), (B, T, 1))
        assert group.score_on.shape == (B, T, C)
        assert np.isfinite(group.threshold_on).all()
        assert np.isfinite(group.score_on).all()
    settings = of_baseline(name).localization
    assert set(inference.groups) == set(settings.thresholds)
    found = detect(inference, replace(settings, class_threshold=0.0), np.full(B, 30.0))
    assert len(found.score)
    assert np.isfinite(found.score).all()
    assert (found.start < found.end).all()
    beyond = 30.0 / T if settings.score == "loose" else 0.0  # FAC-Net's and RSKP's runs end a snippet later
    assert found.end.max() <= 30.0 + beyond + 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_refined_attention_moves_what_is_localised(name: str) -> None:
    """CAT must be able to change detections: another refined attention than P^A gives another sequence."""
    module, step = run(name, 2)
    scores = {k: v.numpy() for k, v in module.scores(batch(9), step.carried).items()}
    rule, P_A = baselines.load(name).inference, scores["attention"].mean(1, dtype=np.float64)
    plain, moved = rule(scores, P_A, OPTIONS[name]()), rule(scores, 0.5 * P_A + 0.5 * P_A[:, ::-1], OPTIONS[name]())
    assert any(not np.allclose(plain.groups[g].threshold_on, moved.groups[g].threshold_on) for g in plain.groups)


@pytest.mark.parametrize("name", NAMES)
def test_two_runs_are_bitwise_equal(name: str) -> None:
    first, second = run(name, 3), run(name, 3)
    assert torch.equal(first[1].loss, second[1].loss)
    for a, b in zip(first[0].parameters(), second[0].parameters()):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_start_weights_do_not_depend_on_the_clustering_head(name: str) -> None:
    plain, with_head = case(name, clusters=0, cat=0), case(name)
    theirs = dict(with_head.named_parameters())
    for weight_name, weight in plain.named_parameters():
        assert torch.equal(weight, theirs[weight_name]), weight_name
    other = dict(case(name, seed=1).named_parameters())
    assert not all(torch.equal(theirs[n], other[n]) for n in theirs)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_drawn_from_the_batch_and_off_without_a_generator(name: str) -> None:
    module = case(name)
    quiet = [module.step(module.initial(), batch(generator=None)).loss for _ in range(2)]
    assert torch.equal(*quiet)
    state = torch.get_rng_state()
    noisy = module.step(module.initial(), batch()).loss
    assert torch.equal(state, torch.get_rng_state())  # the global generator stays untouched
    assert torch.equal(noisy, quiet[0]) == (getattr(OPTIONS[name](), "dropout", 0) == 0)


def test_dropout_keeps_the_mean_and_the_share() -> None:
    x = dropout(torch.ones(200, 200), 0.7, torch.Generator().manual_seed(0))
    assert x.unique().tolist() == pytest.approx([0, 1 / 0.3])
    assert float(x.mean()) == pytest.approx(1, abs=0.02)


def test_joined_puts_stream_after_stream() -> None:
    x = torch.randn(M, B, T, D)
    torch.testing.assert_close(joined(tuple(x))[0], torch.cat([x[0], x[1]], -1))


def test_min_max_is_the_released_scale() -> None:
    v = torch.tensor([[-1.0, 3.0, 1.0], [-3.0, -2.0, -1.0]]).T  # (3 snippets, 2 classes)
    torch.testing.assert_close(min_max(v), torch.tensor([[-1 / 3, 1.0, 1 / 3], [-3.0, -2.0, -1.0]]).T)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7])
def test_erosion_and_dilation_against_scipy(size: int) -> None:
    mask = (torch.rand(6, 40, generator=torch.Generator().manual_seed(size)) > 0.3).float()
    structure = np.ones((1, size))
    np.testing.assert_array_equal(cola.dilate(mask, size), ndimage.binary_dilation(mask.numpy(), structure))
    np.testing.assert_array_equal(cola.erode(mask, size), ndimage.binary_erosion(mask.numpy(), structure))


def test_hard_snippets_lie_on_both_sides_of_a_planted_action() -> None:
    actionness = torch.zeros(1, 60)
    actionness[0, 10:40] = 1.0  # above the median: [10, 40)
    inner, outer = cola.borders(actionness - 0.01 * torch.arange(60), 3, 6)
    assert set(outer[0].nonzero().flatten().tolist()) <= set(range(6, 10)) | set(range(40, 45))
    assert set(inner[0].nonzero().flatten().tolist()) <= set(range(10, 14)) | set(range(36, 40))
    assert float(inner.sum()) > 0
    assert float(outer.sum()) > 0


def test_contrast_against_cross_entropy_by_hand() -> None:
    rng = torch.Generator().manual_seed(0)
    q, p, n = (torch.randn(2, k, 4, generator=rng).double() for k in (3, 5, 5))
    expected = 0.0
    for b in range(2):
        unit = [v / v.norm() for v in (q[b].mean(0), p[b].mean(0), *n[b])]
        sims = torch.stack([unit[0] @ v for v in unit[1:]]) / 0.07
        expected -= math.log(math.exp(sims[0]) / float(sims.exp().sum())) / 2
    assert float(cola.contrast(q, p, n, 0.07)) == pytest.approx(expected)


def test_co_activity_against_a_loop_over_pairs() -> None:
    rng = torch.Generator().manual_seed(0)
    Z, cas = torch.randn(3, 7, 4, generator=rng).double(), torch.randn(3, 7, 2, generator=rng).double()
    labels = torch.tensor([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).double()
    total, count = 0.0, 0.0
    for m in range(3):
        for n in range(m + 1, 3):
            for c in range(2):
                if labels[m, c] * labels[n, c]:
                    A = cas[..., c].softmax(1)
                    h, low = [A[i] @ Z[i] for i in range(3)], [(1 - A[i]) @ Z[i] / 6 for i in range(3)]

                    def distance(a: torch.Tensor, b: torch.Tensor) -> float:
                        return 1 - float(a @ b / a.norm() / b.norm())

                    near = distance(h[m], h[n])
                    total += 0.5 * max(0, near - distance(h[m], low[n]) + 0.5)
                    total += 0.5 * max(0, near - distance(low[m], h[n]) + 0.5)
                    count += 1
    assert float(wtalc.co_activity(Z, cas, labels, 0.5, None)) == pytest.approx(total / count)
    assert float(wtalc.co_activity(Z, cas, torch.eye(3)[:, :2].double(), 0.5, None)) == 0  # nothing in common


def test_separation_is_zero_exactly_where_lengths_are_a_margin_apart() -> None:
    lengths = [torch.tensor([v]) for v in (120.0, 60.0, 0.0)]
    assert float(acmnet.separation(lengths, 50.0)) == 0
    assert float(acmnet.separation(lengths, 70.0)) == pytest.approx((10 + 10) ** 2)
    assert float(acmnet.separation(lengths[::-1], 50.0)) == pytest.approx((50 + 60 + 50 + 60 + 120) ** 2)


def test_acmnet_attentions_sum_to_one() -> None:
    snippets = case("acmnet").baseline(batch())
    torch.testing.assert_close(snippets.extra["branches"].sum(-1), torch.ones(B, T))
    assert torch.equal(snippets.extra["branches"][..., 0], snippets.attention[0])


def test_soft_selection_is_a_weighted_mean() -> None:
    """Equal selection logits give the mean of class probabilities; one that stands out gives that snippet's."""
    cas, P_A, logits = np.random.default_rng(0).normal(size=(2, M, 7, C)), np.ones((2, M, 7)), np.zeros((2, 7, M))
    P_V = torch.as_tensor(cas).softmax(-1).numpy()

    def video() -> np.ndarray:
        scores = {"cas": cas, "attention": P_A, "selection": logits}
        return untrimmed.inference(scores, P_A.mean(1), UntrimmedOptions()).video

    np.testing.assert_allclose(video(), P_V.mean((1, 2)))
    logits[:, 3] = 100
    np.testing.assert_allclose(video(), P_V[:, :, 3].mean(1))


def test_wum_attention_between_the_ends() -> None:
    m = torch.arange(36.0)
    P_A = wum.attention(m, WumOptions(), 100)  # action: mean of 32..35, background: mean of 0..8
    torch.testing.assert_close(P_A, ((m - 4) / (33.5 - 4)).clamp(0, 1))
    torch.testing.assert_close(wum.attention(m, WumOptions(attention="margin"), 10), (m / 10).clamp_max(1))
    assert not bool(wum.attention(torch.ones(36), WumOptions(), 100).isnan().any())


def test_released_constants_hold_at_the_released_size_and_are_carried_over() -> None:
    assert wum.margin(WumOptions(), 2048) == 100
    assert wum.margin(WumOptions(), 128) == pytest.approx(25)  # a sixteenth of the channels: a quarter of the length
    assert wum.margin(WumOptions(for_channels=0), 128) == 100
    assert restated(750, 150) == 5


def test_one_stream_makes_co_labeling_the_identity() -> None:
    on = CaseSettings().co_label
    off = replace(on, select=False, classes=False, clusters=False)
    for name in NAMES:
        if case(name).baseline.streams == 1:
            assert torch.equal(run(name, 2, co_label=on)[1].loss, run(name, 2, co_label=off)[1].loss)


def test_unknown_baseline_is_named_with_the_choices() -> None:
    with pytest.raises(KeyError, match=r"unknown baseline 'basenet'; there are acmnet, .* wum"):
        baselines.load("basenet")


class Noted(dict):
    """Scores that note which of them are read."""

    def __init__(self, content) -> None:
        super().__init__(content)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_inference_reads_is_what_is_stored(name: str) -> None:
    module, step = run(name, 2)
    scores = Noted({k: v.numpy() for k, v in module.scores(batch(9), step.carried, embedding=False).items()})
    rule = baselines.load(name)
    rule.inference(scores, np.full((B, T), 0.5), OPTIONS[name]())
    assert scores.read - {"cas", "attention"} == set(getattr(rule, "READS", ()))
    assert set(scores) == {"cas", "attention", "clusters", "P_C", *getattr(rule, "READS", ())}
