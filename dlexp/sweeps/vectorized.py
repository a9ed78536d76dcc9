"""A sweep whose jobs are trained in groups, each group one stack of networks; the rest one by one."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from dlexp.sweeps import session
from dlexp.sweeps.executors import InProcessExecutor
from dlexp.sweeps.hydra_files import hydra_files
from dlexp.sweeps.jobs import SweepJob, compose
from dlexp.sweeps.run_group import GroupJob, job_log, run_group
from dlexp.sweeps.serial import run_one
from dlexp.training import ahead
from dlexp.training.job import finished_result, run_job
from dlexp.training.result import Result

log = logging.getLogger(__name__)


def run_jobs(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    sweep_config: DictConfig,
    jobs: Sequence[SweepJob],
    executor: Executor,
    memory_gib: float,
) -> list[JobReturn]:
    """Run a sweep's jobs; each ends in its own folder, as if it had run alone.

    Finished ones are answered from disk. Jobs that can share a stack go to the executor, a group at a time;
    the others, and those of a group that failed as a whole, run in this process, and their logs say why.
    """
    returns: dict[int, JobReturn] = {}
    progress = session.current.progress
    progress.begin(len(jobs))

    def note(job: SweepJob, result: Result) -> None:
        config = compose(hydra_context, sweep_config, job.overrides, job.index)
        returns[job.index] = _job_return(hydra_context, task_function, config, job, result)

    try:
        to_train = []
        for job in jobs:
            if finished_result(job.plain, job.folder) is None:
                to_train.append(job)
                continue
            with job_log(job.folder):
                note(job, run_job(job.plain, job.overrides, job.folder))
            progress.finish()
        groups, reasons = plan_groups(to_train, memory_gib) if to_train else ([], {})
        alone = [job for job in to_train if job.index in reasons]
        # A function of this process cannot go to another one.
        report = (progress.report,) if isinstance(executor, InProcessExecutor) else ()
        pending = []
        for group in groups:
            progress.start("at once", len(group))
            tasks = [_group_job(hydra_context, sweep_config, job) for job in group]
            pending.append((group, executor.submit(run_group, tasks, *report)))
            if report:
                progress.finish()
        for group, future in pending:
            try:
                results = future.result()
            except Exception as error:
                alone += group
                reasons |= {job.index: f"its group failed: {error}" for job in group}
                continue
            for job, result in zip(group, results, strict=True):
                note(job, result)
        for job in sorted(alone, key=lambda job: job.index):
            progress.start(job.label)
            ahead.explain(job.identity, reasons[job.index])
            returns[job.index] = run_one(hydra_context, task_function, sweep_config, job)
            progress.finish()
    finally:
        progress.end()
    return [returns[job.index] for job in jobs]


def plan_groups(jobs: Sequence[SweepJob], memory_gib: float) -> tuple[list[list[SweepJob]], dict[int, str]]:
    """Return the groups of jobs to train as one, and for each other job why it trains alone."""
    from dlexp.sweeps.grouping import group_key, reason_for_serial

    reasons: dict[int, str] = {}
    by_key: dict[str, list[SweepJob]] = defaultdict(list)
    seen: set[str] = set()
    for job in jobs:
        reason = "another job of the sweep is the same" if job.identity in seen else None
        seen.add(job.identity)
        reason = reason or reason_for_serial(job.plain)
        if reason is None:
            by_key[group_key(job.plain)].append(job)
        else:
            reasons[job.index] = reason
    groups = []
    for alike in by_key.values():
        for group in _cut(alike, memory_gib * 2**30):
            if len(group) > 1:
                groups.append(group)
            else:
                reasons[group[0].index] = "no other job of the sweep can share a stack with it"
    return groups, reasons


def _cut(jobs: Sequence[SweepJob], budget_bytes: float) -> Iterator[list[SweepJob]]:
    """Cut jobs into groups that fit the memory budget."""
    group: list[SweepJob] = []
    used = 0.0
    for job in jobs:
        needed = _bytes_needed(job)
        if group and used + needed > budget_bytes:
            yield group
            group, used = [], 0.0
        group.append(job)
        used += needed
    yield group


def _bytes_needed(job: SweepJob) -> float:
    """Estimate what one member holds at once: its data twice, and activations over the larger set."""
    data, model = job.plain["data"], job.plain["model"]
    rows, columns = data["n_train"] + data["n_test"], data["input_dim"] + data["output_dim"]
    width = model["width"] or (model["budget"] or 1) / (data["input_dim"] + 1)
    activations = 4 * max(data["n_train"], data["n_test"]) * width * ((model["depth"] or 0) + 1)
    return float(8 * (2 * rows * columns + activations))


def _group_job(hydra_context: HydraContext, sweep_config: DictConfig, job: SweepJob) -> GroupJob:
    config = compose(hydra_context, sweep_config, job.overrides, job.index)
    with open_dict(config):
        config.hydra.runtime.output_dir = str(job.folder.absolute())
    overrides = list(config.hydra.overrides.task)
    return GroupJob(job.plain, overrides, job.folder.absolute(), hydra_files(config))


def _job_return(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    job: SweepJob,
    result: Result,
) -> JobReturn:
    """Return for Hydra what running the task function would have, and tell its callbacks."""
    session.current.note(job.folder, result)
    hydra_context.callbacks.on_job_start(config=config, task_function=task_function)
    returned = JobReturn()
    returned.overrides = job.overrides
    returned.cfg = OmegaConf.create(job.plain)
    returned.working_dir = str(job.folder)
    returned.task_name = config.hydra.job.name
    returned.return_value = result.metrics.get(job.plain["objective"])
    returned.status = JobStatus.COMPLETED
    hydra_context.callbacks.on_job_end(config=config, job_return=returned)
    return returned
