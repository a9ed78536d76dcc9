"""A sweep whose jobs are trained in groups, each group one stack of networks; the rest one by one."""

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from dlexp.config.identity import replicates_key
from dlexp.sweeps import session
from dlexp.sweeps.executors import InProcessExecutor
from dlexp.sweeps.hydra_files import HydraFiles
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
    workers: int = 1,
) -> list[JobReturn]:
    """Run a sweep's jobs; each ends in its own folder, as if it had run alone.

    Finished ones are answered from disk. Jobs that can share a stack go to the executor, a group at a time;
    the others, and those of a group that failed as a whole, run in this process, and their logs say why.
    """
    returns: dict[int, JobReturn] = {}
    progress = session.current.progress
    progress.begin(len(jobs))

    files = HydraFiles()

    def note(job: SweepJob, result: Result) -> None:
        session.current.note(job.folder, result)
        returns[job.index] = _job_return(job, result, sweep_config.hydra.job.name)
        if _are_told(hydra_context):
            _tell(hydra_context, task_function, sweep_config, job, returns[job.index])

    try:
        to_train = []
        for job in jobs:
            if finished_result(job.plain, job.folder) is None:
                to_train.append(job)
                continue
            with job_log(job.folder):
                note(job, run_job(job.plain, job.overrides, job.folder))
            progress.finish()
        groups, reasons = plan_groups(to_train, memory_gib, workers) if to_train else ([], {})
        alone = [job for job in to_train if job.index in reasons]
        # A function of this process cannot go to another one.
        report = (progress.report,) if isinstance(executor, InProcessExecutor) else ()
        pending = []
        for group in groups:
            progress.start("at once", len(group))
            tasks = [_group_job(hydra_context, sweep_config, job, files) for job in group]
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


def plan_groups(
    jobs: Sequence[SweepJob], memory_gib: float, workers: int = 1
) -> tuple[list[list[SweepJob]], dict[int, str]]:
    """Return the groups of jobs to train as one, and for each other job why it trains alone.

    Jobs that could all share a stack make several groups where that is needed to keep all workers at work.
    """
    from dlexp.sweeps.grouping import group_key, reason_for_serial

    reasons: dict[int, str] = {}
    by_key: dict[str, list[SweepJob]] = defaultdict(list)
    seen: set[str] = set()
    known: dict[str, str | None] = {}
    for job in jobs:
        reason = "another job of the sweep is the same" if job.identity in seen else None
        seen.add(job.identity)
        setting = replicates_key(job.plain)
        if setting not in known:
            known[setting] = reason_for_serial(job.plain)
        reason = reason or known[setting]
        if reason is None:
            by_key[group_key(job.plain)].append(job)
        else:
            reasons[job.index] = reason
    parts = math.ceil(workers / max(1, len(by_key)))
    groups = []
    for alike in by_key.values():
        for part in range(min(parts, len(alike))):
            # every so many, not one stretch after the other: widths and so costs are alike in all parts
            for group in _cut(alike[part::parts], memory_gib * 2**30):
                if len(group) > 1 or workers > 1:
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


def _group_job(
    hydra_context: HydraContext, sweep_config: DictConfig, job: SweepJob, files: HydraFiles
) -> GroupJob:
    config = compose(hydra_context, sweep_config, job.overrides, job.index)
    overrides = list(config.hydra.overrides.task)
    folder = job.folder.absolute()
    return GroupJob(job.plain, overrides, folder, files.of(config, str(folder)))


def _job_return(job: SweepJob, result: Result, task_name: str) -> JobReturn:
    """Return what a sweeper wants to know of a job; its ``cfg`` is made only for callbacks that may ask."""
    returned = JobReturn()
    returned.overrides = job.overrides
    returned.working_dir = str(job.folder)
    returned.task_name = task_name
    returned.return_value = result.metrics.get(job.plain["objective"])
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


def _tell(
    hydra_context: HydraContext,
    task_function: TaskFunction,
    sweep_config: DictConfig,
    job: SweepJob,
    returned: JobReturn,
) -> None:
    """Tell Hydra's callbacks of a job as if it had run now."""
    config = compose(hydra_context, sweep_config, job.overrides, job.index)
    returned.cfg = OmegaConf.create(job.plain)
    hydra_context.callbacks.on_job_start(config=config, task_function=task_function)
    hydra_context.callbacks.on_job_end(config=config, job_return=returned)
