"""The activations: one table of names, modules and, where it follows from the value, derivatives."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_aten = torch.ops.aten


class Erf(nn.Module):
    """The error function, elementwise: the activation whose infinite-width kernels are arcsines."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.erf(x)


@dataclass(frozen=True)
class Activation:
    """An elementwise activation without state.

    Attributes:
        name: in configurations.
        module: its class, made without arguments.
        apply_: the activation, in place; None: the module is called.
        multiply_by_derivative_: ``(g, h)`` to g phi'(z), written over g, from the activation's *values* h =
            phi(z); None where phi' does not follow from h, and autograd differentiates.
    """

    name: str
    module: type[nn.Module]
    apply_: Callable[[Tensor], Tensor] | None = None
    multiply_by_derivative_: Callable[[Tensor, Tensor], Tensor] | None = None


ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation(
            "relu",
            nn.ReLU,
            torch.relu_,
            lambda g, h: _aten.threshold_backward.grad_input(g, h, 0, grad_input=g),
        ),
        Activation(
            "tanh", nn.Tanh, torch.tanh_, lambda g, h: _aten.tanh_backward.grad_input(g, h, grad_input=g)
        ),
        Activation(
            "sigmoid",
            nn.Sigmoid,
            torch.sigmoid_,
            lambda g, h: _aten.sigmoid_backward.grad_input(g, h, grad_input=g),
        ),
        Activation("linear", nn.Identity, lambda z: z, lambda g, h: g),
        Activation("gelu", nn.GELU),
        Activation("erf", Erf),
    )
}

BY_MODULE: dict[type[nn.Module], Activation] = {a.module: a for a in ACTIVATIONS.values()}
