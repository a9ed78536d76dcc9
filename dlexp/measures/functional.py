"""What every measure needs: a model as a function of one parameter vector, and refusals in one sentence.

A point in weight space is a flat vector ``(P,)``, the trainable parameters in the order of
``model.named_parameters()``; a batch of points is ``(B, P)``. Nothing here changes the model, its mode, its
gradients or a random generator.
"""

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps (outputs, targets) to a scalar, the mean over the rows."""


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over all entries of (f - y)^2.

    Written out because forward-over-reverse differentiation of ``F.mse_loss`` fails in torch 2.13.
    """
    return ((outputs - targets) ** 2).mean()


def trainable_parameters(model: nn.Module) -> dict[str, Tensor]:
    """Return the trainable parameters by name, detached (they share the model's memory).

    Raises ``ValueError`` if there are none.
    """
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError(f"{type(model).__name__} has no trainable parameters to measure")
    return parameters


def parameter_vector(model: nn.Module) -> Tensor:
    """Return a copy of the trainable parameters as one vector (P,)."""
    return torch.cat([p.reshape(-1) for p in trainable_parameters(model).values()])


def unflatten(vector: Tensor, like: dict[str, Tensor]) -> dict[str, Tensor]:
    """Split (..., P) into named tensors (..., *shape) shaped as in ``like`` (views where possible).

    Raises ``ValueError`` if the last dimension is not the number of parameters.
    """
    sizes = [p.numel() for p in like.values()]
    if vector.shape[-1] != sum(sizes):
        raise ValueError(f"the vector has {vector.shape[-1]} entries, the model {sum(sizes)} parameters")
    pieces = vector.split(sizes, dim=-1)
    batch = vector.shape[:-1]
    return {
        name: piece.reshape(*batch, *p.shape) for piece, (name, p) in zip(pieces, like.items(), strict=True)
    }


def functional_model(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Return ``f(vector, x) = outputs`` of the model at the parameters ``vector`` (P,)."""
    like = trainable_parameters(model)

    def outputs(vector: Tensor, x: Tensor) -> Tensor:
        result: Tensor = functional_call(model, unflatten(vector, like), (x,))
        return result

    return outputs


def functional_loss(model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor) -> Callable[[Tensor], Tensor]:
    """Return ``L(vector) = loss_fn(model at vector (x), y)``, a scalar function of the parameters (P,)."""
    outputs = functional_model(model)
    return lambda vector: loss_fn(outputs(vector, x), y)


def require_deterministic(model: nn.Module) -> None:
    """Refuse a model whose forward pass is random or changes its buffers.

    Raises ``ValueError`` for dropout or batch normalisation in training mode.
    """
    for name, module in model.named_modules():
        stochastic = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        updating = isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats
        if module.training and (stochastic or updating):
            raise ValueError(
                f"module {name!r} ({type(module).__name__}) is in training mode, where its outputs are not a "
                "fixed function of the parameters; call model.eval() first"
            )


def require_memory(needed_bytes: int, device: torch.device, what: str) -> None:
    """Refuse a computation that would not fit in the device's free memory.

    Raises ``MemoryError`` with the estimate in GiB. Does nothing where free memory cannot be read.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
    elif device.type == "cpu" and hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        return
    if needed_bytes > free:
        raise MemoryError(
            f"{what} needs about {needed_bytes / 2**30:.1f} GiB, but {device} has {free / 2**30:.1f} GiB free"
        )
