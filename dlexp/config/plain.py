"""From OmegaConf's nodes to the plain data of a job, and of a sweep's many jobs sooner."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

NOT_A_JOBS = ("hydra", "study")
"""The nodes that no job sees."""

_ABSENT = object()
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Return a job's configuration, without the nodes of Hydra and of the study, as resolved plain data."""
    plain: dict[str, Any] = {}
    for key in config:
        if key not in NOT_A_JOBS:
            value = config[key]
            is_node = OmegaConf.is_config(value)
            plain[str(key)] = (
                OmegaConf.to_container(value, resolve=True, throw_on_missing=True) if is_node else value
            )
    return plain


class PlainReader:
    """Returns what ``to_plain`` returns, sooner, of the configurations of one sweep.

    OmegaConf parses an interpolation each time that it resolves it, which takes a quarter of a millisecond,
    and most of the time that a job's configuration takes. One that only names another key, ``${data.seed}``,
    is looked up here, once OmegaConf was seen to return that key's value of that type as it is: a typed key
    may convert what it is given.
    """

    def __init__(self) -> None:
        self._as_it_is: set[tuple[str, str, type]] = set()

    def __call__(self, config: DictConfig) -> dict[str, Any]:
        """Return a job's configuration as plain data."""
        raw = {
            str(key): OmegaConf.to_container(value, resolve=False, throw_on_missing=True)
            if OmegaConf.is_config(value := config[key])
            else value
            for key in config
            if key not in NOT_A_JOBS
        }
        try:
            return {key: self._resolved(value, key, raw, config) for key, value in raw.items()}
        except KeyError:  # a key that no path can name, such as a number
            return to_plain(config)

    def _resolved(self, value: Any, path: str, raw: dict[str, Any], config: DictConfig) -> Any:
        """Return a value with every interpolation in it resolved; ``path`` is where it stands in ``raw``."""
        if isinstance(value, dict):
            return {key: self._resolved(inner, _join(path, key), raw, config) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._resolved(inner, f"{path}[{i}]", raw, config) for i, inner in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        reference = _REFERENCE.fullmatch(value)
        target = _look_up(raw, reference[1]) if reference else None
        if isinstance(target, str) and _REFERENCE.fullmatch(target):  # one that names a key that names a key
            target = _look_up(raw, target[2:-1])
        is_plain = target is not None and not isinstance(target, dict | list) and "${" not in str(target)
        if is_plain and (path, value, type(target)) in self._as_it_is:
            return target
        resolved = OmegaConf.select(config, path, default=_ABSENT, throw_on_missing=True)
        if resolved is _ABSENT:
            raise KeyError(path)
        if OmegaConf.is_config(resolved):
            return OmegaConf.to_container(resolved, resolve=True, throw_on_missing=True)
        if is_plain and type(resolved) is type(target) and resolved == target:
            self._as_it_is.add((path, value, type(target)))
        return resolved


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if isinstance(key, str) and _NAME.fullmatch(key) else f"{path}[{key}]"


def _look_up(raw: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path, None if there is none."""
    value: Any = raw
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
