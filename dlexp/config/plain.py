"""From OmegaConf's nodes to the plain data of a job, and of a sweep's many jobs sooner."""

import functools
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

NOT_A_JOBS = ("hydra", "study")
"""The nodes that no job sees."""

_ABSENT = object()
_NAME = re.compile(r"[A-Za-z_]\w*")
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}")
# Functions of their argument alone, so that one answer serves all jobs.
_PURE = re.compile(r"\$\{loss_for_task:(\$\{[\w.]+\})\}")


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
    and most of the time that a job's configuration takes. One that only names other keys, ``${data.seed}`` or
    ``outputs/${name}``, is looked up here, once OmegaConf was seen to return their values of these types as
    they are: a typed key may convert what it is given.
    """

    def __init__(self) -> None:
        self._as_they_are: set[tuple[str, str, tuple[type, ...]]] = set()
        self._answers: dict[tuple[str, str, Any], Any] = {}

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

    def read(self, text: str, path: str, known: dict[str, Any], config: DictConfig) -> Any:
        """Return what a text with interpolations at ``path`` means, given plain data of the configuration."""
        pure = _PURE.fullmatch(text)
        parts = _parts(pure[1] if pure else text)
        values = [_value(known, part[1]) if part[0] else part[1] for part in parts or ()]
        if not values or _ABSENT in values:
            return _select(config, path)
        if pure:
            question = (path, text, values[0])
            if question not in self._answers:
                self._answers[question] = _select(config, path)
            return self._answers[question]
        if len(values) > 1 and not all(isinstance(value, str) for value in values):
            return _select(config, path)
        value = values[0] if len(values) == 1 else "".join(values)
        seen = (path, text, tuple(type(value) for value in values))
        if seen not in self._as_they_are:
            resolved = _select(config, path)
            if type(resolved) is not type(value) or resolved != value:
                return resolved
            self._as_they_are.add(seen)
        return value

    def _resolved(self, value: Any, path: str, raw: dict[str, Any], config: DictConfig) -> Any:
        """Return a value with every interpolation in it resolved; ``path`` is where it stands in ``raw``."""
        if isinstance(value, dict):
            return {key: self._resolved(inner, _join(path, key), raw, config) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._resolved(inner, f"{path}[{i}]", raw, config) for i, inner in enumerate(value)]
        return self.read(value, path, raw, config) if isinstance(value, str) and "${" in value else value


@functools.cache
def _parts(text: str) -> tuple[tuple[bool, str], ...] | None:
    """Cut a text into literals (False, text) and references (True, path); None if other things are in it."""
    pieces = _REFERENCE.split(text)  # literals and paths in turn
    if any(character in literal for literal in pieces[::2] for character in "$\\"):
        return None
    return tuple((i % 2 == 1, piece) for i, piece in enumerate(pieces) if piece)


def _value(known: dict[str, Any], path: str) -> Any:
    """Return the value at a dotted path, or at the one that it names; ``_ABSENT`` if that is no plain one."""
    for _ in range(2):
        value: Any = known
        for name in path.split("."):
            value = value.get(name, _ABSENT) if isinstance(value, dict) else _ABSENT
        reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if reference is None:
            break
        path = reference[1]
    is_plain = isinstance(value, int | float | str) and "${" not in str(value)
    return value if is_plain else _ABSENT


def _select(config: DictConfig, path: str) -> Any:
    """Return what OmegaConf makes of a key."""
    value = OmegaConf.select(config, path, default=_ABSENT, throw_on_missing=True)
    if value is _ABSENT:
        raise KeyError(path)
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
    return value


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if isinstance(key, str) and _NAME.fullmatch(key) else f"{path}[{key}]"
