"""The loss on grids through weight space that hold their centre exactly."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_positive
from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.points import combination_losses


class Line(NamedTuple):
    """``losses`` (n,) at ``origin + coordinates[i] * direction``."""

    coordinates: Tensor
    losses: Tensor


class Plane(NamedTuple):
    """``losses`` (n1, n2) at ``origin + first[i] * directions[0] + second[j] * directions[1]``."""

    first: Tensor
    second: Tensor
    losses: Tensor


def loss_line(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    direction: Tensor,
    *,
    origin: Tensor | None = None,
    extent: float = 1.0,
    points: int = 51,
    chunk_size: int | None = None,
) -> Line:
    """Return the loss along ``origin + a * direction`` for ``points`` values a in [-extent, extent].

    ``direction`` and ``origin`` are (P,); the origin is the model's own parameters by default, and the middle
    point of the grid is the origin bit for bit.

    Raises ``ValueError`` for an even number of points, an extent that is not positive, and shapes that do
    not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> origin, direction = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0])
    >>> loss_line(model, mean_squared_error, x, y, direction, origin=origin, points=3).losses
    tensor([0., 1., 4.])
    """
    origin = _origin(model, origin)
    if direction.shape != origin.shape:
        raise ValueError(f"direction must have shape {tuple(origin.shape)}, got {tuple(direction.shape)}")
    coordinates = centred_grid(points, extent).to(origin)
    coefficients = torch.stack([torch.ones_like(coordinates), coordinates], dim=1)
    basis = torch.stack([origin, direction.to(origin)])
    losses = combination_losses(model, loss_fn, x, y, coefficients, basis, chunk_size=chunk_size)
    return Line(coordinates, losses)


def loss_plane(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    directions: Tensor,
    *,
    origin: Tensor | None = None,
    extent: float | tuple[float, float] = 1.0,
    points: int | tuple[int, int] = 51,
    chunk_size: int | None = None,
) -> Plane:
    """Return the loss on the plane ``origin + a * directions[0] + b * directions[1]``.

    ``directions`` (2, P); a and b run over [-extent, extent] in ``points`` steps, both may be given per
    axis. The origin is the model's own parameters by default, and the middle point of the grid is the
    origin bit for bit.

    Raises ``ValueError`` for an even number of points, an extent that is not positive, and shapes that do
    not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> loss_plane(model, mean_squared_error, x, y, torch.eye(2), origin=torch.zeros(2), points=3).losses
    tensor([[4., 1., 0.],
            [1., 0., 1.],
            [0., 1., 4.]])
    """
    origin = _origin(model, origin)
    if directions.shape != (2, origin.numel()):
        raise ValueError(f"directions must have shape (2, {origin.numel()}), got {tuple(directions.shape)}")
    extents = extent if isinstance(extent, tuple) else (extent, extent)
    counts = points if isinstance(points, tuple) else (points, points)
    first, second = (centred_grid(n, e).to(origin) for n, e in zip(counts, extents, strict=True))
    pairs = torch.cartesian_prod(first, second)
    coefficients = torch.cat([torch.ones_like(pairs[:, :1]), pairs], dim=1)
    basis = torch.cat([origin[None], directions.to(origin)])
    losses = combination_losses(model, loss_fn, x, y, coefficients, basis, chunk_size=chunk_size)
    return Plane(first, second, losses.reshape(counts))


def centred_grid(points: int, extent: float) -> Tensor:
    """Return ``points`` equally spaced numbers in [-extent, extent] (float64), the middle one exactly 0.

    Raises ``ValueError`` if ``points`` is even or below 3, or ``extent`` is not a positive number.

    >>> centred_grid(3, 0.5)
    tensor([-0.5000,  0.0000,  0.5000], dtype=torch.float64)
    """
    if points < 3 or points % 2 == 0:
        raise ValueError(f"points={points} must be odd and at least 3, so that the grid holds its centre")
    require_positive(extent=extent)
    half = points // 2
    return torch.arange(-half, half + 1, dtype=torch.float64) * extent / half


def negative_second_difference_share(losses: Tensor) -> float:
    """Return the share of negative second differences of losses (n,) on a uniform line.

    The differences are L[i-1] - 2 L[i] + L[i+1]; the share is 0 for a convex line.
    Differences within rounding, 4 eps max|L|, count as zero.

    Raises ``ValueError`` for fewer than three losses and for losses that are not finite.

    >>> negative_second_difference_share(torch.tensor([0.0, 1.0, 4.0, 5.0]))
    0.5
    """
    if losses.ndim != 1 or len(losses) < 3:
        raise ValueError(f"losses must have shape (n,) with n >= 3, got {tuple(losses.shape)}")
    if not bool(losses.isfinite().all()):
        raise ValueError("losses holds values that are not finite, whose curvature has no sign")
    tolerance = 4 * torch.finfo(losses.dtype).eps * losses.abs().max()
    return float((losses.diff(n=2) < -tolerance).double().mean())


def _origin(model: nn.Module, origin: Tensor | None) -> Tensor:
    own = parameter_vector(model)
    if origin is None:
        return own
    if origin.shape != own.shape:
        raise ValueError(f"origin must have shape {tuple(own.shape)}, got {tuple(origin.shape)}")
    return origin.to(own)
