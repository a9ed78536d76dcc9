"""A residual network of fully connected blocks."""

import torch
from torch import Tensor, nn

from dlexp.models.activations import ACTIVATIONS
from dlexp.models.initialization import draw_weights


class ResidualMLP(nn.Module):
    """``h <- h + V phi(W norm(h))`` in each of ``depth`` blocks, between a linear layer in and one out.

    Pre-normalised residual blocks (He et al. 2016, Xiong et al. 2020) of ``width`` units, with layer
    normalisation. Inputs (N, input_dim), outputs (N, output_dim). Weights are drawn from ``generator``.

    >>> network = ResidualMLP(input_dim=3, width=8, generator=torch.Generator().manual_seed(0))
    >>> network(torch.zeros(2, 3)).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        *,
        input_dim: int,
        output_dim: int = 1,
        width: int = 64,
        depth: int = 4,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.embedding = nn.Linear(input_dim, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, width),
                ACTIVATIONS[activation].module(),
                nn.Linear(width, width),
            )
            for _ in range(depth)
        )
        self.readout = nn.Linear(width, output_dim)
        draw_weights(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, input_dim) to outputs (N, output_dim)."""
        h = self.embedding(x)
        for block in self.blocks:
            h = h + block(h)
        outputs: Tensor = self.readout(h)
        return outputs
