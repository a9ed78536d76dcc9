"""Running a sweep's jobs one after the other through Hydra, as its basic launcher does."""

import copy
from collections.abc import Sequence

from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from dlexp.sweeps import session
from dlexp.sweeps.jobs import SweepJob, compose


def run_jobs(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    sweep_config: DictConfig,
    jobs: Sequence[SweepJob],
) -> list[JobReturn]:
    """Run the task function for each job in turn."""
    progress = session.current.progress
    progress.begin(len(jobs))
    returns = []
    try:
        for job in jobs:
            progress.start(job.label)
            returns.append(run_one(hydra_context, task_function, sweep_config, job))
            progress.finish()
    finally:
        progress.end()
    return returns


def run_one(
    hydra_context: HydraContext, task_function: TaskFunction, sweep_config: DictConfig, job: SweepJob
) -> JobReturn:
    """Run one job through Hydra: its folder, its log, its callbacks, its task."""
    return run_job(
        hydra_context=hydra_context,
        task_function=task_function,
        config=copy.deepcopy(compose(hydra_context, sweep_config, job.overrides, job.index)),
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
