"""Sharpness: how much the loss rises around the parameters.

All are increases of the loss over its value at the parameters w, on the data and the loss given, for
perturbations delta = T u with |u| at most or equal to a radius rho. ``normalization`` chooses T:

- ``"none"``: T = 1, so rho is a Euclidean distance in weight space. It changes when a ReLU layer is scaled up
  and the next one down, which leaves the function as it is (Dinh et al. 2017).
- ``"adaptive"``: T = diag(|w|) over all parameters, biases included (Kwon et al. 2021, ASAM, without their
  stabiliser eta), so rho bounds the relative changes delta_i / w_i. It is invariant under that rescaling.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least, require_one_of, require_positive
from dlexp.measures.functional import FunctionalLoss, Loss, parameter_vector
from dlexp.measures.hessian.random import random_vectors
from dlexp.measures.points import gradients_at, losses_at

Normalization = Literal["none", "adaptive"]

_IDLE_MOVES = 10


class WorstCase(NamedTuple):
    """The largest increase that was found, a lower bound of the true one.

    Attributes:
        increase: L(w + perturbation) - L(w), at least 0.
        perturbation: (P,) delta, with |delta / T| <= radius.
        increases: (n,) where each start ended: their spread tells how local the search was.
        converged: whether the best start came to its end before ``max_steps``.
    """

    increase: float
    perturbation: Tensor
    increases: Tensor
    converged: bool


class MeanIncrease(NamedTuple):
    """A mean over random perturbations and its standard error."""

    increase: float
    standard_error: float


def worst_case(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    radius: float,
    normalization: Normalization = "none",
    n_starts: int = 8,
    max_steps: int = 200,
    tolerance: float = 1e-6,
    generator: torch.Generator | None = None,
    chunk_size: int | None = None,
) -> WorstCase:
    """Return the largest loss increase over the ball |u| <= radius, by projected gradient ascent.

    One start is the step of :func:`one_step`, the others are random points of the sphere; each moves
    along its gradient, is projected back on the ball, and keeps the move only if the loss rises (the step
    doubles after a success and halves after a failure). So the result is never below :func:`one_step` or 0. A
    start ends after ten moves in a row that gain less than ``tolerance`` times its increase. At a minimum
    the value tends to rho^2 lambda_max / 2 for small rho.

    ``generator`` None starts a fresh one at seed 0; ``chunk_size`` starts are evaluated at once (None: all).

    Raises ``ValueError`` for a radius that is not positive, an unknown normalization, and counts below 1.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> round(worst_case(model, mean_squared_error, x, model(x).detach(), radius=0.1).increase, 4)
    0.02
    """
    weights, scale = _point(model, radius, normalization)
    require_at_least(1, n_starts=n_starts, max_steps=max_steps)
    loss = FunctionalLoss(model, loss_fn, x, y)

    def evaluate(u: Tensor) -> tuple[Tensor, Tensor]:
        gradients, losses = gradients_at(loss, weights + scale * u, chunk_size=chunk_size)
        return scale * gradients, losses

    gradient, base = evaluate(torch.zeros_like(weights)[None])
    starts = [_onto_sphere(gradient, radius)]
    if n_starts > 1:
        random = random_vectors(n_starts - 1, weights, generator=generator)
        starts.append(_onto_sphere(random, radius))
    points = torch.cat(starts)
    gradients, values = evaluate(points)
    step = torch.full_like(values, radius)
    idle = torch.zeros_like(values)
    for _ in range(max_steps):
        active = (idle < _IDLE_MOVES).nonzero()[:, 0]
        if len(active) == 0:
            break
        moved = points[active] + _onto_sphere(gradients[active], 1.0) * step[active, None]
        moved = _into_ball(moved, radius)
        new_gradients, new_values = evaluate(moved)
        gain = new_values - values[active]
        better = gain > 0
        accepted = active[better]
        enough = tolerance * (new_values - base).abs()
        points[accepted], values[accepted] = moved[better], new_values[better]
        gradients[accepted] = new_gradients[better]
        step[active] = torch.where(better, 2 * step[active], step[active] / 2)
        idle[active] = torch.where(gain > enough, 0, idle[active] + 1)
    increases = values - base
    best = int(increases.nan_to_num(nan=-torch.inf).argmax())
    converged = float(idle[best]) >= _IDLE_MOVES
    if not float(increases[best]) > 0:
        return WorstCase(0.0, torch.zeros_like(weights), increases, converged)
    return WorstCase(float(increases[best]), scale * points[best], increases, converged)


def one_step(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    radius: float,
    normalization: Normalization = "none",
) -> float:
    """Return L(w + delta) - L(w) for the one ascent step delta = rho T^2 g / |T g|, g the gradient.

    What SAM ascends (Foret et al. 2021, eq. 2; ASAM: Kwon et al. 2021, with p = 2): a lower bound of
    the worst case over the ball, tight only where the loss is nearly linear. 0 where the gradient vanishes.

    Raises ``ValueError`` for a radius that is not positive and an unknown normalization.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> origin = [nn.init.zeros_(p) for p in model.parameters()]
    >>> round(one_step(model, mean_squared_error, x, y - 1, radius=0.1), 4)  # (1 + 0.1 sqrt 2)^2 - 1
    0.3028
    """
    weights, scale = _point(model, radius, normalization)
    loss = FunctionalLoss(model, loss_fn, x, y)
    gradient, base = loss.gradient_at(weights)
    step = _onto_sphere((scale * gradient)[None], radius)[0]
    return float(loss.at(weights + scale * step) - base)


def average(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    radius: float,
    normalization: Normalization = "none",
    n_samples: int = 64,
    generator: torch.Generator | None = None,
    chunk_size: int | None = None,
) -> MeanIncrease:
    """Return the mean loss increase over the sphere |u| = radius, from ``n_samples`` antithetic pairs.

    A sample is (L(w + delta) + L(w - delta)) / 2 - L(w): the pair removes the gradient's contribution, whose
    mean is zero and whose noise is the largest. To second order the mean is rho^2 tr(T H T) / (2 P).

    ``generator`` None starts a fresh one at seed 0; ``chunk_size`` networks are evaluated at once.

    Raises ``ValueError`` for a radius that is not positive, an unknown normalization and fewer than 2
    samples.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> rise = average(model, mean_squared_error, x, y, radius=0.1, n_samples=500)  # near 0.01
    >>> abs(rise.increase - 0.01) < 5 * rise.standard_error
    True
    """
    weights, scale = _point(model, radius, normalization)
    require_at_least(2, n_samples=n_samples)  # one has no standard error
    generator = generator or torch.Generator().manual_seed(0)
    loss = FunctionalLoss(model, loss_fn, x, y)
    base = loss.at(weights)
    samples = []
    for start in range(0, n_samples, 32):
        count = min(32, n_samples - start)
        deltas = scale * _onto_sphere(random_vectors(count, weights, generator=generator), radius)
        ends = torch.cat([weights + deltas, weights - deltas])
        losses = losses_at(loss, ends, chunk_size=chunk_size)
        samples.append((losses[:count] + losses[count:]) / 2 - base)
    values = torch.cat(samples)
    return MeanIncrease(float(values.mean()), float(values.std()) / n_samples**0.5)


def relative_to_edge(lambda_max: float, learning_rate: float, *, momentum: float = 0.0) -> float:
    """Return lambda_max * lr / (2 (1 + momentum)): 1 at the edge of stability of gradient descent.

    Gradient descent on a quadratic diverges above lambda_max = 2 / lr, with heavy-ball momentum beta above
    (2 + 2 beta) / lr (Cohen et al. 2021). ``lambda_max`` must belong to the very loss that is trained: half
    and mean squared error differ by a factor of 2.

    Raises ``ValueError`` for a learning rate that is not positive or a momentum outside [0, 1).

    >>> relative_to_edge(40.0, 0.05)
    1.0
    """
    require_positive(learning_rate=learning_rate)
    if not 0 <= momentum < 1:
        raise ValueError(f"momentum={momentum} is not allowed; allowed: from 0 to below 1")
    return lambda_max * learning_rate / (2 * (1 + momentum))


def _point(model: nn.Module, radius: float, normalization: str) -> tuple[Tensor, Tensor]:
    """Return the parameters w (P,) and the diagonal of T (P,)."""
    require_positive(radius=radius)
    require_one_of(("none", "adaptive"), normalization=normalization)
    weights = parameter_vector(model)
    return weights, torch.ones_like(weights) if normalization == "none" else weights.abs()


def _onto_sphere(vectors: Tensor, radius: float) -> Tensor:
    """Scale each row to the radius; a zero row stays zero."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    scaled: Tensor = vectors * (radius / lengths.masked_fill(lengths == 0, 1))
    return scaled


def _into_ball(vectors: Tensor, radius: float) -> Tensor:
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    scaled: Tensor = vectors * (radius / lengths.clamp_min(radius))
    return scaled
