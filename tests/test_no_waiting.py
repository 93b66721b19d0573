"""A training step asks a GPU for nothing that the host would have to wait for, as far as a CPU can tell."""

from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness import data
from harness.compute import train
from model.options import OPTIONS

from support.trainings import small

# what reads a value, or has a shape that depends on values
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2", "unique_dim"}
WAIT = {"d2net", "ftcl", "rskp"}  # baselines whose selection has a size that depends on the batch


class Watch(TorchDispatchMode):
    """Notes each operation that waits for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        chosen = name in {"index", "index_put_"} and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in WAITING or chosen:
            self.found.append(name)
        return function(*args, **(kwargs or {}))


def watch(settings, root: Path, monkeypatch) -> list[str]:
    """What the steps of a training ask for, on the way that they take on a GPU."""
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    dataset, device = data.load(settings.source, root), torch.device("cpu")
    streams = train.Streams.of(0, device)
    state = train.start(settings, dataset, streams, device)
    with Watch() as seen:
        for _ in train.steps(state, dataset.train, settings.training, streams):
            pass
    return seen.found


@pytest.mark.parametrize("baseline", sorted(OPTIONS.keys() - WAIT))
def test_a_step_waits_for_nothing(baseline, tmp_path, monkeypatch):
    assert watch(small(baseline), tmp_path, monkeypatch) == []


def test_a_step_with_converged_labels_waits_for_nothing(tmp_path, monkeypatch):
    settings = small(sinkhorn_steps="converged", sinkhorn_steps_r="converged")
    assert watch(settings, tmp_path, monkeypatch) == []


@pytest.mark.parametrize("baseline", sorted(WAIT))
def test_three_baselines_wait_still(baseline, tmp_path, monkeypatch):
    assert watch(small(baseline), tmp_path, monkeypatch)


def test_waiting_is_noticed():
    with Watch() as seen:
        bool(torch.ones(()) > 0)
        torch.arange(3)[torch.arange(3) > 1]
    assert seen.found == ["_local_scalar_dense", "index"]
