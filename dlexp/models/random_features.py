"""Random features: a two-layer network whose first layer stays as it was drawn."""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.models.activations import ACTIVATIONS
from dlexp.models.layers import ScaledLinear


class FrozenLinear(nn.Module):
    """``x -> x W^T`` with rows of W (out_features, in_features) uniform on the unit sphere.

    W is a buffer: saved with the model, but no parameter, so nothing trains, prunes or counts it.
    """

    weight: Tensor

    def __init__(self, in_features: int, out_features: int, *, generator: torch.Generator) -> None:
        super().__init__()
        # Drawn in float64: float32 and float64 runs have the same features.
        rows = torch.randn(out_features, in_features, dtype=torch.float64, generator=generator)
        self.register_buffer("weight", (rows / rows.norm(dim=1, keepdim=True)).to(torch.get_default_dtype()))

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return F.linear(x, self.weight)


class RandomFeatures(nn.Sequential):
    """``f(x) = a phi(W x) / sqrt(width) + b`` with W frozen; only the readout a (and b) is trained.

    Rows of W are uniform on the unit sphere. For inputs of norm sqrt(d) the pre-activations are then the
    <theta, x> / sqrt(d), |theta| = sqrt(d), of Mei and Montanari (2019): of order 1 in any dimension.
    Their readout has no 1 / sqrt(width); here it makes the kernel ``phi(W x) . phi(W x') / width``, which is
    the neural tangent kernel (without b) at all times, converge as the width grows, so that one learning
    rate serves all widths. The functions that can be represented are the same, and so are those of least
    norm; a ridge penalty |a|^2 here is ``width`` |a|^2 there.

    ``initialization`` of a: ``zeros``, or ``normal``, N(0, 1), drawn from ``generator`` after W; b starts
    at 0.

    Raises ``ValueError`` for an unknown activation or initialisation.
    """

    hidden: FrozenLinear
    activation: nn.Module
    readout: ScaledLinear

    def __init__(
        self,
        *,
        input_dim: int,
        width: int,
        generator: torch.Generator,
        output_dim: int = 1,
        activation: str = "relu",
        bias: bool = False,
        initialization: str = "zeros",
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation={activation!r} is unknown; allowed: {', '.join(ACTIVATIONS)}")
        if initialization not in ("zeros", "normal"):
            raise ValueError(f"initialization={initialization!r} is unknown; allowed: zeros, normal")
        readout = ScaledLinear(width, output_dim, bias=bias, weight_scale=1 / math.sqrt(width))
        super().__init__(
            OrderedDict(
                hidden=FrozenLinear(input_dim, width, generator=generator),
                activation=ACTIVATIONS[activation].module(),
                readout=readout,
            )
        )
        if initialization == "normal":
            with torch.no_grad():
                readout.weight.copy_(
                    torch.randn(readout.weight.shape, dtype=torch.float64, generator=generator)
                )

    def features(self, x: Tensor) -> Tensor:
        """Return phi(W x) / sqrt(width), (N, width): the inputs of the trained linear map."""
        features: Tensor = self.activation(self.hidden(x))
        return features / math.sqrt(self.hidden.weight.shape[0])
