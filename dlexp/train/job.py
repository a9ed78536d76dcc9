"""Running jobs: training their networks as one ensemble, each job in its own folder.

torch is imported only when something is to be trained, so that a finished sweep answers at once.
"""

import contextlib
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.records import lease
from dlexp.records.log import JobLog, info_logged
from dlexp.records.run import Run
from dlexp.train.job_folder import JobFolder, Task, begun, finished_result, unwritten

if TYPE_CHECKING:
    from dlexp.train.ensemble import Report
    from dlexp.train.keeper import Keeper
    from dlexp.train.member import Member

log = logging.getLogger(__name__)


def run_tasks(
    tasks: Sequence[Task],
    *,
    engine: str | None = None,
    report: "Report | None" = None,
    snapshots: Path | None = None,
) -> list[Run]:
    """Return the result of each job, from its folder if it is finished, else by training all as one ensemble.

    An error in one job is recorded (status ``failed``, the traceback in train.log) and takes no other with
    it; each job's folder is written as its network ends, so an interrupt loses what is in training alone.
    A job that another process is at is waited for, and its result taken.

    Args:
        tasks: jobs that may share a Trainer (``build.ensemble_key``).
        engine: in place of the configurations' ``training.engine``.
        report: told (step, total steps, training loss) from time to time.
        snapshots: the folder in which training leaves one now and then (``snapshot_minutes``), and from which
            these same tasks go on; None for none.
    """
    runs: dict[int, Run] = {}
    with info_logged(), contextlib.ExitStack() as held:
        jobs, elsewhere, group = [], [], {}
        for index, task in enumerate(tasks):
            group[task.identity] = task
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
        if snapshots is None or not jobs or jobs[0].task.config["rerun"]:
            _train(jobs, engine, report)
        else:
            finished = {run.identity for run in runs.values() if run.is_finished}
            _train_group(jobs, group, finished, engine, report, snapshots)
        runs |= {job.index: job.run for job in jobs}
    for index, task in elsewhere:
        log_of_job = JobLog(task.folder)
        with log_of_job.active():
            log.info("another process is at this job: waiting for it")
        log_of_job.flush()
        lease.wait(task.folder)
        lease.release(task.folder)
        (runs[index],) = run_tasks([task], engine=engine, report=report, snapshots=snapshots)
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


def _train_group(
    jobs: Sequence[JobFolder],
    group: Mapping[str, Task],
    finished: Collection[str],
    engine: str | None,
    report: "Report | None",
    snapshots: Path,
) -> None:
    """Train jobs, from the snapshot of their group if there is one, keeping another one meanwhile.

    Args:
        jobs: those to be trained.
        group: all tasks of the group, by the identity of their jobs; finished: those with a result.
    """
    from dlexp.train.keeper import Keeper

    minutes = jobs[0].task.config.get("snapshot_minutes")
    keeper = Keeper(snapshots, list(group), engine, minutes)
    unfinished = {job.run.identity: job for job in jobs}
    stored = keeper.read(unfinished, finished)
    if stored is None:
        _train(jobs, engine, report, keeper)
        return
    keeper.others = {name: group[name] for name in stored.jobs - unfinished.keys()}
    _train([job for name, job in unfinished.items() if name in stored.members], engine, report, keeper)
    _train([job for name, job in unfinished.items() if name not in stored.members], engine, report)


def _train(
    jobs: Sequence[JobFolder],
    engine: str | None,
    report: "Report | None",
    keeper: "Keeper | None" = None,
) -> None:
    """Train the jobs' networks as one ensemble, each job written as it ends."""
    if not jobs:
        return
    from dlexp.train.fit import fit
    from dlexp.train.stacks.check import StackDifference

    start = time.perf_counter()
    shared: dict[str, Any] = {}
    made = {job.make_member(shared, len(jobs) == 1, keeper): job for job in jobs}
    by_member = {member: job for member, job in made.items() if member is not None}
    again: list[JobFolder] = []

    def on_end(member: "Member") -> None:
        job = by_member.get(member)
        if job is None:  # finished before, and trained along as a part of its stack
            return
        if isinstance(member.error, StackDifference):
            again.append(job)
        else:
            seconds = time.perf_counter() - start if keeper is None else keeper.seconds
            job.end(member, seconds / len(members))

    if by_member:
        members = [*by_member, *(keeper.make_others() if keeper is not None else ())]
        config = next(iter(by_member.values())).task.config
        try:
            fit(config, members, engine=engine, report=report, on_end=on_end, keeper=keeper)
        except Exception as error:
            left = [job for job in by_member.values() if not job.is_written]
            if len(by_member) == 1:
                if not left:  # it was over
                    raise
                (member,) = by_member
                left[0].fail(error, member)
            else:
                log.warning("an ensemble of %d networks failed: %s", len(by_member), error)
                again = left
    if keeper is not None:
        keeper.remove()
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
