"""Methods whose training has phases: each is what its own values alone would give, and the schedule says which."""

from dataclasses import replace

import pytest
import torch

from harness.study import rules
from model.baselines.ftcl import PRETRAINING
from model.options import OPTIONS

from support.baseline_settings import of_baseline
from support.toy_baselines import batch, case


def loss_after(done: int, steps: int, **options: object) -> torch.Tensor:
    """FTCL's loss after so many of ``steps`` steps, without dropout."""
    module = case("ftcl", options=replace(OPTIONS["ftcl"](), lcs_len=6, **options))
    b = replace(batch(generator=None), memory={"done": torch.tensor(float(done))}, steps=steps)
    own = module.baseline.losses(module.baseline(b), b, True)
    assert float(own.memory["done"]) == done + 1
    return own.loss.detach()


def test_ftcl_pre_trains_for_its_share_of_the_steps() -> None:
    """Released: 500 of 525 epochs; of 21 steps the first 20."""
    late = loss_after(0, 21, pretraining=0)
    early = loss_after(0, 21, pretraining=0, **PRETRAINING)
    assert not torch.allclose(early, late)
    assert [torch.equal(loss_after(done, 21), early) for done in (0, 19, 20)] == [True, True, False]
    assert torch.equal(loss_after(20, 21), late)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_padding_is_only_given_to_methods_that_leave_it_out(name: str) -> None:
    s = of_baseline(name)
    s = replace(s, training=replace(s.training, sampling="window"))
    found = [path for paths, _ in rules.find_clashes(s, s.localization.thresholds) for path in paths]
    assert ("training.sampling" in found) == (name not in ("wtalc", "facnet", "rskp", "d2net"))


@pytest.mark.parametrize("name", ["wtalc", "facnet", "rskp", "d2net"])
def test_what_lies_beyond_a_video_changes_nothing(name: str) -> None:
    """Loss, gradients and Q^A of two videos, one of them shorter: whatever its padding shows, but for D2-Net's
    convolutions, whose padding is 0 as released."""
    module, b = case(name), batch(generator=None)
    lengths = torch.tensor([48, 30, 48, 17])
    beyond = torch.arange(48) >= lengths[:, None]
    rows = b.rows.masked_fill(beyond, int(b.rows[0, 3])) if name != "d2net" else b.rows
    results = []
    for shown in (b.rows, rows):
        own = replace(b, rows=shown, lengths=lengths, memory=module.initial().memory)
        module.zero_grad()
        step = module.baseline.losses(module.baseline(own), own, True)
        step.loss.backward()
        results.append((step.loss.detach(), step.Q_A, [p.grad.clone() for p in module.baseline.parameters()]))
        assert not step.Q_A.masked_select(beyond.expand_as(step.Q_A)).any()
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)
