"""All problems of a job's plain configuration as a list."""

from collections.abc import Mapping
from typing import Any

from dlexp.config.errors import ConfigError
from dlexp.config.schema import Config

__all__ = ["ConfigError", "find_problems"]


def find_problems(config: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each problem of a job's plain configuration; an empty list if it can run."""
    try:
        Config.check(config)
    except ConfigError as error:
        return error.problems
    return []
