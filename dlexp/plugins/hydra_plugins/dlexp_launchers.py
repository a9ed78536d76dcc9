"""dlexp's Hydra launchers, here because Hydra finds launchers only in modules named ``hydra_plugins.*``.

The work is done in ``dlexp.sweeps``, imported when a sweep starts so that ``--help`` and tab completion stay
fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class SerialLauncherConfig:
    """``hydra/launcher=serial``."""

    _target_: str = "hydra_plugins.dlexp_launchers.SerialLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="serial", node=SerialLauncherConfig, provider="dlexp"
)


class SerialLauncher(Launcher):
    """Checks all jobs of a sweep together, then runs them one after the other in this process."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what launching needs, and let the sweeper and the launcher share their compositions."""
        from dlexp.config.composition import SweepConfigLoader

        hydra_context.config_loader = cast(ConfigLoader, SweepConfigLoader(hydra_context.config_loader))
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; a wrong value in any of them is refused before the first one starts."""
        from dlexp.sweeps.serial import compose_jobs, run_jobs

        jobs = compose_jobs(self.hydra_context, self.config, job_overrides, initial_job_idx)
        return run_jobs(self.hydra_context, self.task_function, jobs)
