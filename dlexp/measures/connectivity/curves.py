"""Low-loss curves between two networks, trained with the ends held fixed (Garipov et al. 2018)."""

import copy
import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from dlexp.measures.batched_losses import linear_combinations
from dlexp.measures.connectivity.path import BezierCurve, Path, PolygonalChain
from dlexp.measures.functional import Loss, parameter_vector, require_deterministic

_Curve = TypeVar("_Curve", bound=Path)


def fit_bezier(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    ends: Tensor,
    *,
    generator: torch.Generator,
    control_points: int = 1,
    steps: int = 2000,
    learning_rate: float = 0.005,
    batch_size: int | None = None,
) -> BezierCurve:
    """Return a Bezier curve between ``ends`` (2, P) whose control points minimise E L(theta(t)), t ~ U(0, 1).

    One control point c gives the quadratic curve theta(t) = (1-t)^2 a + 2t(1-t) c + t^2 b (Garipov et al.
    2018, section 3, with their loss for uniform t rather than uniform arc length). It starts as the
    straight line. Each of ``steps`` steps of Adam, its learning rate falling from ``learning_rate`` to 0 as
    half a cosine, takes one t and the next ``batch_size`` rows of ``x`` (N, ...) and ``y`` of a permutation
    drawn anew for each epoch (all rows for None), both from ``generator``. ``model`` gives the architecture
    only.

    Raises ``ValueError`` for ends that do not fit the model and for counts, batch sizes and learning rates
    out of range; ``FloatingPointError`` if the training diverges.
    """
    knots = _straight_knots(model, ends, control_points)
    return _fit(BezierCurve, model, loss_fn, x, y, knots, generator, steps, learning_rate, batch_size)


def fit_polygonal_chain(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    ends: Tensor,
    *,
    generator: torch.Generator,
    control_points: int = 1,
    steps: int = 2000,
    learning_rate: float = 0.005,
    batch_size: int | None = None,
) -> PolygonalChain:
    """Return straight segments between ``ends`` (2, P) through ``control_points`` trained bends.

    Otherwise as :func:`fit_bezier` (Garipov et al. 2018, section 3).
    """
    knots = _straight_knots(model, ends, control_points)
    return _fit(PolygonalChain, model, loss_fn, x, y, knots, generator, steps, learning_rate, batch_size)


def _straight_knots(model: nn.Module, ends: Tensor, control_points: int) -> Tensor:
    own = parameter_vector(model)
    if ends.shape != (2, own.numel()):
        raise ValueError(f"ends must have shape (2, {own.numel()}) for this model, got {tuple(ends.shape)}")
    if control_points < 1:
        raise ValueError(f"control_points={control_points} must be at least 1")
    t = torch.arange(control_points + 2, dtype=torch.float64, device=own.device) / (control_points + 1)
    return linear_combinations(torch.stack([1 - t, t], dim=1).to(own), ends.to(own))


def _fit(
    curve: Callable[[Tensor], _Curve],
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    knots: Tensor,
    generator: torch.Generator,
    steps: int,
    learning_rate: float,
    batch_size: int | None,
) -> _Curve:
    require_deterministic(model)
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1")
    if not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate={learning_rate} must be a positive number")
    if batch_size is not None and not 1 <= batch_size <= len(x):
        raise ValueError(f"batch_size={batch_size} must be between 1 and the number of rows, {len(x)}")
    knots = knots.clone()
    positions = torch.rand(steps, dtype=torch.float64, device=generator.device, generator=generator)
    weights = curve(knots).weights(positions).to(knots)
    inner = knots[1:-1]
    optimizer = torch.optim.Adam([inner], lr=learning_rate, fused=True)
    batches = _batches(x, y, batch_size, generator)
    network, point, gradient = _flat_copy(model)
    with torch.enable_grad():
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
            point.copy_(linear_combinations(weights[step : step + 1], knots)[0])
            gradient.zero_()
            x_batch, y_batch = next(batches)
            loss_fn(network(x_batch), y_batch).backward()
            inner.grad = weights[step, 1:-1, None] * gradient  # of the control points, by the chain rule
            optimizer.step()
    if not bool(knots.isfinite().all()):
        raise FloatingPointError(f"the curve diverged with learning_rate={learning_rate}; use a smaller one")
    return curve(knots)


def _flat_copy(model: nn.Module) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a copy of ``model``, and its trainable parameters and their gradients, as two vectors (P,).

    Both are the memory that the copy works on: writing the first moves the copy, ``backward`` adds to the
    second. A step then costs no taking apart and putting together of vectors.
    """
    network = copy.deepcopy(model)
    point = parameter_vector(network)
    gradient = torch.zeros_like(point)
    parameters = [p for p in network.parameters() if p.requires_grad]
    sizes = [p.numel() for p in parameters]
    for parameter, value, slope in zip(parameters, point.split(sizes), gradient.split(sizes), strict=True):
        parameter.data, parameter.grad = value.view_as(parameter), slope.view_as(parameter)
    return network, point, gradient


def _batches(
    x: Tensor, y: Tensor, batch_size: int | None, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    while batch_size is None:
        yield x, y
    while True:
        order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
        for start in range(0, len(x) - batch_size + 1, batch_size):
            rows = order[start : start + batch_size]
            yield x[rows], y[rows]
