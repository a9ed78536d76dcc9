"""Refuse modules whose outputs are not a fixed function of their parameters and inputs."""

import torch
from torch import Tensor, nn

from dlexp.measures.isolation import differentiable, kept_random_state, ordinary


def require_deterministic(model: nn.Module) -> None:
    """Refuse a model that is known to be random or to change its buffers in its present mode.

    Raises ``ValueError`` for dropout or batch normalisation in training mode.

    >>> require_deterministic(nn.Dropout())
    Traceback (most recent call last):
    ValueError: module '' (Dropout) is in training mode, where its outputs are not a fixed function of \
the parameters; call model.eval() first
    """
    for name, module in model.named_modules():
        stochastic = isinstance(module, nn.modules.dropout._DropoutNd) and module.p > 0
        updating = isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats
        if module.training and (stochastic or updating):
            raise ValueError(
                f"module {name!r} ({type(module).__name__}) is in training mode, where its outputs are not a "
                "fixed function of the parameters; call model.eval() first"
            )


def require_inputs(model: nn.Module, x: Tensor) -> None:
    """Refuse inputs that the model cannot take.

    Raises ``ValueError`` for no rows, another device or another floating-point type than the parameters.

    >>> require_inputs(nn.Linear(3, 2), torch.ones(4, 3, dtype=torch.float64))
    Traceback (most recent call last):
    ValueError: x is torch.float64, but the model is torch.float32
    """
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; it must hold at least one row")
    parameter = next(iter(model.parameters()), None)
    if parameter is None:
        return
    if x.device != parameter.device:
        raise ValueError(f"x is on {x.device}, but the model is on {parameter.device}")
    if x.is_floating_point() and x.dtype != parameter.dtype:
        raise ValueError(f"x is {x.dtype}, but the model is {parameter.dtype}")


def fixed_outputs(network: nn.Module, x: Tensor) -> object:
    """Call a private copy twice and return the outputs of the first call, without a graph.

    Global random generators are put back.

    Raises ``ValueError`` where a call draws from them or changes buffers, or the second call gives other
    outputs: the module is random or keeps a state that its outputs depend on.

    >>> from torch import nn
    >>> fixed_outputs(nn.Dropout().eval(), torch.ones(2))
    tensor([1., 1.])
    """
    x = ordinary(x)
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    with differentiable(), torch.no_grad(), kept_random_state(x.device) as drawn:
        # A module may write into its inputs.
        first, again = network(x.clone()), network(x.clone())
    found = [f"draws from {generator}" for generator in drawn]
    found += [f"changes buffer {n!r}" for n, b in network.named_buffers() if not _same(b, buffers.get(n))]
    if not found and not _agree(first, again):
        found = ["gives other outputs at its second call"]
    if found:
        raise ValueError(
            f"the forward pass of {type(network).__name__} {' and '.join(found)}, so that its outputs are "
            "not a fixed function of the parameters; call model.eval() first"
        )
    return first


def require_fixed(network: nn.Module, x: Tensor) -> Tensor:
    """Return :func:`fixed_outputs` of a private copy as a tensor of real numbers.

    Raises ``TypeError`` where they are none.

    >>> require_fixed(nn.Identity(), torch.ones(2, dtype=torch.int64))
    Traceback (most recent call last):
    TypeError: the outputs of Identity are torch.int64, where real numbers are needed
    """
    kind, outputs = type(network).__name__, fixed_outputs(network, x)
    if not isinstance(outputs, Tensor):
        raise TypeError(f"{kind} returns a {type(outputs).__name__}, where one tensor of outputs is needed")
    if not outputs.is_floating_point():
        raise TypeError(f"the outputs of {kind} are {outputs.dtype}, where real numbers are needed")
    return outputs


def _same(one: Tensor, other: Tensor | None) -> bool:
    if other is None or one.shape != other.shape:
        return False
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _agree(one: object, other: object) -> bool:
    """Whether two outputs are equal up to the order of sums, which may differ on a GPU."""
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_agree, one, other))
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return True
    if one.shape != other.shape or not one.is_floating_point():
        return one.shape == other.shape
    tolerance = 1e3 * float(torch.finfo(one.dtype).eps)
    finite = one[one.isfinite()]  # an overflow agrees with itself
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
