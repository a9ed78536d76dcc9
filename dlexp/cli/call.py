"""The command in this process: for ``main``, and for Python."""

import sys
from collections.abc import Sequence
from typing import Any

import hydra

from dlexp.config.errors import ConfigError
from dlexp.config.hydra_internals import run_worded
from dlexp.config.resolve import conf_directory, register
from dlexp.guest import unchanged
from dlexp.launch.command import Command


def call(arguments: Sequence[str], command: Command) -> None:
    """Run a command line (without the program's name); ``command`` is told of its jobs.

    Raises ``SystemExit`` with sentences that say why, if it cannot be run.
    """
    register()
    decorate: Any = hydra.main(version_base="1.3", config_path=str(conf_directory()), config_name="train")
    program, sys.argv = sys.argv, [sys.argv[0], *arguments]  # where Hydra looks
    try:
        run_worded(decorate(command.task_function()), arguments)
    finally:
        sys.argv = program
        command.progress.end()


def call_as_guest(arguments: Sequence[str]) -> Command:
    """Run a command line inside somebody's program or notebook; return the command as it ended.

    Raises ``ConfigError`` for what cannot be run.
    """
    command = Command()
    with unchanged():
        try:
            call(arguments, command)
        except SystemExit as end:
            if isinstance(end.__cause__, ConfigError):
                raise ConfigError(end.__cause__.problems) from None
            if isinstance(end.code, str):
                raise ConfigError(end.code.splitlines()) from None
            raise
    return command
