"""The one way from a ``_target_`` to an object."""

import copy
import importlib
import inspect
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from hydra.utils import instantiate

from dlexp.config.errors import ConfigError, first_line
from dlexp.config.identity import current_target


def locate(key: str, target: str) -> Any:
    """Return the class or function that a dotted path names.

    Raises ``ConfigError``, naming the configuration's key, if there is none.

    >>> locate("model", "torch.nn.Linear").__name__
    'Linear'
    """
    try:
        found = _named(current_target(target).split("."))
    except Exception as error:  # importing somebody's module can raise anything
        raise ConfigError(f"{key}._target_={target} is not allowed: {first_line(error)}.") from None
    if not callable(found):
        raise ConfigError(f"{key}._target_={target} is not allowed: it must be a class or function.")
    return found


def _named(parts: Sequence[str]) -> Any:
    """Return what stands at a dotted path: in the longest part of it that is a module."""
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            return reduce(getattr, parts[length:], importlib.import_module(name))
        except ModuleNotFoundError as error:
            if length == 1 or error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # the module is there, and needs one that is not
    raise ModuleNotFoundError("a module and a name in it are needed")


def require_arguments(key: str, target: str, /, *arguments: Any, **settings: Any) -> Any:
    """Return the class or function of a path if it takes these arguments; it is not called.

    Raises ``ConfigError`` if it does not.

    >>> require_arguments("model", "torch.nn.Linear", 2, out_features=1).__name__
    'Linear'
    """
    found = locate(key, target)
    try:
        inspect.signature(found).bind(*arguments, **settings)
    except TypeError as error:
        raise ConfigError(f"{key}: {target} does not take these settings: {first_line(error)}.") from None
    except ValueError:  # some of C's have no signature
        pass
    return found


def make(key: str, settings: Mapping[str, Any], **more: Any) -> Any:
    """Return a new object of the class that ``_target_`` names, with the other settings as arguments.

    Settings that hold a ``_target_`` of their own become objects first, as by Hydra's ``instantiate``.

    Raises ``ConfigError`` if it cannot be made.

    >>> make("optimizer", {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 1}).out_features
    1
    """
    arguments = {name: copy.deepcopy(value) for name, value in settings.items() if name != "_target_"}
    maker = locate(key, settings["_target_"])
    try:
        arguments = {name: _with_objects(value) for name, value in arguments.items()}
        return maker(**arguments, **more)
    except Exception as error:
        raise ConfigError(f"{key} cannot be made: {first_line(error.__cause__ or error)}.") from error


def _with_objects(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value)
        return {name: _with_objects(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_objects(inner) for inner in value]
    return value
