"""The whole Hessian of a small model: matrix, spectrum, inertia."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least
from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.hessian.operators import dense_matrix, hessian_operator


class Inertia(NamedTuple):
    """How many eigenvalues are negative, zero and positive."""

    negative: int
    zero: int
    positive: int


def hessian_matrix(
    model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Return the Hessian (P, P) of loss_fn(model(x), y), exact and symmetric.

    ``batch_size`` as in :func:`~dlexp.measures.hessian.operators.hessian_operator`.

    Raises ``MemoryError`` with the estimate if it would not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> hessian_matrix(model, mean_squared_error, x, y)
    tensor([[2., 2.],
            [2., 2.]])
    """
    like = parameter_vector(model)
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size)
    return dense_matrix(operator, len(like), like, "the dense Hessian")


def spectrum(
    model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Return all eigenvalues of the Hessian (P,), smallest first, by dense diagonalisation.

    Meant for up to some thousands of parameters: memory grows as P^2 and time as P^3.

    Raises ``MemoryError`` with the estimate if it would not fit.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> spectrum(model, mean_squared_error, x, y).round(decimals=4)[-1]
    tensor(4.)
    """
    eigenvalues: Tensor = torch.linalg.eigvalsh(hessian_matrix(model, loss_fn, x, y, batch_size=batch_size))
    return eigenvalues


def zero_threshold(eigenvalues: Tensor, relative_tolerance: float | None = None) -> Tensor:
    """Return what counts as zero in each spectrum (..., P): relative_tolerance * max |eigenvalue|, (...,).

    ``relative_tolerance`` None takes the square root of the machine precision (1.5e-8 in float64, 3.5e-4 in
    float32), well above the rounding of the eigenvalues. A spectrum that lies entirely below the machine
    precision counts as zero.

    Raises ``ValueError`` for a negative tolerance.

    >>> zero_threshold(torch.tensor([0.0, 2.0]), 0.1)
    tensor(0.2000)
    """
    eps = float(torch.finfo(eigenvalues.dtype).eps)
    if relative_tolerance is None:
        relative_tolerance = eps**0.5
    require_at_least(0, relative_tolerance=relative_tolerance)
    return (relative_tolerance * eigenvalues.abs().amax(dim=-1)).clamp_min(eps)


def inertia(eigenvalues: Tensor, *, relative_tolerance: float | None = None) -> Inertia:
    """Count the signs of ``eigenvalues`` (P,); see :func:`zero_threshold` for what counts as zero.

    >>> inertia(torch.tensor([-1.0, 1e-9, 2.0, 3.0]))
    Inertia(negative=1, zero=1, positive=2)
    """
    threshold = zero_threshold(eigenvalues, relative_tolerance)
    negative = int((eigenvalues < -threshold).sum())
    positive = int((eigenvalues > threshold).sum())
    return Inertia(negative, len(eigenvalues) - negative - positive, positive)


def negative_fraction(eigenvalues: Tensor, *, relative_tolerance: float | None = None) -> float:
    """Return the share of ``eigenvalues`` (P,) that is negative; see :func:`zero_threshold` for zeros.

    >>> negative_fraction(torch.tensor([-1.0, 1e-9, 2.0, 3.0]))
    0.25
    """
    return inertia(eigenvalues, relative_tolerance=relative_tolerance).negative / len(eigenvalues)


def is_degenerate(eigenvalues: Tensor, *, relative_tolerance: float | None = None) -> Tensor:
    """Return whether each spectrum (..., P) holds a zero, (...,); see :func:`zero_threshold`.

    >>> is_degenerate(torch.tensor([[1.0, 2.0], [0.0, 2.0]]))
    tensor([False,  True])
    """
    threshold = zero_threshold(eigenvalues, relative_tolerance)[..., None]
    return (eigenvalues.abs() <= threshold).any(dim=-1)
