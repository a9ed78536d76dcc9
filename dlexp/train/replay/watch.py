"""What a network keeps beside its weights, and whether a computation changed any of it."""

import contextlib
import pickle
import random
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlexp.train.replay.record import Unstackable

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)


@contextlib.contextmanager
def unchanged(network: nn.Module, loss: Any, tensors: Sequence[Tensor]) -> Iterator[None]:
    """Raise :class:`Unstackable` if what happens meanwhile leaves a trace.

    Random states, the values of parameters, buffers and data, and the attributes of the modules and of the
    loss must be bitwise as before.
    """
    values = [tensor.detach().clone() for tensor in tensors]
    state = [fingerprint(network), fingerprint(loss)]
    drawn = _random_states()
    yield
    if _random_states() != drawn:
        raise Unstackable("a step draws random numbers")
    for before, tensor in zip(values, tensors, strict=True):
        if not torch.equal(before, tensor):
            raise Unstackable("a step writes to its parameters, buffers or inputs")
    if [fingerprint(network), fingerprint(loss)] != state:
        raise Unstackable("a step changes attributes of the network")


def fingerprint(value: Any, seen: set[int] | None = None) -> Any:
    """Return what tells whether an object, or anything that it holds, has been changed."""
    seen = set() if seen is None else seen
    if isinstance(value, _PLAIN):
        return type(value).__name__, repr(value)
    if id(value) in seen:
        return "again", id(value)
    seen.add(id(value))
    if isinstance(value, Tensor):
        return "tensor", id(value), value._version
    if isinstance(value, np.ndarray):
        return "array", value.tobytes()
    if isinstance(value, dict):
        return "dict", [(_named(key), fingerprint(own, seen)) for key, own in value.items()]
    if isinstance(value, list | tuple):
        return "sequence", [fingerprint(own, seen) for own in value]
    if isinstance(value, types.FunctionType):
        held = [cell.cell_contents for cell in value.__closure__ or ()]
        held += [value.__defaults__, value.__kwdefaults__, vars(value)]
        return "function", id(value), [fingerprint(own, seen) for own in held]
    if isinstance(value, types.MethodType):
        return "method", [fingerprint(own, seen) for own in (value.__self__, value.__func__)]
    if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        return "named", id(value)
    if isinstance(value, nn.Module):
        return "module", id(value), fingerprint(vars(value), seen)
    own = fingerprint(vars(value), seen) if hasattr(value, "__dict__") else None
    return type(value).__name__, own, _pickled(value)


def _named(key: Any) -> Any:
    return repr(key) if isinstance(key, _PLAIN) else id(key)


def _pickled(value: Any) -> Any:
    """Return an object's state where it can be had, else which object it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pickle.dumps(value)
    except Exception:  # whatever a foreign class raises
        return id(value)


def _random_states() -> list[Any]:
    cuda = [state.tolist() for state in torch.cuda.get_rng_state_all()] if torch.cuda.is_initialized() else []
    drawn = pickle.dumps(np.random.get_state())  # noqa: NPY002
    return [random.getstate(), drawn, torch.get_rng_state().tolist(), cuda]
