"""What users bring: callbacks and networks that dlexp has not seen, for the laws to train."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback


class Raising(MeasureCallback):
    """Raises after ``step`` steps in networks whose learning rate is below ``below``."""

    name = "raising"

    def __init__(self, *, step: int, below: float, **schedule: Any) -> None:
        super().__init__(**schedule)
        self.step, self.below = step, below

    def measure(self, module: Any) -> Mapping[str, float]:
        """Return a number of the network, or raise."""
        if module.step == self.step and module.optimizer_settings["lr"] < self.below:
            raise RuntimeError(f"not at step {self.step}")
        return {"raising/largest": max(float(p.detach().abs().max()) for p in module.network.parameters())}


class Chain(nn.Sequential):
    """Two linear layers with something between them, drawn from ``generator``."""

    def __init__(
        self, between: nn.Module, input_dim: int, output_dim: int, generator: torch.Generator, width: int = 6
    ) -> None:
        super().__init__(nn.Linear(input_dim, width), between, nn.Linear(width, output_dim))
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.ndim == 2:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)


def softmax(*, generator: torch.Generator, input_dim: int, output_dim: int, **_: Any) -> nn.Module:
    """Return a network whose hidden units sum to 1."""
    return Chain(nn.Softmax(dim=-1), input_dim, output_dim, generator)


def layer_norm(*, generator: torch.Generator, input_dim: int, output_dim: int, **_: Any) -> nn.Module:
    """Return a network whose hidden units are normalised."""
    return Chain(nn.LayerNorm(6), input_dim, output_dim, generator)


def prelu(*, generator: torch.Generator, input_dim: int, output_dim: int, **_: Any) -> nn.Module:
    """Return a network whose activation is trained too."""
    return Chain(nn.PReLU(), input_dim, output_dim, generator)


def dropout(*, generator: torch.Generator, input_dim: int, output_dim: int, **_: Any) -> nn.Module:
    """Return a network that draws from the global generator while it trains."""
    return Chain(nn.Dropout(0.3), input_dim, output_dim, generator)


def heedless(*, generator: torch.Generator, input_dim: int, output_dim: int, **_: Any) -> nn.Module:
    """Return a network that is drawn from the global generator, whatever it is given."""
    return nn.Sequential(nn.Linear(input_dim, 6), nn.Tanh(), nn.Linear(6, output_dim))


class Functional(nn.Module):
    """A network that draws from the global generator by a function, unseen by any look at its modules."""

    def __init__(self, *, generator: torch.Generator, input_dim: int, output_dim: int, **_: Any) -> None:
        super().__init__()
        self.chain = Chain(nn.Tanh(), input_dim, output_dim, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs, some of them dropped while it trains."""
        return F.dropout(self.chain(x), 0.2, self.training)


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return a loss that dlexp does not have."""
    return F.huber_loss(outputs, targets, delta=0.3)
