"""Where the YAML files are, and the resolver of a run's folder."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dlexp.config.identity import run_folder_name
from dlexp.config.plain import to_plain

DEFAULT_SUBDIRECTORY = "${run_folder:${hydra.sweep.dir}}"


def conf_directory() -> Path:
    """Return the folder of the YAML files: ``conf/`` of the checkout, or its copy in an installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "conf"
    return checkout if (checkout / "train.yaml").exists() else package / "conf"


def register() -> None:
    """Make ``${run_folder:PARENT}``, the name of a run's folder in a parent, known to OmegaConf."""
    OmegaConf.register_new_resolver("run_folder", _run_folder, replace=True)


def _run_folder(parent: str, *, _root_: DictConfig) -> str:
    overrides: Any = OmegaConf.to_container(_root_.hydra.overrides.task, resolve=False)
    return run_folder_name(to_plain(_root_), overrides, Path(parent))
