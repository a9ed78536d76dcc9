"""Low-loss curves between two networks, trained with the ends held fixed (Garipov et al. 2018)."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least, require_positive
from dlexp.measures.connectivity.path import BezierCurve
from dlexp.measures.functional import FunctionalLoss, Loss, parameter_vector
from dlexp.measures.isolation import differentiable, ordinary
from dlexp.measures.points import linear_combinations


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
    drawn anew for each epoch, the rest in its last batch (all rows for None), both from ``generator``.
    ``model`` gives the architecture only.

    Raises ``ValueError`` as :class:`~dlexp.measures.functional.FunctionalLoss`, for ends that do not fit the
    model and for counts, batch sizes and learning rates out of range; ``FloatingPointError`` if the training
    diverges.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> x, y, ends = torch.ones(4, 1), torch.zeros(4, 1), torch.tensor([[2.0, 1.0], [1.0, 2.0]])
    >>> generator = torch.Generator().manual_seed(0)
    >>> model = nn.Linear(1, 1)
    >>> curve = fit_bezier(model, mean_squared_error, x, y, ends, generator=generator, steps=100)
    >>> bool((curve.knots[1] < 1.5).all())  # towards w + b = 0
    True
    """
    require_at_least(1, control_points=control_points, steps=steps)
    require_positive(learning_rate=learning_rate)
    knots = _straight_knots(model, ends, control_points)
    if batch_size is not None and not 1 <= batch_size <= len(x):
        raise ValueError(f"batch_size={batch_size} must be between 1 and the number of rows, {len(x)}")
    loss = FunctionalLoss(model, loss_fn, x, y)
    with differentiable():
        knots = knots.clone()
        positions = torch.rand(steps, dtype=torch.float64, device=generator.device, generator=generator)
        weights = BezierCurve(knots).weights(positions).to(knots)
        inner = knots[1:-1]
        optimizer = torch.optim.Adam([inner], lr=learning_rate, fused=True)
        batches = _batches(loss.model.x, loss.y, batch_size, generator)
        point, gradient = _flat_memory(loss)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
            point.copy_(linear_combinations(weights[step : step + 1], knots)[0])
            gradient.zero_()
            x_batch, y_batch = next(batches)
            loss_fn(loss.model.outputs(x_batch), y_batch).reshape(()).backward()
            inner.grad = weights[step, 1:-1, None] * gradient  # of the control points, by the chain rule
            optimizer.step()
    if not bool(knots.isfinite().all()):
        raise FloatingPointError(f"the curve diverged with learning_rate={learning_rate}; use a smaller one")
    return BezierCurve(knots)


def _straight_knots(model: nn.Module, ends: Tensor, control_points: int) -> Tensor:
    own = parameter_vector(model)
    if ends.shape != (2, own.numel()):
        raise ValueError(f"ends must have shape (2, {own.numel()}) for this model, got {tuple(ends.shape)}")
    t = torch.arange(control_points + 2, dtype=torch.float64, device=own.device) / (control_points + 1)
    return linear_combinations(torch.stack([1 - t, t], dim=1).to(own), ordinary(ends).to(own))


def _flat_memory(loss: FunctionalLoss) -> tuple[Tensor, Tensor]:
    """Return the parameters of the loss's copy and their gradients as two vectors (P,).

    Both are the memory that the copy works on: writing the first moves the copy, ``backward`` adds to the
    second. A step then costs no taking apart and putting together of vectors.
    """
    parameters = loss.model.parameters
    point = loss.model.vector
    gradient = torch.zeros_like(point)
    sizes = [p.numel() for p in parameters]
    for parameter, value, slope in zip(parameters, point.split(sizes), gradient.split(sizes), strict=True):
        parameter.data, parameter.grad = value.view_as(parameter), slope.view_as(parameter)
    return point, gradient


def _batches(
    x: Tensor, y: Tensor, batch_size: int | None, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    while batch_size is None:
        yield x, y
    while True:
        order = torch.randperm(len(x), generator=generator, device=generator.device).to(x.device)
        for rows in order.split(batch_size):
            yield x[rows], y[rows]
