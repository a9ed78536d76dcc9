"""Convolutional networks: of series, and of images."""

import math

import torch
from torch import Tensor, nn

from dlexp.models.activations import ACTIVATIONS
from dlexp.models.initialization import draw_weights


class Conv1d(nn.Module):
    """Convolutions of stride 2 along the inputs, taken for a series of one channel, and a linear readout.

    The network of MNIST-1D (Greydanus 2020), where ``width`` is 25, ``depth`` 3 and ``input_dim`` 40: a
    kernel of 5, then kernels of 3. Inputs (N, input_dim), outputs (N, output_dim). Weights are drawn from
    ``generator`` (:func:`~dlexp.models.initialization.draw_weights`). Raises ``ValueError`` where the series
    is too short for so many layers.

    >>> network = Conv1d(input_dim=40, width=3, generator=torch.Generator().manual_seed(0))
    >>> network(torch.zeros(2, 40)).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        *,
        input_dim: int,
        output_dim: int = 1,
        width: int = 25,
        depth: int = 3,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels, length = 1, input_dim
        for index in range(depth):
            kernel = 3 if index else 5
            length = (length + 2 - kernel) // 2 + 1
            if length < 1:
                raise ValueError(f"depth={depth} is not allowed: a series of {input_dim} is too short for it")
            layers += [
                nn.Conv1d(channels, width, kernel, stride=2, padding=1),
                ACTIVATIONS[activation].module(),
            ]
            channels = width
        self.hidden = nn.Sequential(*layers)
        self.readout = nn.Linear(channels * length, output_dim)
        draw_weights(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, input_dim) to outputs (N, output_dim)."""
        outputs: Tensor = self.readout(self.hidden(x.unsqueeze(1)).flatten(1))
        return outputs


class CNN(nn.Module):
    """Convolutions of 3 x 3 with pooling between them, and a linear readout, as LeNet (LeCun et al. 1998).

    Inputs (N, input_dim) are square images of one channel, row by row; each of ``depth`` layers has twice the
    channels of the one before, at first ``width``, and halves the image. Outputs (N, output_dim). Weights are
    drawn from ``generator``. Raises ``ValueError`` for inputs that are no square, or too small an image.

    >>> network = CNN(input_dim=64, output_dim=10, width=4, generator=torch.Generator().manual_seed(0))
    >>> network(torch.zeros(2, 64)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        *,
        input_dim: int,
        output_dim: int = 1,
        width: int = 16,
        depth: int = 2,
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.side = math.isqrt(input_dim)
        if self.side**2 != input_dim or self.side >> depth < 1:
            raise ValueError(
                f"input_dim={input_dim} is not allowed: it must be a square image of at least {2**depth} x "
                f"{2**depth}, to be halved {depth} times"
            )
        layers: list[nn.Module] = []
        channels = 1
        for index in range(depth):
            layers += [
                nn.Conv2d(channels, width * 2**index, 3, padding=1),
                ACTIVATIONS[activation].module(),
                nn.MaxPool2d(2),
            ]
            channels = width * 2**index
        self.hidden = nn.Sequential(*layers)
        self.readout = nn.Linear(channels * (self.side >> depth) ** 2, output_dim)
        draw_weights(self, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, input_dim) to outputs (N, output_dim)."""
        outputs: Tensor = self.readout(self.hidden(x.view(-1, 1, self.side, self.side)).flatten(1))
        return outputs
