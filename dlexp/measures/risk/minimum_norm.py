"""Minimum-norm solutions of least squares, and how far trained weights are from them (implicit bias)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_positive
from dlexp.measures.backward import BackwardProducts
from dlexp.measures.functional import FunctionalModel
from dlexp.measures.isolation import differentiable, ordinary
from dlexp.measures.memory import require_memory


class LinearSystem(NamedTuple):
    """What a model linear in its parameters w fits: design (N K, P) @ w = targets (N K,)."""

    design: Tensor
    targets: Tensor


class MinimumNormDistance(NamedTuple):
    """Where weights w lie relative to the minimum-norm solution w* of a linear system (Euclidean norms)."""

    distance: float  # |w - w*|
    relative_distance: float  # |w - w*| / |w*|
    norm_ratio: float  # |w| / |w*|
    row_space_distance: float  # |P (w - w*)| with P the projection on the span of the rows of the design
    null_space_norm: float  # |(I - P) w|: what the data do not see
    distance_to_limit: float  # |w - (w* + (I - P) w0)|: from where gradient descent started at w0 ends


def minimum_norm_solution(design: Tensor, targets: Tensor, *, rtol: float | None = None) -> Tensor:
    """Return ``pinv(X) y``: of all w that minimise |X w - y|, the one of least norm.

    Gradient descent from 0 converges to it. Singular values below ``rtol`` times the largest count as 0
    (default max(N, P) eps). Shapes: ``design`` (N, P), ``targets`` (N,) or (N, K) -> (P,) or (P, K). Raises
    ``ValueError`` for other shapes and numbers that are not finite.

    >>> minimum_norm_solution(torch.tensor([[1.0, 1.0]]), torch.tensor([2.0])).round(decimals=4)
    tensor([1., 1.])
    """
    _check_system(design, targets)
    if design.device.type == "cpu":  # LAPACK's gelsd: by singular values too, without forming the vectors
        columns = targets if targets.ndim == 2 else targets[:, None]
        rcond = _tolerance(design, rtol)
        solved: Tensor = torch.linalg.lstsq(design, columns, rcond=rcond, driver="gelsd").solution
        return solved.reshape(-1, *targets.shape[1:])
    return _solution(_compact_svd(design, rtol), targets)


def ridge_solution(design: Tensor, targets: Tensor, ridge: float) -> Tensor:
    """Return the w that minimises ``|X w - y|^2 / N + ridge |w|^2``.

    With ``ridge`` 0 that is the minimum-norm solution. Shapes and errors as :func:`minimum_norm_solution`;
    also ``ValueError`` for a negative ``ridge``.

    >>> ridge_solution(torch.eye(2), torch.tensor([1.0, 2.0]), 0.5)
    tensor([0.5000, 1.0000])
    """
    _check_system(design, targets)
    if ridge == 0:
        return minimum_norm_solution(design, targets)
    require_positive(ridge=ridge)
    return _solution(_compact_svd(design, None), targets, len(design) * ridge)


def minimum_norm_distance(
    design: Tensor, targets: Tensor, weights: Tensor, initial_weights: Tensor | None = None
) -> MinimumNormDistance:
    """Return how far weights are from the minimum-norm solution, and from the limit of gradient descent.

    ``initial_weights`` w0 default to 0, where the two are the same. A ratio to a solution of norm 0 is NaN or
    infinite. Shapes: ``design`` (N, P), ``targets`` (N,) or (N, K), weights (P,) or (P, K). Raises
    ``ValueError`` for other shapes and numbers that are not finite.

    >>> design, targets = torch.tensor([[1.0, 0.0]]), torch.tensor([2.0])
    >>> minimum_norm_distance(design, targets, torch.tensor([2.0, 1.0])).null_space_norm
    1.0
    """
    _check_system(design, targets)
    svd = _compact_svd(design, None)
    solution = _solution(svd, targets)
    start = torch.zeros_like(solution) if initial_weights is None else initial_weights
    for name, value in (("weights", weights), ("initial_weights", start)):
        if value.shape != solution.shape:
            raise ValueError(
                f"{name} has the shape {tuple(value.shape)}; allowed: {tuple(solution.shape)}, the solution's"
            )
    difference = weights - solution
    norm = solution.norm()
    return MinimumNormDistance(
        distance=difference.norm().item(),
        relative_distance=(difference.norm() / norm).item(),
        norm_ratio=(weights.norm() / norm).item(),
        row_space_distance=(difference - _unseen(svd, difference)).norm().item(),
        null_space_norm=_unseen(svd, weights).norm().item(),
        distance_to_limit=(difference - _unseen(svd, start)).norm().item(),
    )


def linear_system(model: nn.Module, x: Tensor, y: Tensor) -> LinearSystem:
    """Return the least-squares problem that a model linear in its trainable parameters solves on (x, y).

    The design is the Jacobian of the outputs with respect to the parameters (their order is that of
    ``functional.parameter_vector``), and what the model puts out at zero parameters (from frozen ones) is
    taken off the targets. A linear layer, or a random-feature model whose first layer is frozen, is of this
    kind.

    Shapes: outputs and ``y`` (N, K). Raises ``ValueError`` for a model that is not linear in its parameters
    or is random in training mode, and for other shapes; ``MemoryError`` if the Jacobian would not fit.

    >>> linear_system(nn.Linear(2, 1, bias=False), torch.eye(2), torch.ones(2, 1)).design
    tensor([[1., 0.],
            [0., 1.]])
    """
    function = FunctionalModel(model, x)
    weights = function.vector
    if function.probe.shape != y.shape:
        raise ValueError(
            f"y has the shape {tuple(y.shape)}; allowed: the outputs' {tuple(function.probe.shape)}"
        )
    size = function.probe.numel()
    require_memory(2 * size * weights.numel() * weights.element_size(), x.device, "the outputs' Jacobian")
    with differentiable():
        function.move(torch.zeros_like(weights))
        outputs = function.outputs()
        products = BackwardProducts(outputs, function.parameters, is_trusted=function.is_chain)
        unit_vectors = torch.eye(size, dtype=outputs.dtype, device=outputs.device)
        jacobian = products(unit_vectors.reshape(size, *outputs.shape))
        offset = outputs.detach()
    with differentiable(), torch.no_grad():
        # A fixed direction without structure: no shared zeros, signs or sizes that could hide a nonlinearity.
        probe = torch.cos(torch.arange(1, len(weights) + 1, dtype=weights.dtype, device=weights.device))
        for point in (probe, -probe):
            predicted = offset + (jacobian @ point).reshape(offset.shape)
            function.move(point)
            error = (function.outputs() - predicted).abs().max()
            scale = torch.maximum(predicted.abs().max(), offset.abs().max()) + jacobian.abs().max()
            if not error <= 1e4 * torch.finfo(weights.dtype).eps * scale:
                raise ValueError(
                    f"{type(model).__name__} is not linear in its trainable parameters, so it has no "
                    "minimum-norm solution; allowed: a linear or random-feature model"
                )
    return LinearSystem(jacobian, (ordinary(y) - offset).reshape(-1))


class _Svd(NamedTuple):
    left: Tensor  # (N, r), r the numerical rank
    singular: Tensor  # (r,)
    right: Tensor  # (r, P)


def _compact_svd(design: Tensor, rtol: float | None) -> _Svd:
    n, p = design.shape
    if p > 2 * n:  # of the small triangle, R^T in X = R^T Q^T: half the time of LAPACK's own way
        basis, triangle = torch.linalg.qr(design.T)
        left, singular, right = torch.linalg.svd(triangle.T, full_matrices=False)
        right = right @ basis.T
    else:
        left, singular, right = torch.linalg.svd(design, full_matrices=False)
    kept = singular > _tolerance(design, rtol) * singular[0]
    return _Svd(left[:, kept], singular[kept], right[kept])


def _tolerance(design: Tensor, rtol: float | None) -> float:
    return max(design.shape) * torch.finfo(design.dtype).eps if rtol is None else rtol


def _solution(svd: _Svd, targets: Tensor, penalty: float = 0.0) -> Tensor:
    """Return what minimises |X w - y|^2 + penalty |w|^2; without a penalty, of all such w the shortest."""
    factors = svd.singular / (svd.singular.square() + penalty)
    return svd.right.T @ (svd.left.T @ targets * factors.reshape(-1, *[1] * (targets.ndim - 1)))


def _unseen(svd: _Svd, weights: Tensor) -> Tensor:
    return weights - svd.right.T @ (svd.right @ weights)


def _check_system(design: Tensor, targets: Tensor) -> None:
    if design.ndim != 2 or design.numel() == 0:
        raise ValueError(f"design has the shape {tuple(design.shape)}; allowed: (N, P) with N, P >= 1")
    if targets.ndim not in (1, 2) or len(targets) != len(design):
        n = len(design)
        raise ValueError(f"targets has the shape {tuple(targets.shape)}; allowed: ({n},) or ({n}, K)")
    if not (bool(torch.isfinite(design).all()) and bool(torch.isfinite(targets).all())):
        raise ValueError("design or targets holds numbers that are not finite; allowed: finite numbers")
