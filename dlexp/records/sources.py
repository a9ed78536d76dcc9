"""A user's own code behind a result: the files of the classes and functions that its configuration names."""

import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

NAMING = ("_target_", "function", "loss")
"""Keys whose values are dotted paths of classes and functions."""

_INSTALLED = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib", "stdlib"))


def own_sources(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of each module's file that a configuration names and that nobody has installed.

    Nothing is imported. What is not there, or is no file (a class of a notebook), is left out; so is what
    such a module imports itself.

    >>> own_sources({"model": {"_target_": "dlexp.models.mlp.MLP"}, "training": {"loss": "mse"}})
    {}
    """
    modules = {path.rpartition(".")[0] for path in _paths(config)}
    found = {
        module: _digest(module) for module in sorted(modules) if module.split(".")[0] not in ("", "dlexp")
    }
    return {module: digest for module, digest in found.items() if digest is not None}


def changed_sources(config: Mapping[str, Any], stored: Mapping[str, str]) -> list[str]:
    """Return the modules that have changed since digests were stored; one that is gone is none of them."""
    present = own_sources(config)
    return [module for module, digest in stored.items() if present.get(module, digest) != digest]


def _paths(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _paths(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _paths(inner, key)
    elif isinstance(value, str) and key in NAMING:
        yield value


def _digest(module: str) -> str | None:
    if module.split(".")[0] in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).resolve()
    if not path.is_file() or any(folder in path.parents for folder in _INSTALLED):
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()
