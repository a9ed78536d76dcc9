"""Hessian-vector products."""

from torch import Tensor, nn

from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.hessian.operators import hessian_operator, require_vectors


def hvp(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    v: Tensor,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
) -> Tensor:
    """Return H v, H the Hessian of loss_fn(model(x), y) over the trainable parameters, shaped as ``v``.

    ``v`` is one vector (P,) or a batch (B, P), which costs far less than B calls. For products over and
    over at the same point, keep the :func:`~dlexp.measures.hessian.operators.hessian_operator`.

    ``batch_size`` (rows at once; the loss must be the mean over rows) and ``chunk_size`` (vectors at once)
    bound the memory.

    Raises ``ValueError`` if the shape, type or device of ``v`` does not fit the parameters, and for a module
    in a random or updating mode.

    >>> import torch
    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> hvp(model, mean_squared_error, x, y, torch.tensor([1.0, 0.0]))
    tensor([2., 2.])
    """
    vectors = require_vectors(v, parameter_vector(model), "v")
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size, chunk_size=chunk_size)
    return operator(vectors).reshape(v.shape)
