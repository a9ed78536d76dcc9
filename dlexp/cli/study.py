"""A study on the command line: checked before its sweep, kept beside the results, judged at the end."""

import shlex
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from dlexp.launch.command import refuse

ARMS_SWEEPER = "hydra_plugins.dlexp_sweepers.ArmsSweeper"


class StudyCallback(Callback):
    """Refuses a study with mistakes before any job runs; writes ``study.json``."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the study and keep it."""
        chosen = [o for o in config.hydra.overrides.task if o.startswith("study=")]
        if any("," in override for override in chosen):
            refuse([f"{chosen[-1]} is not allowed: one study at a time (`make studies` runs all)."])
        if not config.study:
            return
        from dlexp.studies.study import find_study_problems, make_study, read_study

        node: Any = OmegaConf.to_container(config.study, resolve=True)
        problems = find_study_problems(node)
        if node.get("arms") and config.hydra.sweeper._target_ != ARMS_SWEEPER:
            problems.append("hydra/sweeper is not allowed to be another than arms: this study has arms.")
        refuse(problems)
        folder = Path(config.hydra.sweep.dir)
        earlier = read_study(folder)
        study = make_study(
            node,
            name=config.name,
            command=shlex.join([*_program(), *sys.argv[1:]]),
            fast=config.hydra.runtime.choices.get("debug") == "fast",
            seconds=earlier.seconds if earlier else None,  # of the sweep that this one finds finished
        )
        study.write(folder)


def _program() -> list[str]:
    """Return how this command is called: as the checkout's script or as the installed program."""
    name = Path(sys.argv[0]).name
    return ["python", f"scripts/{name}"] if name.endswith(".py") else [name]
