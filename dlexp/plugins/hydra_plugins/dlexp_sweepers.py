"""dlexp's Hydra sweeper, here because Hydra finds sweepers only in modules named ``hydra_plugins.*``."""

from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf


@dataclass
class ArmsSweeperConfig:
    """``hydra/sweeper=arms``."""

    _target_: str = "hydra_plugins.dlexp_sweepers.ArmsSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="arms", node=ArmsSweeperConfig, provider="dlexp")


class ArmsSweeper(BasicSweeper):
    """Hydra's basic sweeper, and for a study with ``study.arms`` the jobs of each of them."""

    def split_arguments(  # type: ignore[override]
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        """Return the jobs' overrides, in batches."""
        from dlexp.sweeps.arms import ArmError, expand_arm, overrides_of, select_arms

        assert self.config is not None
        assert self.hydra_context is not None
        common, command_line = overrides[: len(self.params)], overrides[len(self.params) :]
        study: Any = OmegaConf.to_container(self.config.study, resolve=True)
        arms = study.get("arms") or {}
        is_fast = self.config.hydra.runtime.choices.get("debug") == "fast"
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        jobs: list[list[str]] = []
        try:
            names: list[str | None] = [*select_arms(arms, command_line)]
            for name in names or [None]:
                jobs += expand_arm(
                    name,
                    common=common,
                    own=parser.parse_overrides(overrides_of(arms.get(name))),
                    fast=parser.parse_overrides(overrides_of(study.get("fast"))) if is_fast else [],
                    command_line=command_line,
                )
        except ArmError as error:
            raise SystemExit(str(error)) from None
        return list(self.split_overrides_to_chunks(jobs, max_batch_size))
