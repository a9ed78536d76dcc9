"""The search for critical points of any index."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad, jacrev, vmap

from dlexp.measures.arguments import require_at_least, require_positive
from dlexp.measures.functional import FunctionalLoss, Loss
from dlexp.measures.hessian.operators import require_vectors
from dlexp.measures.hessian.spectrum import zero_threshold
from dlexp.measures.isolation import differentiable
from dlexp.measures.memory import require_memory
from dlexp.measures.points import gradients_at

# Copies of a point under the network's symmetries have its loss; other points differ by much more.
_SAME_LOSS = 1e-6

# The damping rises a little after a refusal and falls a lot after a success ("delayed gratification",
# Transtrum & Sethna 2012); in equal steps about a third fewer searches converge.
_RAISE, _LOWER = 2.0, 10.0
_SMALLEST_DAMPING, _LARGEST_DAMPING = 1e-20, 1e12


@dataclass(frozen=True)
class FoundPoint:
    """Where the search ended, for one start or for each of S starts (then every tensor leads with S).

    Attributes:
        vector: (P,) the parameters.
        loss: () the loss, without weight decay.
        gradient_norm: () the norm of the objective's gradient, weight decay included.
        index: () the number of negative eigenvalues of the objective's Hessian.
        eigenvalues: (P,) of that Hessian, smallest first.
        converged: () whether the gradient norm is at most the tolerance; where it is not, the point is none
            to count (most often a stationary point of |grad|^2 with a gradient).
        steps: () the number of steps tried.
    """

    vector: Tensor
    loss: Tensor
    gradient_norm: Tensor
    index: Tensor
    eigenvalues: Tensor
    converged: Tensor
    steps: Tensor


def find_critical_point(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    start: Tensor | None = None,
    *,
    weight_decay: float = 0.0,
    tolerance: float = 1e-8,
    max_steps: int = 500,
    chunk_size: int = 64,
) -> FoundPoint:
    """Search a point where the gradient vanishes, whatever the signs of the curvature there.

    Levenberg-Marquardt on grad = 0, which minimises |grad|^2 (Dauphin et al. 2014 look for saddles from
    points along a run; Frye et al. 2021 on the points where it fails): with the Hessian H and damping mu,
    step = -(H^2 + mu I)^-1 H grad, taken if |grad| falls. ``start`` is (P,), or (S, P) for S searches as
    one batched program, ``chunk_size`` at a time; None starts at the model's parameters.

    ``weight_decay`` searches the objective loss + weight_decay / 2 |theta|^2: without it most saddles of a
    network are degenerate, and the index is not well defined there. Second derivatives are dense, so the
    model must be small. What is found depends on the starts: a sample of critical points, not a census.

    Raises ``ValueError`` for starts of the wrong shape, a tolerance that is not positive, a negative weight
    decay and a step or chunk number below 1, ``MemoryError`` with the estimate if the Hessians do not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> bool(find_critical_point(model.double(), mean_squared_error, x.double(), y.double()).converged)
    True
    """
    require_positive(tolerance=tolerance)
    require_at_least(0, weight_decay=weight_decay)
    require_at_least(1, max_steps=max_steps, chunk_size=chunk_size)
    loss = FunctionalLoss(model, loss_fn, x, y)
    like = loss.model.vector
    start = like if start is None else start
    starts = require_vectors(start, like, "start")
    # Reverse over reverse holds one copy of the gradient's graph for each row of each Hessian.
    count = min(chunk_size, len(starts))
    needed = 6 * count * len(like) ** 2 * like.element_size()
    require_memory(needed, like.device, f"the search with {count} dense Hessians of {len(like)} parameters")

    def gradients(points: Tensor) -> Tensor:
        return gradients_at(loss, points)[0] + weight_decay * points

    def hessians(points: Tensor) -> Tensor:
        found = _hessians(loss, points)
        found.diagonal(dim1=1, dim2=2).add_(weight_decay)
        return (found + found.mT) / 2

    parts: list[tuple[Tensor, ...]] = []
    for chunk in starts.split(chunk_size):
        points, steps = _levenberg_marquardt(chunk, gradients, hessians, tolerance, max_steps)
        norms = torch.linalg.vector_norm(gradients(points), dim=1)
        hessian = hessians(points)
        eigenvalues = torch.linalg.eigvalsh(hessian)
        index = (eigenvalues < -zero_threshold(eigenvalues)[:, None]).sum(dim=1)
        losses = gradients_at(loss, points)[1]
        parts.append((points, losses, norms, index, eigenvalues, norms <= tolerance, steps))
    found = [torch.cat(tensors).detach() for tensors in zip(*parts, strict=True)]
    return FoundPoint(*found) if start.ndim == 2 else FoundPoint(*(tensor[0] for tensor in found))


def distinct_points(found: FoundPoint) -> list[int]:
    """Return the positions of one converged search for each pair of index and loss, by index, then loss.

    Points that a symmetry of the network maps onto each other have the same of both.

    >>> zeros, same = torch.zeros(3), torch.ones(3, dtype=torch.bool)
    >>> loss = torch.tensor([2.0, 1.0, 2.0])
    >>> distinct_points(FoundPoint(zeros, loss, zeros, zeros, zeros, same, zeros))
    [1, 0]
    """
    converged = found.converged.nonzero()[:, 0].tolist()
    points: list[int] = []
    for i in sorted(converged, key=lambda i: (int(found.index[i]), float(found.loss[i]))):
        is_known = (
            bool(points)
            and bool(found.index[points[-1]] == found.index[i])
            and math.isclose(found.loss[points[-1]], found.loss[i], rel_tol=_SAME_LOSS)
        )
        if not is_known:
            points.append(i)
    return points


def _hessians(loss: FunctionalLoss, points: Tensor) -> Tensor:
    """Return the Hessians (S, P, P) at ``points`` (S, P).

    Chains are differentiated at all points together. torch's nested vmap, which that takes, is wrong for some
    modules where both batch sizes coincide (for PReLU, say): others are differentiated point by point.
    """
    with differentiable():
        if loss.model.is_chain:
            together: Tensor = vmap(jacrev(grad(loss.swapped)))(points).detach()
            return together
        return torch.stack([_hessian(loss, point) for point in points])


def _hessian(loss: FunctionalLoss, point: Tensor) -> Tensor:
    loss.model.move(point)
    return loss.hessian_products()(torch.eye(len(point), dtype=point.dtype, device=point.device))


def _levenberg_marquardt(
    points: Tensor,
    gradients: Callable[[Tensor], Tensor],
    hessians: Callable[[Tensor], Tensor],
    tolerance: float,
    max_steps: int,
) -> tuple[Tensor, Tensor]:
    """Return the last point of each search (S, P) and the number of its steps (S,)."""
    points = points.clone()
    gradient = gradients(points)
    hessian = hessians(points)
    values, vectors = torch.linalg.eigh(hessian)
    # Relative to the largest squared eigenvalue: mu carries the units of H^2.
    damping = torch.full_like(points[:, 0], 1e-3)
    steps = torch.zeros(len(points), dtype=torch.long, device=points.device)
    for _ in range(max_steps):
        norms = torch.linalg.vector_norm(gradient, dim=1)
        # A search whose damping ran away has found a point from which no step lowers |grad|.
        active = ((norms > tolerance) & (damping < _LARGEST_DAMPING)).nonzero()[:, 0]
        if len(active) == 0:
            break
        steps[active] += 1
        spectrum, axes = values[active], vectors[active]
        shift = damping[active] * (spectrum**2).amax(dim=1)
        components = torch.einsum("sij,si->sj", axes, gradient[active])
        scaled = (
            components * spectrum / (spectrum**2 + shift[:, None]).clamp_min(torch.finfo(points.dtype).tiny)
        )
        trial = points[active] - torch.einsum("sij,sj->si", axes, scaled)
        trial_gradient = gradients(trial)
        # A comparison with NaN is false: a step into overflow is refused like any other.
        better = torch.linalg.vector_norm(trial_gradient, dim=1) < norms[active]
        damping[active] = torch.where(better, damping[active] / _LOWER, damping[active] * _RAISE).clamp_min(
            _SMALLEST_DAMPING
        )
        accepted = active[better]
        if len(accepted) == 0:
            continue
        points[accepted], gradient[accepted] = trial[better], trial_gradient[better]
        hessian = hessians(points[accepted])
        values[accepted], vectors[accepted] = torch.linalg.eigh(hessian)
    return points, steps
