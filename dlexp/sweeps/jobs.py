"""A sweep's jobs: composed and checked together, before the first one starts."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import filter_overrides, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig

from dlexp.config.identity import identity, replicates_key
from dlexp.config.plain import PlainReader
from dlexp.config.resolve import sweep_folder
from dlexp.config.validation import find_problems
from dlexp.frameworks import import_frameworks
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
) -> list[SweepJob]:
    """Return the jobs of a sweep; ends the program if any of them cannot be run.

    All problems of all jobs are shown together, each once, with the number of jobs that have it.
    """
    setup_globals()
    labels = swept_labels(job_overrides)
    read_plain = PlainReader()
    jobs = []
    for index, (overrides, label) in enumerate(zip(job_overrides, labels, strict=True), initial_job_index):
        config = compose(hydra_context, sweep_config, overrides, index)
        plain = read_plain(config)
        folder = sweep_folder(config, plain, read_plain)
        jobs.append(SweepJob(index, list(overrides), plain, identity(plain), folder, label))
    problems = Counter(problem for job in jobs for problem in find_problems(job.plain))
    if not problems:
        unfinished = [job.plain for job in jobs if finished_result(job.plain, job.folder) is None]
        if unfinished:
            problems = _build_problems(unfinished)
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


def swept_labels(job_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return for each job the overrides that not all jobs share, as ``model.width=5 seed=1``."""
    counts = Counter(override for overrides in job_overrides for override in filter_overrides(overrides))
    return [
        " ".join(o for o in filter_overrides(overrides) if counts[o] < len(job_overrides))
        for overrides in job_overrides
    ]
