"""A sweep's jobs as Hydra's launchers need them: composed, checked, and made once for each setting."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig

from dlexp.config import jobs as config_jobs
from dlexp.config.compose import Composer
from dlexp.config.errors import ConfigError
from dlexp.config.identity import replicates_key
from dlexp.config.jobs import Job
from dlexp.frameworks import import_frameworks
from dlexp.sweeps import session
from dlexp.training.job import finished_result

SweepJob = Job


def compose(
    hydra_context: HydraContext, sweep_config: DictConfig, overrides: Sequence[str], index: int
) -> DictConfig:
    """Return Hydra's configuration of one job; it is valid until the next one is composed."""
    config = hydra_context.config_loader.load_sweep_config(sweep_config, list(overrides))
    job = config.hydra.job
    job.id = job.num = index
    if config.study:
        config.study = {}  # it asks about the sweep, whose folder keeps it
    return config


def compose_jobs(
    hydra_context: HydraContext,
    sweep_config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_index: int,
) -> list[Job]:
    """Return the jobs of a sweep; ends the program if any of them cannot be run.

    All problems of all jobs are shown together, each once, with the number of jobs that have it.
    """
    setup_globals()
    composer = Composer(hydra_context.config_loader, sweep_config)
    try:
        jobs = config_jobs.compose_jobs(composer, job_overrides, initial_job_index)
    except ConfigError as error:
        session.refuse(error.problems)
        raise
    unfinished = [job.plain for job in jobs if finished_result(job.plain, job.folder) is None]
    problems = _build_problems(unfinished) if unfinished else Counter()
    session.refuse([f"{problem} ({count} of {len(jobs)} jobs)" for problem, count in problems.items()])
    return jobs


def _build_problems(configs: Sequence[dict[str, Any]]) -> Counter[str]:
    """Return what cannot be made of the configurations; replicates are of one making."""
    import_frameworks()
    from dlexp.training.build import find_build_problems

    alike: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for config in configs:
        alike[replicates_key(config)].append(config)
    problems: Counter[str] = Counter()
    for replicates in alike.values():
        for problem in find_build_problems(replicates[0]):
            problems[problem] += len(replicates)
    return problems
