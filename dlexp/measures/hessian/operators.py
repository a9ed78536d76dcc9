"""The Hessian and the Gauss-Newton matrix as linear operators on batches of vectors."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dlexp.measures.functional import (
    Loss,
    functional_loss,
    functional_model,
    parameter_vector,
    require_deterministic,
    require_memory,
)
from dlexp.measures.hessian.output_curvature import OutputCurvature, batched_backward
from dlexp.measures.hessian.r_operator import Workspace, expand_chain

_GENERIC_CHUNK = 16

Operator = Callable[[Tensor], Tensor]
"""A symmetric matrix (P, P) as the map from vectors (B, P) to its products with each row (B, P)."""

# The size of a chunk's largest temporary: small enough for a CPU's cache, large enough to fill a GPU.
_CHUNK_BYTES = {"cpu": 2**20, "cuda": 2**28}


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
    Chains of linear layers and elementwise activations go through Pearlmutter's R-operator (1994); any other
    module is differentiated twice in reverse over one retained graph.

    ``batch_size`` splits the rows of x and y to bound the memory; it requires that the loss is the mean over
    the rows (batches are weighted by their size). ``chunk_size`` is the number of vectors at once; None
    chooses it.

    Raises ``ValueError`` for a module in a random or updating mode, a loss that is not a scalar, and sizes
    below 1.
    """
    return _operator(model, loss_fn, x, y, batch_size, chunk_size, gauss_newton=False)


def gauss_newton_operator(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    batch_size: int | None = None,
    chunk_size: int | None = None,
) -> Operator:
    """Return ``V -> V G`` with G = J^T (d^2 L / df^2) J, J the Jacobian of the outputs, for V (B, P).

    The Hessian without the curvature of the network (Schraudolph 2002, Neural Computation 14(7)). Arguments
    and errors as in :func:`hessian_operator`.
    """
    return _operator(model, loss_fn, x, y, batch_size, chunk_size, gauss_newton=True)


def dense_matrix(operator: Operator, size: int, like: Tensor, what: str) -> Tensor:
    """Return the operator's matrix (size, size), made exactly symmetric.

    Raises ``MemoryError`` with the estimate if three such matrices do not fit.
    """
    require_memory(3 * size**2 * like.element_size(), like.device, f"{what} of {size} parameters")
    matrix = operator(torch.eye(size, dtype=like.dtype, device=like.device))
    return (matrix + matrix.T) / 2


def require_vectors(v: Tensor, like: Tensor, name: str) -> Tensor:
    """Return ``v`` (P,) or (B, P) as (B, P).

    Raises ``ValueError`` if its shape, type or device does not fit the parameter vector ``like`` (P,).
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


def _operator(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    batch_size: int | None,
    chunk_size: int | None,
    *,
    gauss_newton: bool,
) -> Operator:
    require_deterministic(model)
    for name, size in (("batch_size", batch_size), ("chunk_size", chunk_size)):
        if size is not None and size < 1:
            raise ValueError(f"{name}={size} is too small; allowed: 1 or more, or None")
    rows = len(x)
    batch_size = min(batch_size or rows, rows)
    workspace = Workspace()
    parts: list[tuple[float, Operator, int]] = []
    # A Lightning hook may call from inference mode, where nothing could be differentiated.
    with torch.inference_mode(False), torch.enable_grad():
        for start in range(0, rows, batch_size):
            x_part, y_part = (_ordinary(t[start : start + batch_size]) for t in (x, y))
            product: Operator
            chain = expand_chain(model, loss_fn, x_part, y_part, workspace)
            if chain is not None:
                product = chain.gauss_newton_product if gauss_newton else chain.hessian_product
                budget = _CHUNK_BYTES.get(x.device.type, _CHUNK_BYTES["cpu"])
                vectors = max(1, budget // (chain.widest * x.element_size()))
            else:
                make = _generic_gauss_newton if gauss_newton else _generic_hessian
                product, vectors = make(model, loss_fn, x_part, y_part), _GENERIC_CHUNK
            parts.append((len(x_part) / rows, product, chunk_size or vectors))
    like = parameter_vector(model)

    def operator(vectors: Tensor) -> Tensor:
        require_vectors(vectors, like, "the vector")
        with torch.inference_mode(False), torch.no_grad():
            vectors = _ordinary(vectors).detach()
            total: Tensor | None = None
            for weight, product, size in parts:
                part = torch.cat([product(chunk) for chunk in vectors.split(size)])
                part = part if weight == 1 else weight * part
                total = part if total is None else total + part
        return torch.zeros_like(vectors) if total is None else total

    return operator


def _ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor that autograd may save; one made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor


def _generic_hessian(model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor) -> Operator:
    """Differentiate v^T grad L in reverse, over the retained graph of the gradient."""
    vector = parameter_vector(model).requires_grad_()
    loss = functional_loss(model, loss_fn, x, y)(vector)
    (gradient,) = torch.autograd.grad(loss, vector, create_graph=True)
    return lambda v: batched_backward(gradient, vector, v)


def _generic_gauss_newton(model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor) -> Operator:
    """Apply J, the loss's Hessian and J^T in turn.

    J v is the derivative of u -> J^T u, which is linear, in reverse: two reverse passes make a forward one.
    """
    vector = parameter_vector(model).requires_grad_()
    outputs = functional_model(model)(vector, x)
    curvature = OutputCurvature(loss_fn, outputs, y)
    cotangent = torch.zeros_like(outputs, requires_grad=True)
    (backward,) = torch.autograd.grad(outputs, vector, cotangent, create_graph=True)

    def product(v: Tensor) -> Tensor:
        tangents = batched_backward(backward, cotangent, v)
        return batched_backward(outputs, vector, curvature(tangents))

    return product
