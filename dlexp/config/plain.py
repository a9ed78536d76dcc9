"""From OmegaConf's nodes to the plain data of a job."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from dlexp.config.errors import ConfigError
from dlexp.config.fill import fill
from dlexp.config.hydra_internals import explain

NOT_A_JOBS = ("hydra", "study")
"""The nodes that no job sees."""


def to_plain(config: DictConfig) -> dict[str, Any]:
    """Return a composed configuration, without the nodes of Hydra and of the study, as a job's plain data.

    Interpolations are resolved, what follows from other settings is filled. What is missing stays ``???``.
    Raises ``ConfigError`` for an interpolation that cannot be resolved.
    """
    raw: Any = OmegaConf.to_container(config, resolve=False)
    plain = fill({str(key): value for key, value in raw.items() if key not in NOT_A_JOBS})
    try:
        return resolved(plain, raw) if is_interpolated(plain) else plain
    except OmegaConfBaseException as error:
        raise ConfigError(explain(error)) from error


def resolved(plain: dict[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's plain data with every interpolation resolved by OmegaConf, against ``others`` too.

    What follows from other settings is filled first, so that an interpolation may name it, and once more
    where it follows from an interpolation.
    """
    text = str(plain)  # the nodes that it does not name need not be made, which takes longest
    named = {key: others[key] for key in NOT_A_JOBS if key in others and key in text}
    root = OmegaConf.create({**named, **plain})
    values: dict[str, Any] = {}
    for key in plain:
        node = root[key]
        values[key] = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    return fill(values)


def is_interpolated(value: Any) -> bool:
    """Whether any text in plain data holds an interpolation, or an escaped one."""
    if isinstance(value, str):
        return "${" in value
    if isinstance(value, dict):
        return any(map(is_interpolated, value.values()))
    return isinstance(value, list) and any(map(is_interpolated, value))
