"""The loss at many points of weight space at once: what paths, landscapes and sharpness are made of.

By definition the points are evaluated one by one. ``torch.vmap`` evaluates them together, in chunks that stay
in cache (without them it is slower than a loop on a CPU), where it can be trusted
(:class:`~dlexp.measures.batching.Batching`).
"""

import torch
from torch import Tensor, nn
from torch.func import grad_and_value

from dlexp.measures.arguments import require_at_least
from dlexp.measures.functional import FunctionalLoss, Loss
from dlexp.measures.isolation import differentiable

# Bytes of activations in flight: about a core's share of cache on a CPU, enough to fill a GPU.
_CHUNK_BYTES = {"cpu": 2**22, "cuda": 2**29}
# Bytes of the parameters of the networks whose losses are taken in turn.
_BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**28}


def losses_at(loss: FunctionalLoss, points: Tensor, *, chunk_size: int | None = None) -> Tensor:
    """Return the losses (B,) at ``points`` (B, P); ``chunk_size`` are evaluated together (None: chosen).

    >>> from dlexp.measures.functional import mean_squared_error
    >>> x, y = torch.ones(4, 1), torch.zeros(4, 1)
    >>> losses_at(FunctionalLoss(nn.Linear(1, 1), mean_squared_error, x, y), torch.tensor([[2.0, 1.0]]))
    tensor([9.])
    """

    def batched(points: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (torch.vmap(loss.swapped, chunk_size=chunk_size or _chunk_size(loss))(points),)

    if len(points) == 0:
        return points.new_empty(0)
    with differentiable():
        return loss.model.batching(batched, lambda point: (loss.at(point),), points)[0]


def gradients_at(
    loss: FunctionalLoss, points: Tensor, *, chunk_size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the gradients (B, P) and the losses (B,) at ``points`` (B, P), otherwise as :func:`losses_at`.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> x, y = torch.ones(4, 1), torch.zeros(4, 1)
    >>> gradients_at(FunctionalLoss(nn.Linear(1, 1), mean_squared_error, x, y), torch.tensor([[2.0, 1.0]]))
    (tensor([[6., 6.]]), tensor([9.]))
    """

    def batched(points: Tensor) -> tuple[Tensor, ...]:
        gradients, values = torch.vmap(grad_and_value(loss.swapped), chunk_size=chunk_size)(points)
        return gradients, values.detach()

    with differentiable():
        gradients, losses = loss.model.batching(batched, loss.gradient_at, points)
    return gradients, losses


def combination_losses(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    coefficients: Tensor,
    basis: Tensor,
    *,
    chunk_size: int | None = None,
) -> Tensor:
    """Return the losses (B,) at the points ``coefficients @ basis``, (B, K) times (K, P).

    Lines, planes, polylines and Bezier curves are such combinations. The points are formed block by block.
    ``chunk_size`` networks are evaluated together; None chooses a number that suits the device.

    Raises ``ValueError`` as :class:`~dlexp.measures.functional.FunctionalLoss`, for a basis that does not fit
    the model, coefficients that do not have one column for each row of it, and a chunk size below 1.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> x, y, basis = torch.ones(4, 1), torch.zeros(4, 1), torch.tensor([[2.0, 1.0], [1.0, 0.0]])
    >>> coefficients = torch.tensor([[1.0, 0.0], [1.0, -3.0]])
    >>> combination_losses(nn.Linear(1, 1), mean_squared_error, x, y, coefficients, basis)
    tensor([9., 0.])
    """
    loss = FunctionalLoss(model, loss_fn, x, y)
    own = loss.model.vector
    if basis.ndim != 2 or basis.shape[1] != len(own):
        raise ValueError(f"basis must have shape (K, {len(own)}) for this model, got {tuple(basis.shape)}")
    if basis.dtype != own.dtype or basis.device != own.device:
        raise ValueError(
            f"basis must be {own.dtype} on {own.device} like the model, got {basis.dtype} on {basis.device}"
        )
    if coefficients.ndim != 2 or coefficients.shape[1] != basis.shape[0]:
        raise ValueError(
            f"coefficients must have shape (B, {basis.shape[0]}), a column for each row of basis, "
            f"got {tuple(coefficients.shape)}"
        )
    require_at_least(1, chunk_size=chunk_size)
    block = max(1, _budget(_BLOCK_BYTES, basis) // (basis.shape[1] * basis.element_size()))
    return torch.cat(
        [
            losses_at(loss, linear_combinations(rows, basis), chunk_size=chunk_size)
            for rows in coefficients.to(basis).split(block)
        ]
    )


def linear_combinations(coefficients: Tensor, basis: Tensor) -> Tensor:
    """Return ``coefficients @ basis``, (B, K) times (K, P); a unit row gives its point bit for bit.

    Written out as a sum because a matrix product may round its factors (TF32 on a GPU).

    >>> linear_combinations(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([[1., 2.]])
    """
    points = coefficients[:, :1] * basis[0]
    for k in range(1, basis.shape[0]):
        points.addcmul_(coefficients[:, k : k + 1], basis[k])
    return points


def _chunk_size(loss: FunctionalLoss) -> int:
    x, like = loss.model.x, loss.model.parameters[0]
    # The activations of the widest layer; a layer's outputs are the first dimension of its weight.
    widest = max((p.shape[0] for p in loss.model.network.parameters() if p.ndim > 0), default=1)
    size = sum(p.numel() for p in loss.model.parameters)
    network = max(len(x) * widest, x.numel(), size) * like.element_size()
    return max(1, _budget(_CHUNK_BYTES, like) // network)


def _budget(bytes_on: dict[str, int], like: Tensor) -> int:
    return bytes_on.get(like.device.type, bytes_on["cpu"])
