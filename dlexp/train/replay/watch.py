"""What a network keeps beside its weights, and whether a computation changed any of it."""

import contextlib
import logging
import pickle
import random
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlexp.train.replay.record import Unstackable

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_LIBRARIES = {"dlexp", "numpy", "torch", *sys.stdlib_module_names} - {"__main__"}


@contextlib.contextmanager
def unchanged(network: nn.Module, loss: Any, tensors: Sequence[Tensor]) -> Iterator[None]:
    """Raise :class:`Unstackable` if what happens meanwhile leaves a trace.

    Random states, the values of parameters, buffers and data, the attributes of the modules and of the loss,
    and what their code reads by name (attributes of classes, globals, closures) must be bitwise as before.
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
        raise Unstackable("a step changes attributes of the network, or what its code keeps elsewhere")


def fingerprint(value: Any, seen: set[int] | None = None) -> Any:
    """Return what tells whether an object, or anything that it or its code holds, has been changed.

    What code holds is what functions and classes of no library read by name: closures, globals, attributes of
    classes and of modules.
    """
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
    if isinstance(value, types.ModuleType | types.BuiltinFunctionType | logging.Logger):
        return "named", id(value)
    if isinstance(value, types.FunctionType):
        held = [*_cells(value), value.__defaults__, value.__kwdefaults__, vars(value)]
        held += [] if _is_of_a_library(value) else _globals_read(value.__code__, value.__globals__)
        return "function", id(value), [fingerprint(own, seen) for own in held]
    if isinstance(value, types.MethodType):
        return "method", [fingerprint(own, seen) for own in (value.__self__, value.__func__)]
    if isinstance(value, staticmethod | classmethod):
        return "function of a class", fingerprint(value.__func__, seen)
    if isinstance(value, property):
        return "property", [fingerprint(own, seen) for own in (value.fget, value.fset, value.fdel)]
    if isinstance(value, type):
        held = [] if _is_of_a_library(value) else [*vars(value).values(), *value.__bases__]
        return "class", id(value), [fingerprint(own, seen) for own in held]
    kind = fingerprint(type(value), seen)
    if isinstance(value, nn.Module):
        return "module", id(value), kind, fingerprint(vars(value), seen)
    own = fingerprint(vars(value), seen) if hasattr(value, "__dict__") else None
    return kind, own, _pickled(value)


def _cells(function: types.FunctionType) -> list[Any]:
    """Return what a function has of the functions around it, as far as it is there yet."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            found.append(cell.cell_contents)
    return found


def _globals_read(code: types.CodeType, names: dict[str, Any]) -> list[Any]:
    """Return the globals that a function, or one inside it, reads by name: its module's, other modules'."""
    own = [names[name] for name in code.co_names if name in names]
    for module in [one for one in own if isinstance(one, types.ModuleType)]:
        if module.__name__.partition(".")[0] not in _LIBRARIES:
            own += [vars(module)[name] for name in code.co_names if name in vars(module)]
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return own + [one for part in inner for one in _globals_read(part, names)]


def _is_of_a_library(value: Any) -> bool:
    """Whether a function or class is torch's, NumPy's, dlexp's or Python's, which keep nothing of it."""
    return (value.__module__ or "builtins").partition(".")[0] in _LIBRARIES


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
