"""The linear model."""

import math
from collections import OrderedDict

import torch
from torch import nn

from dlexp.models.layers import ScaledLinear


class Linear(nn.Sequential):
    """``f(x) = W x + b`` with outputs (N, output_dim).

    ``initialization``: ``zeros``, from where gradient descent on least squares finds the solution of least
    norm; ``pytorch``: W and b uniform in +-1/sqrt(input_dim), drawn from ``generator``.

    Raises ``ValueError`` for another initialisation, or if the random one is given no generator.
    """

    def __init__(
        self,
        *,
        input_dim: int,
        output_dim: int = 1,
        bias: bool = True,
        initialization: str = "zeros",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(OrderedDict(readout=ScaledLinear(input_dim, output_dim, bias=bias)))
        if initialization == "zeros":
            return
        if initialization != "pytorch":
            raise ValueError(f"initialization={initialization!r} is unknown; allowed: zeros, pytorch")
        if generator is None:
            raise ValueError("generator=None is not allowed: initialization='pytorch' draws from it")
        bound = 1 / math.sqrt(input_dim)
        with torch.no_grad():
            for parameter in self.parameters():
                draw = torch.rand(parameter.shape, dtype=torch.float64, generator=generator)
                parameter.copy_(bound * (2 * draw - 1))
