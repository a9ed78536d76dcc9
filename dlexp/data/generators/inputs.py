"""The laws of the inputs, drawn in float64 from an explicit generator."""

import math

import torch
from torch import Tensor


def require_input_dim(input_dim: int, minimum: int = 1) -> None:
    """Raise ``ValueError`` if a target that reads ``minimum`` inputs is given fewer."""
    if input_dim < minimum:
        raise ValueError(f"input_dim={input_dim} is too small: this data set needs at least {minimum}")


def normal_inputs(n: int, input_dim: int, generator: torch.Generator) -> Tensor:
    """Return (n, input_dim) independent standard normal entries."""
    return torch.randn(n, input_dim, dtype=torch.float64, generator=generator)


def uniform_inputs(n: int, input_dim: int, generator: torch.Generator) -> Tensor:
    """Return (n, input_dim) independent entries, uniform in [-1, 1)."""
    return 2 * torch.rand(n, input_dim, dtype=torch.float64, generator=generator) - 1


def sphere_inputs(n: int, input_dim: int, generator: torch.Generator) -> Tensor:
    """Return (n, input_dim) rows, uniform on the sphere of radius sqrt(input_dim)."""
    direction = normal_inputs(n, input_dim, generator)
    norm: Tensor = direction.norm(dim=1, keepdim=True)
    return math.sqrt(input_dim) * direction / norm
