"""Where the YAML files are, and the resolvers that they use."""

from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from dlexp.config.identity import run_folder_name
from dlexp.config.plain import to_plain
from dlexp.config.schema import Config

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


def sweep_folder(config: DictConfig, plain: dict[str, Any]) -> Path:
    """Return the folder of a sweep's job, of which ``plain`` is known: resolving it takes milliseconds."""
    _resolved.append((config, plain))
    try:
        return Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
    finally:
        _resolved.pop()


_resolved: list[tuple[DictConfig, dict[str, Any]]] = []


def _run_folder(parent: str, *, _root_: DictConfig) -> str:
    known = [plain for config, plain in _resolved if config is _root_]
    overrides = list(_root_.hydra.overrides.task)
    return run_folder_name(known[0] if known else to_plain(_root_), overrides, Path(parent))
