"""dlexp's Hydra launchers, here because Hydra finds launchers only in modules named ``hydra_plugins.*``.

The work is done in ``dlexp.sweeps``, imported when a sweep starts so that ``--help`` and tab completion stay
fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

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
        from dlexp.sweeps.jobs import compose_jobs
        from dlexp.sweeps.serial import run_jobs

        jobs = compose_jobs(self.hydra_context, self.config, job_overrides, initial_job_idx)
        return run_jobs(self.hydra_context, self.task_function, self.config, jobs)


@dataclass
class VectorizedLauncherConfig:
    """``hydra/launcher=vectorized``."""

    _target_: str = "hydra_plugins.dlexp_launchers.VectorizedLauncher"
    workers: int = 1  # processes that groups of jobs are spread over, at least one a trainer.devices
    memory_gib: float = 4.0  # what one group may take; larger ones are cut
    executor: Any = None  # in place of workers: _target_ of a concurrent.futures executor, and its arguments


ConfigStore.instance().store(
    group="hydra/launcher", name="vectorized", node=VectorizedLauncherConfig, provider="dlexp"
)


class VectorizedLauncher(SerialLauncher):
    """Checks all jobs together and trains those that can share a program as one stack of networks."""

    def __init__(self, workers: int, memory_gib: float, executor: Any) -> None:
        from dlexp.config.errors import not_allowed
        from dlexp.config.kinds import Real, Whole

        for key, value, kind in (
            ("workers", workers, Whole(1, 10_000)),
            ("memory_gib", memory_gib, Real(above=0)),
        ):
            if not kind.takes(value):
                raise SystemExit(not_allowed(f"hydra.launcher.{key}", value, kind.allowed))
        self.workers = workers
        self.memory_gib = memory_gib
        self.executor = executor

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; a wrong value in any of them is refused before the first one starts."""
        from dlexp.sweeps.executors import InProcessExecutor, process_pool
        from dlexp.sweeps.jobs import compose_jobs
        from dlexp.sweeps.vectorized import run_jobs

        jobs = compose_jobs(self.hydra_context, self.config, job_overrides, initial_job_idx)
        devices = _count_devices(self.config.trainer.devices)
        workers = max(self.workers, devices)
        executor = self.executor  # made by Hydra with the launcher
        if executor is None:
            executor = process_pool(workers, devices) if workers > 1 else InProcessExecutor()
        try:
            return run_jobs(
                self.hydra_context, self.task_function, self.config, jobs, executor, self.memory_gib, workers
            )
        finally:
            if hasattr(executor, "shutdown"):  # not every class with submit() has it
                executor.shutdown(wait=False, cancel_futures=True)


def _count_devices(devices: Any) -> int:
    if devices != "auto":
        return int(devices)
    import torch

    return max(1, torch.cuda.device_count())
