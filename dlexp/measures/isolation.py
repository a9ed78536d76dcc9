"""Call a module without leaving a trace: on a copy of its own, with the process's state put back.

A forward pass may count calls, keep activations, update averages, draw random numbers or cache tensors. A
measure therefore never calls the module that it is given.
"""

import copy
import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


def private_copy(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` that shares no tensor, container or submodule with it.

    The copy computes the same outputs. Hooks that act on gradients alone are left out: they belong to
    training, not to the function. Attributes that cannot be copied (locks, open files) are shared, and
    tensors that a forward pass left behind lose their graph.

    Raises ``ValueError`` for a module that cannot be copied all the same.

    >>> from torch import nn
    >>> block = nn.Linear(2, 2)
    >>> copied = private_copy(nn.ModuleList([block, block]))
    >>> copied[0] is copied[1], copied[0] is block
    (True, False)
    """
    known: dict[int, object] = {}
    with torch.inference_mode(False), torch.no_grad():
        for module in model.modules():
            for value in vars(module).values():
                _know_results(value, known)
        try:
            copied = copy.deepcopy(model, dict(known))
        except Exception:
            for module in model.modules():
                for value in vars(module).values():
                    _know_uncopyable(value, known)
            try:
                copied = copy.deepcopy(model, known)
            except Exception as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ValueError(f"{type(model).__name__} cannot be copied: {reason}") from error
    for module in copied.modules():
        module._backward_hooks, module._backward_pre_hooks = OrderedDict(), OrderedDict()
    return copied


def chain_copy(network: nn.Module) -> nn.Module:
    """Return a private copy of a chain (see :mod:`dlexp.measures.chain`), a tenth of the work of any other.

    >>> from torch import nn
    >>> copied = chain_copy(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
    >>> copied(torch.ones(3, 2)).shape
    torch.Size([3, 2])
    """
    copied = copy.copy(network)
    for hooks in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        setattr(copied, hooks, OrderedDict())
    with torch.inference_mode(False), torch.no_grad():
        copied._parameters = {
            key: None if p is None else nn.Parameter(p.detach().clone(), requires_grad=p.requires_grad)
            for key, p in network._parameters.items()
        }
    copied._modules = {key: child and chain_copy(child) for key, child in network._modules.items()}
    return copied


def _know_results(value: object, known: dict[int, object]) -> None:
    """Note copies of tensors that are results of a computation, which ``deepcopy`` refuses."""
    if isinstance(value, Tensor):
        if not value.is_leaf or value.is_inference():
            known[id(value)] = value.detach().clone()
    elif isinstance(value, dict):
        for item in value.values():
            _know_results(item, known)
    elif isinstance(value, list | tuple | set):
        for item in value:
            _know_results(item, known)


def _know_uncopyable(value: object, known: dict[int, object]) -> None:
    if isinstance(value, nn.Module | Tensor):
        return
    items = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list | tuple | set):
        for item in items:  # type: ignore[attr-defined]
            _know_uncopyable(item, known)
        return
    try:
        copy.deepcopy(value, dict(known))
    except Exception:
        known[id(value)] = value


class RightDerivatives(TorchFunctionMode):
    """Compose what torch 2.13 differentiates wrongly the second time of what it differentiates rightly.

    The second derivatives of ``torch._weight_norm``, behind both forms of weight normalisation, are not
    symmetric: a Hessian was off by 75 %.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function is torch._weight_norm:
            return _weight_norm(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    return v * (g / torch.norm_except_dim(v, 2, dim))


@contextmanager
def differentiable() -> Iterator[None]:
    """Record gradients, and second ones, whatever the caller's mode: also under ``inference_mode``.

    Attention takes torch's mathematical backend, the only one that can be differentiated twice.

    >>> with torch.inference_mode(), differentiable():
    ...     torch.ones(1, requires_grad=True).exp().requires_grad
    True
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(False), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def kept_random_state(device: torch.device) -> Iterator[list[str]]:
    """Put the global random generators back at the end, and name those that were drawn from.

    The list that is yielded is filled when the block ends.

    >>> with kept_random_state(torch.device("cpu")) as drawn:
    ...     _ = torch.randn(1)
    >>> drawn
    ["torch's generator"]
    """
    drawn: list[str] = []
    state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state(legacy=True)  # noqa: NPY002
    assert isinstance(numpy_state, tuple)
    cuda_state = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield drawn
    finally:
        if not torch.equal(torch.get_rng_state(), state):
            torch.set_rng_state(state)
            drawn.append("torch's generator")
        if cuda_state is not None and not torch.equal(torch.cuda.get_rng_state(device), cuda_state):
            torch.cuda.set_rng_state(cuda_state, device)
            drawn.append("torch's CUDA generator")
        if random.getstate() != python_state:
            random.setstate(python_state)
            drawn.append("random's generator")
        found = np.random.get_state(legacy=True)  # noqa: NPY002
        assert isinstance(found, tuple)
        if found[2:] != numpy_state[2:] or not np.array_equal(found[1], numpy_state[1]):
            np.random.set_state(numpy_state)  # noqa: NPY002
            drawn.append("numpy's generator")


def ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor without a graph that autograd may save; one made in inference mode is copied.

    >>> with torch.inference_mode():
    ...     x = torch.ones(1)
    >>> x.is_inference(), ordinary(x).is_inference()
    (True, False)
    """
    with torch.inference_mode(False):
        return tensor.clone() if tensor.is_inference() else tensor.detach()
