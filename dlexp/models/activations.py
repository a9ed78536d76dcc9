"""The activations of the MLP family, by their config name."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Erf(nn.Module):
    """The error function, elementwise: the activation whose infinite-width kernels are arcsines."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.erf(x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "erf": Erf,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}
