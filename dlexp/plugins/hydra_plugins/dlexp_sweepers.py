"""dlexp's Hydra sweeper, here because Hydra finds sweepers only in modules named ``hydra_plugins.*``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.dlexp_launchers import EnsembleLauncher
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

    dlexp's launchers compose and check all jobs together; for others they are checked here.

    Args:
        max_batch_size: the most jobs that the launcher is given at once; None: all.
        params: overrides of every sweep (``hydra.sweeper.params``), read from the configuration.
    """

    def __init__(self, max_batch_size: int | None, params: Mapping[str, str] | None = None) -> None:
        from dlexp.config.errors import not_allowed, refuse
        from dlexp.config.kinds import whole

        super().__init__()
        size = whole(1, null="all jobs at once")
        if not size.takes(max_batch_size):
            refuse([not_allowed("hydra.sweeper.max_batch_size", max_batch_size, size.allowed)])
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
        from dlexp.config.hydra_internals import told_in_sentences
        from dlexp.launch.arms import sweep_overrides

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        with told_in_sentences(arguments):
            jobs = sweep_overrides(self.config, arguments, self.hydra_context.config_loader)
        if not isinstance(self.launcher, EnsembleLauncher):
            self._check(jobs)  # Hydra's own launchers meet a wrong job when it is its turn
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

    def _check(self, jobs: list[list[str]]) -> None:
        """End the program if one of the jobs cannot be run."""
        from dlexp.config.compose import Composer
        from dlexp.config.errors import refuse
        from dlexp.config.hydra_internals import told_in_sentences
        from dlexp.config.jobs import compose_jobs
        from dlexp.launch.sweep import build_problems

        assert self.config is not None
        assert self.hydra_context is not None
        with told_in_sentences():
            composed = compose_jobs(Composer(self.hydra_context.config_loader, self.config), jobs)
        refuse(build_problems(composed))
