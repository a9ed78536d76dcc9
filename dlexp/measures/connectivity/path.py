"""Paths through weight space between two networks, the loss along them and the height of its barrier."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least, require_one_of
from dlexp.measures.functional import Loss, parameter_vector, trainable_parameters
from dlexp.measures.points import combination_losses

BARRIER_DEFINITIONS = ("linear", "max_end", "mean_end")


class Path(Protocol):
    """A path theta(t) = sum_k w_k(t) knots[k], t in [0, 1], from ``knots[0]`` to ``knots[-1]``."""

    @property
    def knots(self) -> Tensor:
        """The points (K, P) that span the path."""

    def weights(self, positions: Tensor) -> Tensor:
        """Return w (B, K) at the positions (B,)."""


@dataclass(frozen=True)
class PolygonalChain:
    """Straight segments through ``knots`` (K, P), each over an equal share of [0, 1]; a line for K = 2."""

    knots: Tensor

    def weights(self, positions: Tensor) -> Tensor:
        """Return the weights (B, K) of the knots at ``positions`` (B,): two neighbours share each point."""
        segments = len(self.knots) - 1
        distance = positions[:, None] * segments - torch.arange(segments + 1, device=positions.device)
        return (1 - distance.abs()).clamp(min=0)


@dataclass(frozen=True)
class BezierCurve:
    """The Bezier curve of degree K - 1 with control points ``knots`` (K, P); quadratic for K = 3."""

    knots: Tensor

    def weights(self, positions: Tensor) -> Tensor:
        """Return the Bernstein polynomials binom(n, k) t^k (1 - t)^(n - k), n = K - 1, as (B, K)."""
        n = len(self.knots) - 1
        return torch.stack(
            [math.comb(n, k) * positions**k * (1 - positions) ** (n - k) for k in range(n + 1)], dim=1
        )


def end_points(model_a: nn.Module, model_b: nn.Module) -> Tensor:
    """Return the parameter vectors of two networks as (2, P): the knots of the straight line between them.

    Raises ``ValueError`` if the trainable parameters differ in name, shape, type or device, or if frozen
    parameters or buffers differ in value: a path through the trainable parameters would then not end at both.

    >>> end_points(nn.Linear(3, 2), nn.Linear(3, 2)).shape
    torch.Size([2, 8])
    """
    a, b = trainable_parameters(model_a), trainable_parameters(model_b)
    described_a, described_b = (
        {name: (tuple(p.shape), p.dtype, p.device) for name, p in parameters.items()} for parameters in (a, b)
    )
    if list(described_a.items()) != list(described_b.items()):
        odd = next(
            (n for n in [*a, *b] if described_a.get(n) != described_b.get(n)), "the order of the parameters"
        )
        raise ValueError(
            f"model_a and model_b must have the same trainable parameters; they differ in {odd!r}"
        )
    fixed_a, fixed_b = (
        {name: value for name, value in model.state_dict().items() if name not in a}
        for model in (model_a, model_b)
    )
    for name in [*fixed_a, *(n for n in fixed_b if n not in fixed_a)]:
        if name not in fixed_a or name not in fixed_b or not torch.equal(fixed_a[name], fixed_b[name]):
            raise ValueError(
                f"model_a and model_b must share their frozen parameters and buffers; they differ in {name!r}"
            )
    return torch.stack([parameter_vector(model_a), parameter_vector(model_b)])


def path_losses(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    path: Tensor | Path,
    *,
    points: int = 25,
    chunk_size: int | None = None,
) -> Tensor:
    """Return the losses (points,) at equally spaced positions of a path, both ends included bit for bit.

    ``path`` is a tensor of knots (K, P), joined by straight lines (``end_points(model_a, model_b)`` for the
    line between two networks), or a :class:`Path` such as a fitted curve. ``model`` gives the architecture;
    its own parameters do not matter.

    Raises ``ValueError`` for fewer than two points or knots, and for knots that do not fit the model.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> path_losses(model, mean_squared_error, x, y, torch.tensor([[1.0, 0.0], [3.0, 0.0]]), points=3)
    tensor([1., 4., 9.])
    """
    require_at_least(2, points=points)  # both ends
    path = PolygonalChain(path) if isinstance(path, Tensor) else path
    if path.knots.ndim != 2 or len(path.knots) < 2:
        raise ValueError(f"path must have at least two knots (K, P), got {tuple(path.knots.shape)}")
    # i / (points - 1) holds 0, 1 and the inner knots without rounding error, unlike linspace.
    positions = torch.arange(points, dtype=torch.float64, device=path.knots.device) / (points - 1)
    weights = path.weights(positions)
    return combination_losses(model, loss_fn, x, y, weights, path.knots, chunk_size=chunk_size)


def barrier(losses: Tensor, definition: str = "linear") -> Tensor:
    """Return the barrier (...) of losses (..., T) at equally spaced positions t of a path, ends included.

    - ``linear``: max_t L(t) - [(1 - t) L(0) + t L(1)] (Entezari et al. 2022; Ainsworth et al. 2023);
    - ``max_end``: max_t L(t) - max(L(0), L(1)) (Garipov et al. 2018);
    - ``mean_end``: max_t L(t) - (L(0) + L(1)) / 2 (Frankle et al. 2020).

    None is negative, as the maximum includes the ends. NaN losses give NaN.

    Raises ``ValueError`` for an unknown definition and fewer than two losses.

    >>> barrier(torch.tensor([1.0, 5.0, 2.0]))
    tensor(3.5000)
    """
    require_one_of(BARRIER_DEFINITIONS, definition=definition)
    if losses.ndim < 1 or losses.shape[-1] < 2:
        raise ValueError(f"losses must have shape (..., T) with T >= 2, got {tuple(losses.shape)}")
    start, end = losses[..., :1], losses[..., -1:]
    if definition == "linear":
        t = torch.linspace(0, 1, losses.shape[-1], dtype=losses.dtype, device=losses.device)
        reference = (1 - t) * start + t * end
    elif definition == "max_end":
        reference = torch.maximum(start, end)
    else:
        reference = (start + end) / 2
    return (losses - reference).amax(dim=-1)
