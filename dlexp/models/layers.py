"""A linear layer whose parametrisation carries explicit multipliers."""

import torch.nn.functional as F
from torch import Tensor, nn


class ScaledLinear(nn.Linear):
    """``y = weight_scale * x W^T + bias_scale * b``.

    The multipliers are what separates parametrisations with the same initial function but other training
    dynamics (NTK: Jacot et al. 2018, eq. 1; mup: Yang & Hu 2021, "abc-parametrisation"). Measures read
    ``weight_scale`` and ``bias_scale`` from the layer.

    Shapes: ``x`` (..., in_features) -> (..., out_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        weight_scale: float = 1.0,
        bias_scale: float = 1.0,
    ) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.weight_scale = weight_scale
        self.bias_scale = bias_scale

    def reset_parameters(self) -> None:
        """Start from zero: the network that holds the layer draws its weights from an explicit generator."""
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        # A multiplication by one would cost a tenth of a small network's training step.
        weight = self.weight if self.weight_scale == 1 else self.weight_scale * self.weight
        bias = self.bias if self.bias is None or self.bias_scale == 1 else self.bias_scale * self.bias
        return F.linear(x, weight, bias)

    def extra_repr(self) -> str:  # noqa: D102
        return f"{super().extra_repr()}, weight_scale={self.weight_scale:g}, bias_scale={self.bias_scale:g}"
