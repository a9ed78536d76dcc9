"""A user's own objects in a configuration, which holds names only."""

import sys
from collections.abc import Callable, Sequence
from functools import reduce
from types import ModuleType
from typing import Any

from dlexp.config.errors import ConfigError

MODULE = "dlexp_own"
"""Where stands what cannot be imported by a name of its own, for as long as the process lives."""


def own_parts(model: type | None, measures: Sequence[Callable[..., Any]], name: str | None) -> list[str]:
    """Return the overrides that choose a class of networks and measures.

    Raises ``ConfigError`` if one of them cannot be imported by its name and the sweep has no ``name``.
    """
    parts = [] if model is None else ["model=own", f"model._target_={_path(model)}"]
    for number, measure in enumerate(measures):
        path = _path(measure, f"measure_{number}")
        key = f"callbacks.{path.rpartition('.')[2]}"
        parts += [f"+{key}._target_=dlexp.callbacks.function.Function", f"+{key}.function={path}"]
    if any(f"={MODULE}." in part for part in parts):
        if name is None:
            raise ConfigError("name is missing: objects that cannot be imported by their names need one.")
        parts += ["rerun=true", "hydra.launcher.workers=1"]
    return parts


def _path(thing: Any, otherwise: str = "") -> str:
    """Return the dotted path of a class or function; one that has none gets one in ``MODULE``."""
    module: Any = sys.modules.get(thing.__module__)
    parts = thing.__qualname__.split(".")
    try:
        if thing.__module__ != "__main__" and reduce(getattr, parts, module) is thing:
            return f"{thing.__module__}.{thing.__qualname__}"
    except AttributeError:
        pass
    own = sys.modules.setdefault(MODULE, ModuleType(MODULE))
    name = thing.__name__ if thing.__name__.isidentifier() else otherwise
    setattr(own, name, thing)
    return f"{MODULE}.{name}"
