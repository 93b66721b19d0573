"""Adam by torch's function against ``torch.optim.Adam``: the same bits, also for parameters that come late."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from harness.compute.optimiser import Adam


def make_parameters() -> list[nn.Parameter]:
    draw = torch.Generator().manual_seed(0)
    return [nn.Parameter(torch.randn(*shape, generator=draw)) for shape in ((5, 3), (3,), (2, 2, 4))]


def set_gradients(parameters: list[nn.Parameter], step: int) -> None:
    """The second parameter has its first gradient in the third step, and none in the fifth."""
    draw = torch.Generator().manual_seed(step)
    for i, parameter in enumerate(parameters):
        gradient = torch.randn(parameter.shape, generator=draw)
        parameter.grad = None if i == 1 and step in {0, 1, 4} else gradient


@pytest.mark.parametrize("decay", [0.0, 5e-4])
@pytest.mark.parametrize("beta2", [0.999, 0.99])
def test_the_bits_are_those_of_torchs_own_optimiser(decay: float, beta2: float) -> None:
    ours, theirs = make_parameters(), make_parameters()
    own = Adam(ours, 0.01, beta2, decay)
    other = torch.optim.Adam(theirs, 0.01, (0.9, beta2), weight_decay=decay, fused=True)
    for step in range(8):
        own.clear_gradients()
        assert all(parameter.grad is None for parameter in ours)
        set_gradients(ours, step)
        set_gradients(theirs, step)
        if step == 6:
            own.state.clear()
            other.state.clear()
        own.step()
        other.step()
        assert all(map(torch.equal, ours, theirs))


def test_a_loaded_state_goes_on_as_if_nothing_had_happened() -> None:
    straight, resumed = make_parameters(), make_parameters()
    first = Adam(straight, 0.01, 0.999, 0)
    for step in range(3):
        set_gradients(straight, step)
        first.step()
    kept = {i: {name: value.clone() for name, value in own.items()} for i, own in first.state_dict().items()}
    second = Adam(resumed, 0.01, 0.999, 0)
    second.load_state_dict(kept)
    with torch.no_grad():
        for mine, other in zip(resumed, straight):
            mine.copy_(other)
    for optimiser, parameters in ((first, straight), (second, resumed)):
        set_gradients(parameters, 3)
        optimiser.step()
    assert all(map(torch.equal, straight, resumed))


def test_it_does_without_torchs_compiler() -> None:
    """Its import takes longer than the first hundred steps of a training."""
    code = (
        "import sys, torch; from harness.compute.optimiser import Adam; p = torch.zeros(3, requires_grad=True)\n"
        "p.grad = torch.ones(3); a = Adam([p], 0.1, 0.999, 0); a.step(); a.clear_gradients()\n"
        "print('torch._dynamo' in sys.modules, p.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported, _, moved = done.stdout.partition(" ")
    assert imported == "False"
    assert moved.startswith("[-0.0999"), moved
