"""Running jobs: training their networks as one ensemble, each job in its own folder.

torch is imported only when something is to be trained, so that a finished sweep answers at once.
"""

import contextlib
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlexp.records import lease
from dlexp.records.log import JobLog, info_logged
from dlexp.records.run import Run
from dlexp.train.job_folder import JobFolder, Task, begun, finished_result, unwritten

if TYPE_CHECKING:
    from dlexp.train.ensemble import Report
    from dlexp.train.member import Member

log = logging.getLogger(__name__)


def run_tasks(
    tasks: Sequence[Task], *, engine: str | None = None, report: "Report | None" = None
) -> list[Run]:
    """Return the result of each job, from its folder if it is finished, else by training all as one ensemble.

    An error in one job is recorded (status ``failed``, the traceback in train.log) and takes no other with
    it; each job's folder is written as its network ends, so an interrupt loses what is in training alone.
    A job that another process is at is waited for, and its result taken.

    Args:
        tasks: jobs that may share a Trainer (``build.ensemble_key``).
        engine: in place of the configurations' ``training.engine``.
        report: told (step, total steps, training loss) from time to time.
    """
    runs: dict[int, Run] = {}
    with info_logged(), contextlib.ExitStack() as held:
        jobs, elsewhere = [], []
        for index, task in enumerate(tasks):
            try:
                task.folder.mkdir(parents=True, exist_ok=True)
                if not lease.take(task.folder):
                    elsewhere.append((index, task))
                    continue
                held.callback(lease.release, task.folder)
                stored = _finished(task)
                if stored is None:
                    jobs.append(JobFolder(index, task))
                else:
                    runs[index] = stored
            except OSError as error:
                runs[index] = begun(task)
                runs[index].error = unwritten(error)
        _train(jobs, engine, report)
        runs |= {job.index: job.run for job in jobs}
    for index, task in elsewhere:
        log_of_job = JobLog(task.folder)
        with log_of_job.active():
            log.info("another process is at this job: waiting for it")
        log_of_job.flush()
        lease.wait(task.folder)
        lease.release(task.folder)
        (runs[index],) = run_tasks([task], engine=engine, report=report)
    return [runs[index] for index in range(len(tasks))]


def record_lost(task: Task, reason: str) -> Run:
    """Record a job as failed whose process ended without a word."""
    with info_logged():
        task.folder.mkdir(parents=True, exist_ok=True)
        lease.take(task.folder)
        job = JobFolder(0, task)
        job.fail(RuntimeError(reason), None)
        lease.release(task.folder)
    return job.run


def _train(jobs: Sequence[JobFolder], engine: str | None, report: "Report | None") -> None:
    """Train the jobs' networks as one ensemble, each job written as it ends."""
    if not jobs:
        return
    from dlexp.train.fit import fit
    from dlexp.train.stacks.check import StackDifference

    start = time.perf_counter()
    shared: dict[str, Any] = {}
    made = {job.make_member(shared, loggers_from_start=len(jobs) == 1): job for job in jobs}
    by_member = {member: job for member, job in made.items() if member is not None}
    again: list[JobFolder] = []

    def on_end(member: "Member") -> None:
        job = by_member[member]
        if isinstance(member.error, StackDifference):
            again.append(job)
        else:
            job.end(member, (time.perf_counter() - start) / len(by_member))

    if by_member:
        config = next(iter(by_member.values())).task.config
        try:
            fit(config, list(by_member), engine=engine, report=report, on_end=on_end)
        except Exception as error:
            left = [job for job in by_member.values() if not job.is_written]
            if len(by_member) == 1:
                if not left:  # it was over
                    raise
                (member,) = by_member
                left[0].fail(error, member)
                return
            log.warning("an ensemble of %d networks failed: %s", len(by_member), error)
            again = left
    for job in again:  # by the definition of training, one by one
        alone = JobFolder(job.index, job.task)
        difference = next((str(m.error) for m, j in by_member.items() if j is job and m.error), None)
        if difference is not None:
            alone.run.extra["stack_difference"] = difference
        with alone.log.active():
            log.warning("trained by itself: %s", difference or "trained together with others it failed")
        _train([alone], "loop", report)
        job.run = alone.run


def _finished(task: Task) -> Run | None:
    stored = finished_result(task.config, task.folder)
    if stored is not None:
        job_log = JobLog(task.folder)
        with job_log.active():
            log.info("already finished: the stored result is returned (rerun=true trains again)")
        job_log.flush()
    return stored
