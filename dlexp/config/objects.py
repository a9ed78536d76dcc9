"""The one way from a ``_target_`` to an object."""

import copy
from collections.abc import Mapping
from typing import Any

from hydra.utils import get_method, instantiate

from dlexp.config.errors import ConfigError
from dlexp.config.identity import current_target


def locate(key: str, target: str) -> Any:
    """Return the class or function that a dotted path names.

    Raises ``ConfigError``, naming the configuration's key, if there is none.

    >>> locate("model", "torch.nn.Linear").__name__
    'Linear'
    """
    try:
        return get_method(current_target(target))
    except Exception as error:  # importing somebody's module can raise anything
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise ConfigError(f"{key}._target_={target} is not allowed: {reason}.") from None


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
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".") or type(error).__name__
        raise ConfigError(f"{key} cannot be made: {reason}.") from error


def _with_objects(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value)
        return {name: _with_objects(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_objects(inner) for inner in value]
    return value
