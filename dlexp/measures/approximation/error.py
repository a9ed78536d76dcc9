"""The distance of a network to a known function, and the bounds that constructions promise."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.determinism import require_deterministic, require_fixed, require_inputs
from dlexp.measures.isolation import differentiable, ordinary, private_copy


class ApproximationError(NamedTuple):
    """The errors of a network on a grid."""

    supremum: float
    mean_squared: float


@torch.no_grad()
def approximation_error(
    model: nn.Module, target: Callable[[Tensor], Tensor], x: Tensor, *, chunk_size: int = 65536
) -> ApproximationError:
    """Return ``max |f - target|`` and the mean of ``(f - target)^2`` over the points x (N, ...).

    On a grid the maximum is a lower bound of the sup error over the domain: with a difference that is
    L-Lipschitz and a one-dimensional grid of spacing h the two differ by at most L h / 2. For a piecewise
    linear network and a quadratic target it is exact if the grid holds the midpoints of the pieces.

    ``target`` maps x to the outputs' shape (N, K), or to (N,) if K = 1. Raises ``ValueError`` for other
    shapes, an empty grid and a model that is random in training mode.

    >>> model = nn.Linear(1, 1)
    >>> approximation_error(model, model, torch.rand(9, 1))
    ApproximationError(supremum=0.0, mean_squared=0.0)
    """
    require_deterministic(model)
    require_inputs(model, x)
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size} holds no points; allowed: 1 or more")
    network = private_copy(model)
    probe = require_fixed(private_copy(model), x[:chunk_size])
    largest, total, entries = probe.new_zeros(()), probe.new_zeros((), dtype=torch.float64), 0
    for points in ordinary(x).split(chunk_size):
        with differentiable(), torch.no_grad():
            outputs, values = network(points.clone()), target(points)
        if values.shape not in (
            outputs.shape,
            outputs.shape[:-1] if outputs.shape[-1] == 1 else outputs.shape,
        ):
            raise ValueError(
                f"target returns {tuple(values.shape)} where the model returns {tuple(outputs.shape)}; "
                "allowed: the same shape"
            )
        error = (outputs - values.reshape(outputs.shape)).abs()
        largest = torch.maximum(largest, error.max())  # torch.maximum keeps NaN
        total = total + error.double().square().sum()
        entries += error.numel()
    return ApproximationError(largest.item(), total.item() / entries)


def piecewise_constant_bound(lipschitz: float, spacing: float, *, steepness: float = math.inf) -> float:
    """Bound the sup error of steps at nodes ``spacing`` = h apart: ``Lip(f) (h / 2 + 2 ln 2 / k)``.

    With hard steps (k infinite) a point is at most h / 2 from its node. With sigmoid steps of slope k =
    ``steepness`` the sum is the mean of f at the node next to x + Z / k with Z logistic, and E|Z| = 2 ln 2.

    Raises ``ValueError`` unless lipschitz >= 0, spacing > 0 and steepness > 0.

    >>> piecewise_constant_bound(2.0, 0.1)
    0.1
    """
    if not (lipschitz >= 0 and spacing > 0 and steepness > 0):
        raise ValueError(
            f"lipschitz={lipschitz}, spacing={spacing}, steepness={steepness}; "
            "allowed: lipschitz >= 0, spacing > 0, steepness > 0"
        )
    return lipschitz * (spacing / 2 + 2 * math.log(2) / steepness)


def piecewise_linear_bound(second_derivative: float, spacing: float) -> float:
    """Bound the sup error of linear interpolation: ``h^2 max|f''| / 8``, h = ``spacing`` of the knots.

    Raises ``ValueError`` unless second_derivative >= 0 and spacing > 0.

    >>> piecewise_linear_bound(2.0, 0.1)
    0.0025000000000000005
    """
    if not (second_derivative >= 0 and spacing > 0):
        raise ValueError(
            f"second_derivative={second_derivative}, spacing={spacing}; "
            "allowed: second_derivative >= 0, spacing > 0"
        )
    return spacing**2 * second_derivative / 8
