"""dlexp's Hydra sweeper, here because Hydra finds sweepers only in modules named ``hydra_plugins.*``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class ArmsSweeperConfig:
    """``hydra/sweeper=arms``."""

    _target_: str = "hydra_plugins.dlexp_sweepers.ArmsSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="arms", node=ArmsSweeperConfig, provider="dlexp")


class ArmsSweeper(Sweeper):
    """The product of what is swept, as Hydra's basic sweeper makes it; of a study, that of each of its arms.

    It composes no job: dlexp's launchers compose and check all of them together.

    Args:
        max_batch_size: the most jobs that the launcher is given at once; None: all.
        params: overrides of every sweep (``hydra.sweeper.params``), read from the configuration.
    """

    def __init__(self, max_batch_size: int | None, params: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.max_batch_size = max_batch_size

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what sweeping needs, and make the launcher."""
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Launch the jobs; ends the program with one sentence if the arguments make no jobs."""
        from dlexp.config.errors import ConfigError
        from dlexp.launch.arms import sweep_overrides

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        try:
            jobs = sweep_overrides(self.config, arguments, self.hydra_context.config_loader)
        except ConfigError as error:
            raise SystemExit(str(error)) from None
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        size = self.max_batch_size or len(jobs)
        returned: list[Sequence[JobReturn]] = []
        for start in range(0, len(jobs), size):
            returned.append(self.launcher.launch(jobs[start : start + size], initial_job_idx=start))
            for job in returned[-1]:
                _ = job.return_value  # raises what a job raised
        return returned
