"""A sweep's jobs: composed and checked together, before the first one starts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from dlexp.config.identity import identity
from dlexp.config.resolve import to_plain
from dlexp.config.validation import find_problems
from dlexp.sweeps import session
from dlexp.training.job import finished_result


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep: its overrides, its resolved configuration, its folder."""

    index: int
    overrides: list[str]
    plain: dict[str, Any]
    identity: str
    folder: Path
    label: str


def compose(
    hydra_context: HydraContext, sweep_config: DictConfig, overrides: Sequence[str], index: int
) -> DictConfig:
    """Return Hydra's configuration of one job; it is valid until the next one is composed."""
    config = hydra_context.config_loader.load_sweep_config(sweep_config, list(overrides))
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = index
        config.study = {}  # it asks about the sweep, whose folder keeps it
    return config


def compose_jobs(
    hydra_context: HydraContext,
    sweep_config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    initial_job_index: int,
) -> list[SweepJob]:
    """Return the jobs of a sweep; ends the program if any of them cannot be run.

    All problems of all jobs are shown together, each once, with the number of jobs that have it.
    """
    setup_globals()
    labels = swept_labels(job_overrides)
    jobs = []
    for index, (overrides, label) in enumerate(zip(job_overrides, labels, strict=True), initial_job_index):
        config = compose(hydra_context, sweep_config, overrides, index)
        folder = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir))
        plain = to_plain(config)
        jobs.append(SweepJob(index, list(overrides), plain, identity(plain), folder, label))
    problems = Counter(problem for job in jobs for problem in find_problems(job.plain))
    if not problems:
        unfinished = [job.plain for job in jobs if finished_result(job.plain, job.folder) is None]
        if unfinished:
            from dlexp.training.build import find_build_problems  # takes seconds: it imports torch

            problems = Counter(problem for config in unfinished for problem in find_build_problems(config))
    session.refuse([f"{problem} ({count} of {len(jobs)} jobs)" for problem, count in problems.items()])
    return jobs


def swept_labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return for each job the overrides that not all jobs share, as ``model.width=5 seed=1``."""
    counts = Counter(override for overrides in job_overrides for override in filter_overrides(overrides))
    return [
        " ".join(o for o in filter_overrides(overrides) if counts[o] < len(job_overrides))
        for overrides in job_overrides
    ]
