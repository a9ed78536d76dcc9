"""Everything about a module and the process that a measure must leave as it was, to be compared with ==."""

import copy
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def footprint(network: nn.Module) -> dict[str, Any]:
    """Return what can be seen of a module: every attribute of every submodule, gradients, global state."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    return {
        **{
            f"{name or 'root'}.{key}": _seen(value, set())
            for name, module in network.named_modules(remove_duplicate=False)
            for key, value in vars(module).items()
        },
        "order of attributes": [list(vars(module)) for module in network.modules()],
        "state_dict": {name: _bits(value) for name, value in network.state_dict().items()},
        "can be copied": _is_copyable(network),
        "torch's generator": _bits(torch.get_rng_state()),
        "random's generator": random.getstate(),
        "numpy's generator": str(numpy_state[1].tolist()) + str(numpy_state[2:]),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()),
        "attention": (torch.backends.cuda.flash_sdp_enabled(), torch.backends.mha.get_fastpath_enabled()),
    }


def _is_copyable(network: nn.Module) -> bool:
    try:
        copy.deepcopy(network)
    except (RuntimeError, TypeError):
        return False
    return True


def _bits(tensor: Tensor) -> tuple[Any, ...]:
    values = tensor.detach().reshape(-1).view(torch.uint8) if tensor.numel() else tensor
    return str(tensor.dtype), tuple(tensor.shape), values.tolist()


def _seen(value: Any, above: set[int]) -> Any:
    if id(value) in above:
        return "itself"
    above = above | {id(value)}
    if isinstance(value, nn.Module):
        return id(value)  # looked at by its own name
    if isinstance(value, Tensor):
        gradient = None if not value.is_leaf or value.grad is None else (id(value.grad), _bits(value.grad))
        return id(value), _bits(value), value.requires_grad, gradient, _seen(value._backward_hooks, above)
    if isinstance(value, torch.Generator):
        return id(value), _bits(value.get_state())
    if isinstance(value, dict):
        return id(value), [(key, _seen(item, above)) for key, item in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return id(value), [_seen(item, above) for item in value]
    return id(value), value if isinstance(value, str | int | float | bool | type(None)) else None
