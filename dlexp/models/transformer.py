"""A transformer of rows that are cut into tokens."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlexp.models.activations import ACTIVATIONS
from dlexp.models.initialization import draw_weights


class _Block(nn.Module):
    """Self-attention, then a network of one hidden layer, each of normalised inputs and added to them."""

    def __init__(self, width: int, heads: int, activation: str) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.hidden = nn.Sequential(
            nn.Linear(width, 4 * width), ACTIVATIONS[activation].module(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor) -> Tensor:
        projected = self.project(self.attention_norm(h)).unflatten(-1, (3, self.heads, -1))
        queries, keys, values = projected.movedim(-3, 0).transpose(2, 3)  # (N, heads, tokens, width / heads)
        attended = F.scaled_dot_product_attention(queries, keys, values)
        h = h + self.mix(attended.transpose(1, 2).flatten(-2))
        changed: Tensor = h + self.hidden(self.hidden_norm(h))
        return changed


class Transformer(nn.Module):
    """Self-attention over pieces of the inputs, without dropout; the mean of the last tokens is read out.

    Vaswani et al. 2017, pre-normalised (Xiong et al. 2020): the inputs are cut into ``tokens`` pieces of the
    same length, each mapped to ``width`` numbers beside a trained position, and changed by ``depth`` blocks
    of ``heads`` heads. Inputs (N, input_dim), outputs (N, output_dim). Weights are drawn from ``generator``.
    Raises ``ValueError`` where ``tokens`` does not divide ``input_dim`` or ``heads`` the width.

    >>> network = Transformer(input_dim=64, tokens=16, width=8, generator=torch.Generator().manual_seed(0))
    >>> network(torch.zeros(2, 64)).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        *,
        input_dim: int,
        output_dim: int = 1,
        width: int = 32,
        depth: int = 2,
        heads: int = 2,
        tokens: int = 16,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if input_dim % tokens:
            raise ValueError(f"tokens={tokens} is not allowed: it must divide input_dim={input_dim}")
        if width % heads:
            raise ValueError(f"heads={heads} is not allowed: it must divide width={width}")
        self.tokens = tokens
        self.embedding = nn.Linear(input_dim // tokens, width)
        self.position = nn.Parameter(torch.zeros(tokens, width))
        self.blocks = nn.Sequential(*(_Block(width, heads, activation) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, output_dim)
        draw_weights(self, generator)
        with torch.no_grad():
            self.position.copy_(0.02 * torch.randn(tokens, width, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, input_dim) to outputs (N, output_dim)."""
        h = self.embedding(x.unflatten(-1, (self.tokens, -1))) + self.position
        outputs: Tensor = self.readout(self.norm(self.blocks(h)).mean(dim=-2))
        return outputs
