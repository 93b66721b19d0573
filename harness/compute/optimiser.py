"""Adam (Appendix E.3) by torch's own function.

``torch.optim.Adam`` computes the same by the same function, but making one imports torch's compiler, which takes a
worker two seconds of its processor, and each step asks Python for more than the sums take at default scale.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

BETA, EPS = 0.9, 1e-8  # decay of mean gradients, guard of the division: Adam's own


class Adam:
    """Moves ``parameters`` along their gradients; those that have none stay and begin when they have one."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, beta2: float, weight_decay: float) -> None:
        self.parameters = list(parameters)
        self.lr, self.beta2, self.weight_decay = lr, beta2, weight_decay
        self.state: dict[int, dict[str, Tensor]] = {}  # by the parameter's number

    def clear_gradients(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """One step; L2 inside Adam, not decoupled."""
        moved = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        weights = [self.parameters[i] for i in moved]
        gradients: list[Any] = [weight.grad for weight in weights]
        states = [self.state.setdefault(i, {}) for i in moved]
        for weight, own in zip(weights, states):
            if not own:
                own.update(begin(weight))
        means = [own["mean"] for own in states]
        squares = [own["square"] for own in states]
        steps = [own["steps"] for own in states]
        adam(
            weights,
            gradients,
            means,
            squares,
            [],
            steps,
            fused=True,
            amsgrad=False,
            beta1=BETA,
            beta2=self.beta2,
            lr=self.lr,
            weight_decay=self.weight_decay,
            eps=EPS,
            maximize=False,
        )

    def state_dict(self) -> dict[int, dict[str, Tensor]]:
        """What a checkpoint keeps."""
        return self.state

    def load_state_dict(self, content: dict[int, Any]) -> None:
        """Go on from what a checkpoint kept."""
        for i, own in content.items():
            device = self.parameters[i].device
            self.state[i] = {name: value.to(device) for name, value in own.items()}


def begin(parameter: Tensor) -> dict[str, Tensor]:
    """Moments before a parameter's first step."""
    moments = {name: torch.zeros_like(parameter) for name in ("mean", "square")}
    return moments | {"steps": torch.zeros((), dtype=torch.float32, device=parameter.device)}
