"""Brute force that shares no code with the package: double backward, one entry of the Hessian at a time."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

Loss = Callable[[Tensor, Tensor], Tensor]


def _flat_function(model: nn.Module, x: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    start = torch.cat([p.detach().flatten() for _, p in named])

    def outputs(vector: Tensor) -> Tensor:
        values, position = {}, 0
        for name, p in named:
            values[name] = vector[position : position + p.numel()].view(p.shape)
            position += p.numel()
        return functional_call(model, values, (x,))

    return outputs, start


def _brute_hessian(model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor) -> Tensor:
    outputs, start = _flat_function(model, x)
    return torch.autograd.functional.hessian(lambda v: loss_fn(outputs(v), y), start)


@pytest.fixture
def brute_hessian() -> Callable[..., Tensor]:
    return _brute_hessian


@pytest.fixture
def random_symmetric() -> Callable[..., Tensor]:
    def make(eigenvalues: Tensor, seed: int = 0) -> Tensor:
        """A symmetric matrix with these eigenvalues, in a random orthonormal basis."""
        generator = torch.Generator().manual_seed(seed)
        size = len(eigenvalues)
        q = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=generator)).Q
        return (q * eigenvalues) @ q.T

    return make
