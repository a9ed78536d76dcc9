"""The Gauss-Newton part of the Hessian."""

from torch import Tensor, nn

from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.hessian.operators import dense_matrix, gauss_newton_operator, require_vectors


def gauss_newton_product(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    v: Tensor,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Return G v with G = J^T (d^2 L / df^2) J, J = df/dtheta, for ``v`` (P,) or (B, P), shaped as ``v``.

    The generalised Gauss-Newton matrix (Schraudolph 2002, Neural Computation 14(7)): the Hessian without the
    curvature of the network, positive semi-definite for a convex loss and equal to the Hessian where the
    loss has no gradient left in the outputs.

    Arguments and errors as in :func:`dlexp.measures.hessian.hvp`.
    """
    vectors = require_vectors(v, parameter_vector(model), "v")
    operator = gauss_newton_operator(model, loss_fn, x, y, batch_size=batch_size, chunk_size=chunk_size)
    return operator(vectors).reshape(v.shape)


def gauss_newton_matrix(
    model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor, *, batch_size: int | None = None
) -> Tensor:
    """Return G (P, P), see :func:`gauss_newton_product`.

    For the mean-squared error over N rows of one output its nonzero eigenvalues are 2/N times those of the
    empirical neural tangent kernel.

    Raises ``MemoryError`` with the estimate if it would not fit.
    """
    like = parameter_vector(model)
    operator = gauss_newton_operator(model, loss_fn, x, y, batch_size=batch_size)
    return dense_matrix(operator, len(like), like, "the dense Gauss-Newton matrix")
