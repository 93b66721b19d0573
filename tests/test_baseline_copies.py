"""What a step must not do on a GPU: make tensors of Python numbers there, each a copy that the host waits for."""

from collections import Counter

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from model.options import OPTIONS

from support.toy_baselines import batch, case


class Counted(TorchDispatchMode):
    """Counts the operators that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        self.calls[str(operator)] += 1
        return operator(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", OPTIONS)
def test_a_step_makes_no_tensor_of_python_numbers(name: str) -> None:
    module, b = case(name), batch()
    with Counted() as counted:
        module.step(module.initial(), b).loss.backward()
    assert counted.calls["aten.mul.Tensor"] > 0
    assert counted.calls["aten.lift_fresh.default"] == 0, "torch.tensor, new_tensor"
