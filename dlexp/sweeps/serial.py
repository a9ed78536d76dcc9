"""A sweep's jobs, composed and checked together, then run one after the other through Hydra."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hydra.core.utils import JobReturn, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from dlexp.config.resolve import to_plain
from dlexp.config.validation import find_problems
from dlexp.sweeps import session
from dlexp.training.job import finished_result


def compose_jobs(
    hydra_context: HydraContext,
    sweep_config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_index: int,
) -> list[DictConfig]:
    """Return the configuration of each job; ends the program if any job of the sweep cannot be run.

    All problems of all jobs are shown together, each once, with the number of jobs that have it.
    """
    setup_globals()
    jobs = []
    for index, overrides in enumerate(job_overrides, start=initial_job_index):
        config = hydra_context.config_loader.load_sweep_config(sweep_config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = index
        jobs.append(config)
    _refuse_problems(jobs)
    return jobs


def _refuse_problems(jobs: Sequence[DictConfig]) -> None:
    plain = [to_plain(job) for job in jobs]
    problems = Counter(problem for config in plain for problem in find_problems(config))
    if not problems:
        to_train = [c for c, job in zip(plain, jobs, strict=True) if not finished_result(c, _folder(job))]
        if to_train:
            from dlexp.training.build import find_build_problems  # takes seconds: it imports torch

            problems = Counter(problem for config in to_train for problem in find_build_problems(config))
    session.refuse([f"{problem} ({count} of {len(jobs)} jobs)" for problem, count in problems.items()])


def _folder(job: DictConfig) -> Path:
    return Path(str(job.hydra.sweep.dir), str(job.hydra.sweep.subdir))


def run_jobs(
    hydra_context: HydraContext, task_function: TaskFunction, jobs: Sequence[DictConfig]
) -> list[JobReturn]:
    """Run the task function for each job in turn, as Hydra's basic launcher does."""
    progress = session.current.progress
    progress.begin(len(jobs))
    labels = swept_labels([list(job.hydra.overrides.task) for job in jobs])
    returns = []
    try:
        for job, label in zip(jobs, labels, strict=True):
            progress.start_job(label)
            returns.append(
                run_job(
                    hydra_context=hydra_context,
                    task_function=task_function,
                    config=job,
                    job_dir_key="hydra.sweep.dir",
                    job_subdir_key="hydra.sweep.subdir",
                )
            )
            progress.finish_job()
    finally:
        progress.end()
    return returns


def swept_labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return for each job the overrides that not all jobs share, as ``model.width=5 seed=1``."""
    counts = Counter(override for overrides in job_overrides for override in filter_overrides(overrides))
    return [
        " ".join(o for o in filter_overrides(overrides) if counts[o] < len(job_overrides))
        for overrides in job_overrides
    ]
