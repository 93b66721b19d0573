"""``Losses.unit``: what one cross-entropy a video counts for in a baseline's loss, and CASE's losses with it."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from model.options import OPTIONS

from support.toy_baselines import B, C, M, T, batch, case, run


@pytest.mark.parametrize(
    "name", ["proposed", "asl", "untrimmed", "basnet", "wum", "cola", "acmnet", "asmloc", "rskp", "facnet"]
)
def test_case_counts_in_the_units_of_the_loss(name: str) -> None:
    """Twice the same videos are the same task: a loss that sums over them doubles, and so does CASE's share."""
    once = replace(batch(generator=None), memory=case(name).initial().memory)
    twice = replace(once, rows=once.rows.repeat(2, 1), labels=once.labels.repeat(2, 1))
    baseline = case(name).baseline
    one, two = (baseline.losses(baseline(b), b, True) for b in (once, twice))
    assert float(two.loss.detach() / two.unit) == pytest.approx(float(one.loss.detach() / one.unit), rel=1e-5)
    assert two.unit == pytest.approx(one.unit * float(two.loss.detach() / one.loss.detach()), rel=1e-5)


@pytest.mark.parametrize(
    ("name", "part", "r", "classes"),
    [("cola", "video", 5, C), ("wum", "video", 9, C), ("basnet", "suppressed", 8, C + 1)],
)
def test_a_mean_over_classes_is_a_share_of_a_cross_entropy(name: str, part: str, r: int, classes: int) -> None:
    """The unit is what a sum over classes, averaged over videos, is multiplied by."""
    baseline, b = case(name).baseline, batch(generator=None)
    snippets = baseline(b)
    cas = snippets.cas[0]
    if classes > C:
        cas = torch.cat([cas, snippets.extra["background"].unsqueeze(-1)], -1)
    P = cas.topk(T // r, 1).values.mean(1).softmax(-1)
    Y = F.pad(b.labels / b.labels.sum(-1, keepdim=True), (0, classes - C))
    summed = -(Y * P.log() + (1 - Y) * (1 - P).log()).sum(-1).mean()
    own = baseline.losses(snippets, b, True)
    assert float(own.parts[part].detach()) == pytest.approx(own.unit * float(summed.detach()), rel=1e-5)


def test_weights_of_classifications_are_units() -> None:
    """W-TALC's share, ACM-Net's instance, ASM-Loc's foreground, FAC-Net's sum over videos and streams."""
    for name, changes, unit in (
        ("wtalc", {"share": 0.2}, 0.2),
        ("acmnet", {"instance": 5.0}, 5.0),
        ("ftcl", {"instance": 5.0}, 5.0),
        ("asmloc", {"foreground": 3.0}, 3.0),
        ("facnet", {"class_wise": 0.5}, 0.5 * B * M),
    ):
        module = case(name, options=replace(OPTIONS[name](), **changes))
        b = replace(batch(), memory=module.initial().memory)
        assert module.baseline.losses(module.baseline(b), b, True).unit == unit


@pytest.mark.parametrize("name", ["rskp", "wum"])
def test_case_multiplies_its_losses_by_the_unit(name: str) -> None:
    step = run(name)[1]
    own = run(name, lambda_c=0, lambda_r=0)[1]
    unit = B if name == "rskp" else 1 / C
    expected = own.loss + unit * (1.0 * step.parts["clusters"] + 0.3 * step.parts["classes"])
    torch.testing.assert_close(step.loss, expected)
