"""Drawing the weights of layers from a generator of one's own."""

import math

import torch
from torch import nn


@torch.no_grad()
def draw_weights(network: nn.Module, generator: torch.Generator | None) -> None:
    """Draw what torch's layers draw, uniform in +-1/sqrt(fan-in), from ``generator`` instead.

    The fan-in of a linear or convolutional layer is the number of terms of each output's sum, that of a
    recurrent layer its hidden units. Other layers, as normalisations, stay as they are made. Raises
    ``ValueError`` for a fan-in layer without a generator.

    >>> layer = nn.Linear(4, 1)
    >>> draw_weights(layer, torch.Generator().manual_seed(0))
    >>> bool(layer.weight.abs().max() <= 0.5)
    True
    """
    if generator is None:
        raise ValueError("generator=None is not allowed: the weights are drawn from it")
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            fan_in = module.weight[0].numel()
        elif isinstance(module, nn.RNNBase):
            fan_in = module.hidden_size
        else:
            continue
        for parameter in module.parameters(recurse=False):
            draw = torch.rand(parameter.shape, dtype=torch.float64, generator=generator)
            parameter.copy_((2 * draw - 1) / math.sqrt(fan_in))
