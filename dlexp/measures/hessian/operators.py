"""The Hessian as a linear operator: its products with vectors, one or many at once."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least
from dlexp.measures.functional import FunctionalLoss, Loss, parameter_vector
from dlexp.measures.isolation import differentiable, ordinary
from dlexp.measures.memory import require_memory

Operator = Callable[[Tensor], Tensor]
"""A symmetric matrix (P, P) as the map from vectors (B, P) to its products with each row (B, P)."""

# Bytes of the rows' hidden numbers for the vectors of one chunk: small enough for a CPU's cache, large enough
# to fill a GPU.
_CHUNK_BYTES = {"cpu": 2**20, "cuda": 2**28}


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
    over at the same point, keep the :func:`hessian_operator`.

    ``batch_size`` (rows at once; the loss must be the mean over rows) and ``chunk_size`` (vectors at once)
    bound the memory.

    Raises ``ValueError`` if the shape, type or device of ``v`` does not fit the parameters, and for a module
    in a random or updating mode.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> hvp(model, mean_squared_error, x, y, torch.tensor([1.0, 0.0]))
    tensor([2., 2.])
    """
    vectors = require_vectors(v, parameter_vector(model), "v")
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size, chunk_size=chunk_size)
    return operator(vectors).reshape(v.shape)


def hessian_operator(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
) -> Operator:
    """Return ``V -> V H`` with H = d^2/dtheta^2 loss_fn(model(x), y), for V (B, P), exact.

    What does not depend on V is computed once, here: later changes of the model do not reach the operator.
    The module is differentiated twice in reverse over one retained graph.

    ``batch_size`` splits the rows of x and y to bound the memory; it requires that the loss is the mean over
    the rows (batches are weighted by their size), which is checked. ``chunk_size`` is the number of vectors
    at once; None chooses it.

    Raises ``ValueError`` as :class:`~dlexp.measures.functional.FunctionalLoss`, for sizes below 1, and for
    ``batch_size`` with a loss that is no mean over rows or a module whose rows depend on each other.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> operator = hessian_operator(nn.Linear(1, 1), mean_squared_error, torch.ones(4, 1), torch.zeros(4, 1))
    >>> operator(torch.tensor([[1.0, 0.0]]))
    tensor([[2., 2.]])
    """
    require_at_least(1, batch_size=batch_size, chunk_size=chunk_size)
    loss = FunctionalLoss(model, loss_fn, x, y)
    rows = min(batch_size or len(x), len(x))
    if rows < len(x):
        _require_mean_over_rows(loss, rows)
    # A Lightning hook may call from inference mode, where nothing could be differentiated.
    with differentiable():
        parts = [
            (len(x_part) / len(x), loss.hessian_products(x_part, y_part))
            for x_part, y_part in zip(loss.model.x.split(rows), loss.y.split(rows), strict=True)
        ]
    like = loss.model.vector
    together = chunk_size or _chunk_size(loss, rows)

    def operator(vectors: Tensor) -> Tensor:
        require_vectors(vectors, like, "the vector")
        with torch.inference_mode(False), torch.no_grad():
            total = torch.zeros_like(like).expand(len(vectors), -1)
            for weight, product in parts:
                chunks = [product(chunk) for chunk in ordinary(vectors).split(together)]
                part = torch.cat(chunks) if chunks else total
                total = part if len(parts) == 1 else total + weight * part
        return total

    if not loss.model.is_chain:
        _require_symmetry(operator, like, type(model).__name__)
    return operator


def dense_matrix(operator: Operator, size: int, like: Tensor, what: str) -> Tensor:
    """Return the operator's matrix (size, size), made exactly symmetric.

    Raises ``MemoryError`` with the estimate if three such matrices do not fit.

    >>> dense_matrix(lambda v: 2 * v, 2, torch.zeros(2), "twice the identity")
    tensor([[2., 0.],
            [0., 2.]])
    """
    require_memory(3 * size**2 * like.element_size(), like.device, f"{what} of {size} parameters")
    matrix = operator(torch.eye(size, dtype=like.dtype, device=like.device))
    return (matrix + matrix.T) / 2


def require_vectors(v: Tensor, like: Tensor, name: str) -> Tensor:
    """Return ``v`` (P,) or (B, P) as (B, P).

    Raises ``ValueError`` if its shape, type or device does not fit the parameter vector ``like`` (P,).

    >>> require_vectors(torch.ones(3), torch.zeros(3), "v").shape
    torch.Size([1, 3])
    """
    if v.ndim not in (1, 2) or v.shape[-1] != len(like):
        raise ValueError(
            f"{name} has shape {tuple(v.shape)}; allowed: ({len(like)},) or (B, {len(like)}), one entry for "
            "each trainable parameter"
        )
    if v.dtype != like.dtype or v.device != like.device:
        raise ValueError(
            f"{name} is {v.dtype} on {v.device}; allowed: {like.dtype} on {like.device}, as the parameters"
        )
    return v.detach().reshape(-1, len(like))


def _require_symmetry(operator: Operator, like: Tensor, kind: str) -> None:
    """Refuse second derivatives that are not symmetric, which shows that one of them is wrong."""
    angles = torch.arange(1, 2 * len(like) + 1, dtype=like.dtype, device=like.device).reshape(2, -1)
    vectors = angles.cos()
    images = operator(vectors)
    one, other = float(vectors[0] @ images[1]), float(vectors[1] @ images[0])
    size = float(torch.linalg.vector_norm(images)) * float(torch.linalg.vector_norm(vectors))
    if not abs(one - other) <= torch.finfo(like.dtype).eps ** 0.5 * size:
        raise ValueError(
            f"the second derivatives of {kind} are not symmetric: an operation or a hook in its forward pass "
            "has a wrong gradient, or none that can be differentiated"
        )


def _require_mean_over_rows(loss: FunctionalLoss, rows: int) -> None:
    """Refuse batches for a loss that is no mean over rows, and for a module whose rows see each other.

    The loss is compared on outputs that are moved on by one row: on those of a network that interpolates its
    targets a sum and a mean are both 0.
    """
    whole, x, y = loss.model.probe, loss.model.x, loss.y
    with differentiable(), torch.no_grad():
        parts = torch.cat([loss.model.outputs(part) for part in x.split(rows)])
        tolerance = 1e3 * torch.finfo(whole.dtype).eps
        if not torch.allclose(parts, whole, rtol=tolerance, atol=tolerance * float(whole.abs().max())):
            raise ValueError(
                f"batch_size={rows} is not allowed: the outputs for one row depend on the others of its batch"
            )
        moved = whole.roll(1, 0)
        value = float(loss.loss_fn(moved, y))
        mean = sum(
            len(f) / len(x) * float(loss.loss_fn(f, t))
            for f, t in zip(moved.split(rows), y.split(rows), strict=True)
        )
    if not abs(value - mean) <= tolerance * max(abs(value), abs(mean)):
        raise ValueError(
            f"batch_size={rows} needs a loss that is the mean over the rows: it is {value:.6g} on all rows, "
            f"but the mean of its values on batches is {mean:.6g}"
        )


def _chunk_size(loss: FunctionalLoss, rows: int) -> int:
    like = loss.model.parameters[0]
    widest = max((max(p.shape) for p in loss.model.parameters if p.ndim > 0), default=1)
    budget = _CHUNK_BYTES.get(like.device.type, _CHUNK_BYTES["cpu"])
    return max(1, budget // (rows * widest * like.element_size()))
