"""Where the YAML files are, and the resolvers that they use."""

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from dlexp.config.identity import run_folder_name
from dlexp.config.plain import PlainReader, to_plain
from dlexp.config.schema import Config

DEFAULT_SUBDIRECTORY = "${run_folder:${hydra.sweep.dir}}"
DEFAULT_LOSSES = {"regression": "mse", "classification": "cross_entropy"}


def conf_directory() -> Path:
    """Return the folder of the YAML files: ``conf/`` of the checkout, or its copy in an installed package."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "conf"
    return checkout if (checkout / "train.yaml").exists() else package / "conf"


def register() -> None:
    """Make the schema and the resolvers known to Hydra and OmegaConf."""
    ConfigStore.instance().store(name="schema", node=Config, provider="dlexp")
    OmegaConf.register_new_resolver("run_folder", _run_folder, replace=True)
    OmegaConf.register_new_resolver(
        "loss_for_task", lambda task: DEFAULT_LOSSES.get(task, "mse"), replace=True
    )


def sweep_folder(config: DictConfig, plain: dict[str, Any], reader: PlainReader) -> Path:
    """Return the folder of a sweep's job, of which ``plain`` is known."""
    raw: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    parent = reader.read(raw["dir"], "hydra.sweep.dir", plain, config)
    if raw["subdir"] != DEFAULT_SUBDIRECTORY:
        return Path(str(parent), str(config.hydra.sweep.subdir))
    return Path(parent, run_folder_name(plain, list(config.hydra.overrides.task), Path(parent)))


def _run_folder(parent: str, *, _root_: DictConfig) -> str:
    return run_folder_name(to_plain(_root_), list(_root_.hydra.overrides.task), Path(parent))
