"""How much a surface depends on the scale of the layers, which the network's function does not."""

import torch
from torch import Tensor, nn

from dlexp.measures.functional import Loss
from dlexp.measures.landscape.balance import rescale_first_layer
from dlexp.measures.landscape.directions import random_direction
from dlexp.measures.landscape.grids import loss_plane


def rescaling_change(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    factor: float,
    normalize: str,
    *,
    bias: str = "zero",
    generator: torch.Generator,
    extent: float = 1.0,
    points: int = 21,
) -> float:
    """Return how much the loss plane around a network changes when its first two layers are rescaled.

    The change is max |L' - L| / max |L| over the plane: L that of ``model``, L' that of the same function
    with the first layer times ``factor`` and the second over it, on the same two random draws, scaled to each
    network as ``normalize`` and ``bias`` say (see :func:`~dlexp.measures.landscape.random_direction`). It is
    rounding error where the normalisation undoes the rescaling (``filter``, ``layer``; Li et al. 2018).

    Raises ``ValueError`` for networks that cannot be rescaled (see :func:`rescale_first_layer`) and for
    arguments that :func:`~dlexp.measures.landscape.loss_plane` refuses.

    >>> import torch
    >>> from dlexp.measures.functional import mean_squared_error
    >>> model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> x, generator = torch.rand(5, 1), torch.Generator().manual_seed(0)
    >>> rescaling_change(model, mean_squared_error, x, x, 2.0, "layer", generator=generator) < 1e-4
    True
    """
    state = generator.get_state()
    losses = []
    for network in (model, rescale_first_layer(model, factor)):
        generator.set_state(state)
        directions = torch.stack(
            [random_direction(network, normalize, bias=bias, generator=generator) for _ in range(2)]
        )
        losses.append(loss_plane(network, loss_fn, x, y, directions, extent=extent, points=points).losses)
    reference, rescaled = losses
    return float((rescaled - reference).abs().max() / reference.abs().max())
