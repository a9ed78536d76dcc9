"""One network from its configuration, in the calling program."""

import copy
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from dlexp.config.errors import ConfigError
from dlexp.config.identity import run_folder_name
from dlexp.config.schema import Config
from dlexp.frameworks import import_frameworks
from dlexp.guest import unchanged
from dlexp.records.run import Run
from dlexp.train.job import run_tasks
from dlexp.train.job_folder import Task


def train(config: Mapping[str, Any], folder: str | PathLike[str] | None = None) -> Run:
    """Train the one network that a configuration describes, and return the result.

    Args:
        config: of ``dlexp.compose``, changed as one likes.
        folder: of the run; None: the one it would have on the command line, in ``outputs/<name>``. A finished
            result there is returned.

    Raises ``ConfigError`` with a sentence for each problem, before anything is trained.
    """
    plain: dict[str, Any] = copy.deepcopy(dict(config))
    Config.check(plain)
    if folder is None:
        parent = Path("outputs", plain["name"])
        folder = parent / run_folder_name(plain, [], parent)
    import_frameworks()
    from dlexp.train.problems import find_build_problems

    with unchanged():
        problems = find_build_problems(plain)
        if problems:
            raise ConfigError(problems)
        (run,) = run_tasks([Task(plain, [], Path(folder).absolute())])
    return run
