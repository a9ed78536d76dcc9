"""A recurrent network."""

import torch
from torch import Tensor, nn

from dlexp.models.initialization import draw_weights


class GRU(nn.Module):
    """Gated recurrent units over the inputs, one number after the other, and a readout of the last state.

    Cho et al. 2014; ``depth`` layers of ``width`` units. Inputs (N, input_dim), outputs (N, output_dim).
    Weights are drawn from ``generator``.

    >>> network = GRU(input_dim=5, width=3, generator=torch.Generator().manual_seed(0))
    >>> network(torch.zeros(2, 5)).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        *,
        input_dim: int,
        output_dim: int = 1,
        width: int = 6,
        depth: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.recurrent = nn.GRU(1, width, num_layers=depth, batch_first=True)
        self.readout = nn.Linear(width, output_dim)
        draw_weights(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, input_dim) to outputs (N, output_dim)."""
        states, _ = self.recurrent(x.unsqueeze(-1))
        outputs: Tensor = self.readout(states[:, -1])
        return outputs
