"""dlexp's Hydra launchers, here because Hydra finds launchers only in modules named ``hydra_plugins.*``.

The work is done in ``dlexp.launch``, imported when a sweep starts so that ``--help`` and tab completion stay
fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.experimental.callback import Callback
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class VectorizedLauncherConfig:
    """``hydra/launcher=vectorized``."""

    _target_: str = "hydra_plugins.dlexp_launchers.EnsembleLauncher"
    together: bool = True  # jobs that can share a program are trained as one ensemble
    workers: int = 1  # processes that ensembles are spread over, at least one a trainer.devices
    memory_gib: float = 4.0  # what one ensemble may take; larger ones are cut
    executor: Any = None  # in place of workers: _target_ of a concurrent.futures executor, and its arguments


@dataclass
class SerialLauncherConfig(VectorizedLauncherConfig):
    """``hydra/launcher=serial``: each job by itself, by the loop."""

    together: bool = False


for _name, _config in (("vectorized", VectorizedLauncherConfig), ("serial", SerialLauncherConfig)):
    ConfigStore.instance().store(group="hydra/launcher", name=_name, node=_config, provider="dlexp")


class EnsembleLauncher(Launcher):
    """Checks all jobs of a sweep together, then runs them, together or one by one."""

    def __init__(self, together: bool, workers: int, memory_gib: float, executor: Any) -> None:
        from dlexp.config.errors import not_allowed, refuse
        from dlexp.config.kinds import real, whole

        problems = [
            not_allowed(f"hydra.launcher.{key}", value, kind.allowed)
            for key, value, kind in (
                ("workers", workers, whole(1, 10_000)),
                ("memory_gib", memory_gib, real(above=0)),
            )
            if not kind.takes(value)
        ]
        if executor is not None and not hasattr(executor, "submit"):
            allowed = "_target_ of a concurrent.futures executor and its arguments, or null"
            problems.append(not_allowed("hydra.launcher.executor", executor, allowed))
        refuse(problems)
        self.together, self.workers, self.memory_gib, self.executor = together, workers, memory_gib, executor

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what launching needs."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; a wrong value in any of them is refused before the first one starts."""
        from dlexp.cli.study import claim_problems
        from dlexp.config.compose import Composer
        from dlexp.config.errors import refuse
        from dlexp.config.hydra_internals import told_in_sentences
        from dlexp.config.jobs import compose_jobs
        from dlexp.launch.command import command_of, writable
        from dlexp.launch.executors import InProcessExecutor, process_pool
        from dlexp.launch.sweep import Settings, run_jobs

        setup_globals()
        command = command_of(self.task_function)
        command.is_sweep, command.folder = True, writable(self.config.hydra.sweep.dir)
        command.has_study = bool(self.config.study)
        composer = Composer(self.hydra_context.config_loader, self.config)
        with told_in_sentences():
            jobs = compose_jobs(composer, job_overrides, initial_job_idx)
        if command.has_study:
            refuse(claim_problems(self.config, jobs))
        devices = _count_devices(self.config.trainer.devices)
        workers = max(self.workers, devices)
        engine = None if self.together else "loop"
        settings = Settings(self.together, engine, self.memory_gib, workers, self.config.hydra.output_subdir)
        executor = self.executor  # made by Hydra with the launcher
        if executor is None:
            executor = process_pool(workers, devices) if workers > 1 else InProcessExecutor()
        try:
            runs = run_jobs(jobs, command, executor, settings)
        finally:
            if hasattr(executor, "shutdown"):  # not every class with submit() has it
                executor.shutdown(wait=False, cancel_futures=True)
        returns = [
            _job_return(job, run, self.config.hydra.job.name) for job, run in zip(jobs, runs, strict=True)
        ]
        if _are_told(self.hydra_context):
            self._tell(jobs, returns)
        return returns

    def _tell(self, jobs: Sequence[Any], returns: Sequence[JobReturn]) -> None:
        """Tell Hydra's callbacks of the jobs, each as if it had run now."""
        for job, returned in zip(jobs, returns, strict=True):
            returned.cfg = OmegaConf.create(job.plain)
            config = self.hydra_context.config_loader.load_sweep_config(
                self.config, list(returned.overrides or ())
            )
            config.hydra.job.id = config.hydra.job.num = job.index
            callbacks = self.hydra_context.callbacks
            callbacks.on_job_start(config=config, task_function=self.task_function)
            callbacks.on_job_end(config=config, job_return=returned)


def _job_return(job: Any, run: Any, task_name: str) -> JobReturn:
    """Return what a sweeper wants to know of a job; ``cfg`` takes milliseconds and is left to callbacks."""
    returned = JobReturn()
    returned.overrides = list(job.overrides)
    returned.working_dir = str(job.folder)
    returned.task_name = task_name
    returned.return_value = run.metrics.get(job.plain["objective"])
    returned.status = JobStatus.COMPLETED
    return returned


def _are_told(hydra_context: HydraContext) -> bool:
    """Whether there is a callback for the start or the end of a job."""
    hooks = ("on_job_start", "on_job_end")
    return any(
        getattr(type(callback), hook, None) is not getattr(Callback, hook)
        for callback in hydra_context.callbacks.callbacks
        for hook in hooks
    )


def _count_devices(devices: Any) -> int:
    if devices != "auto":
        return int(devices)
    import torch

    return max(1, torch.cuda.device_count())
