"""A sweep's jobs: those that are finished answered from disk, the others trained as ensembles."""

import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

from dlexp.config.errors import refuse
from dlexp.config.identity import replicates_key
from dlexp.config.jobs import Job
from dlexp.frameworks import import_frameworks
from dlexp.launch.command import Command
from dlexp.launch.executors import InProcessExecutor, end_workers, process_pool
from dlexp.records import snapshots
from dlexp.records.files import json_text
from dlexp.records.lease import was_left_behind
from dlexp.records.run import Run
from dlexp.train.job import record_lost, run_tasks
from dlexp.train.job_folder import Task, finished_result

MOST_AT_ONCE = 1000
"""Members of one ensemble: more are no cheaper for each, and what they hold is held until all have ended."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a sweep's jobs are run.

    Attributes:
        together: whether jobs that can share a program are trained as one ensemble.
        engine: in place of the jobs' own; None for theirs.
        memory_gib: what one ensemble may take; larger ones are cut.
        workers: how many ensembles are wanted at least, to keep all processes at work.
        job_files: whether a job's folder keeps its configuration beside the results.
    """

    together: bool = True
    engine: str | None = None
    memory_gib: float = 4.0
    workers: int = 1
    job_files: str | None = ".hydra"


def run_jobs(jobs: Sequence[Job], command: Command, executor: Executor, settings: Settings) -> list[Run]:
    """Run a sweep's jobs and return their results; each ends in its own folder, as if it had run alone.

    Ends the program, before any job has begun, if one of them cannot be made.
    """
    runs: dict[int, Run] = {}
    to_train = []
    for job in jobs:
        stored = finished_result(job.plain, job.folder)
        if stored is None:
            to_train.append(job)
        else:
            runs[job.index] = stored
    refuse(build_problems(to_train))
    folder = None if command.folder is None else command.folder / snapshots.FOLDER
    groups = _groups_to_go_on(jobs, {job.index for job in to_train}, folder)
    in_groups = {job.index for group in groups for job in group}
    to_begin = [job for job in to_train if job.index not in in_groups]
    # What was in training when an earlier process died may be what it died of: it gets a process of its own.
    lost = {job.index for job in to_train if was_left_behind(job.folder)}
    here = isinstance(executor, InProcessExecutor)
    progress = command.progress
    progress.begin(len(jobs))
    progress.start("finished", len(runs))
    progress.finish()

    def start(ensemble: Sequence[Job]) -> None:
        left = [job for job in ensemble if job.index not in runs]
        progress.start("at once" if len(left) > 1 else left[0].label if left else "", len(left))

    try:
        pending = []
        apart = [group for group in groups if lost & {job.index for job in group}]
        apart += plan_ensembles([job for job in to_begin if job.index in lost], settings)
        ensembles = [group for group in groups if group not in apart]
        ensembles += plan_ensembles([job for job in to_begin if job.index not in lost], settings)
        for ensemble in ensembles:
            if here:
                start(ensemble)
            # A function of this process cannot go to another one.
            report = progress.report if here else None
            pending.append((ensemble, _submit(executor, ensemble, settings, folder, report)))
            if here:
                progress.finish()
        for ensemble, future in pending:
            if not here:
                start(ensemble)
            try:
                runs |= _by_index(ensemble, future.result())
            except Exception as error:
                log.warning("an ensemble of %d jobs was lost: %s", len(ensemble), error)
                runs |= run_until_found(ensemble, settings, folder)
            if not here:
                progress.finish()
        for ensemble in apart:
            start(ensemble)
            runs |= run_until_found(ensemble, settings, folder)
            progress.finish()
    except KeyboardInterrupt:
        end_workers()
        raise
    finally:
        progress.end()
    if folder is not None:
        _remove_snapshots(jobs, folder)
    ordered = [runs[job.index] for job in jobs]
    command.runs += ordered
    return ordered


def _groups_to_go_on(
    jobs: Sequence[Job], unfinished: Collection[int], folder: Path | None
) -> list[list[Job]]:
    """Return the groups of jobs that have left a snapshot and are all among these jobs."""
    by_identity = {job.identity: job for job in jobs}
    found = []
    for path, names in snapshots.groups(folder).items() if folder is not None else ():
        group = [by_identity[name] for name in names if name in by_identity]
        if len(group) < len(names):
            log.warning("the snapshot %s is not used: it has other jobs too", path.name)
        elif any(job.index in unfinished for job in group) and not any(job.plain["rerun"] for job in group):
            found.append(group)
    return found


def _remove_snapshots(jobs: Sequence[Job], folder: Path) -> None:
    """Remove the snapshots that no other command can use: all jobs have ended."""
    ended = {job.identity for job in jobs}
    for path, names in snapshots.groups(folder).items():
        if ended.issuperset(names):
            snapshots.remove(path)


def run_until_found(jobs: Sequence[Job], settings: Settings, folder: Path | None) -> dict[int, Run]:
    """Run jobs whose ensemble was lost; return their results by index.

    Those that ended are kept. The others run in a fresh process of this machine; if they are lost again they
    are halved, until the job is found that ends its process: it is recorded as failed. ``folder`` is that of
    snapshots.
    """
    runs: dict[int, Run] = {}
    waiting = [list(jobs)]
    while waiting:
        ensemble = waiting.pop()
        pool = process_pool(1)
        try:
            runs |= _by_index(ensemble, _submit(pool, ensemble, settings, folder, None).result())
            continue
        except Exception as error:
            reason = f"its process ended before it did ({type(error).__name__}): killed, or out of memory?"
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        left = []
        for job in ensemble:
            stored = finished_result(job.plain, job.folder)
            if stored is None:
                left.append(job)
            else:
                runs[job.index] = stored
        if len(left) == 1:
            runs[left[0].index] = record_lost(_task(left[0], settings), reason)
        elif left:
            waiting += [left[len(left) // 2 :], left[: len(left) // 2]]
    return runs


def _submit(
    executor: Executor,
    jobs: Sequence[Job],
    settings: Settings,
    folder: Path | None,
    report: Callable[..., None] | None,
) -> "Future[list[Run]]":
    tasks = [_task(job, settings) for job in jobs]
    return executor.submit(run_tasks, tasks, engine=settings.engine, report=report, snapshots=folder)


def _by_index(jobs: Sequence[Job], runs: Sequence[Run]) -> dict[int, Run]:
    return {job.index: run for job, run in zip(jobs, runs, strict=True)}


def plan_ensembles(jobs: Sequence[Job], settings: Settings) -> list[list[Job]]:
    """Return the jobs of each ensemble.

    Jobs that could all share a Trainer make several ensembles where that is needed to keep all workers at
    work, or to fit the memory; those that cannot, one each.
    """
    if not jobs:
        return []
    if not settings.together:
        return [[job] for job in jobs]
    from dlexp.train.build import ensemble_key, reason_alone

    alone: list[list[Job]] = []
    by_key: dict[str, list[Job]] = defaultdict(list)
    seen: set[str] = set()
    known: dict[str, str | None] = {}
    for job in jobs:
        setting = replicates_key(job.plain)
        if setting not in known:
            known[setting] = reason_alone(job.plain)
        if known[setting] is not None or job.identity in seen:  # the same job twice: the second finds it
            alone.append([job])
        else:
            by_key[ensemble_key(job.plain)].append(job)
        seen.add(job.identity)
    parts = math.ceil(settings.workers / max(1, len(by_key)))
    ensembles: list[list[Job]] = []
    for alike in by_key.values():
        for part in range(min(parts, len(alike))):
            # every so many, not one stretch after the other: widths and so costs are alike in all parts
            ensembles += _cut(alike[part::parts], settings.memory_gib * 2**30)
    return [*ensembles, *alone]


def _cut(jobs: Sequence[Job], budget_bytes: float) -> Iterator[list[Job]]:
    """Cut jobs into ensembles that fit the memory budget."""
    ensemble: list[Job] = []
    used = 0.0
    for job in jobs:
        needed = _bytes_needed(job)
        if ensemble and (used + needed > budget_bytes or len(ensemble) == MOST_AT_ONCE):
            yield ensemble
            ensemble, used = [], 0.0
        ensemble.append(job)
        used += needed
    yield ensemble


def _bytes_needed(job: Job) -> float:
    """Estimate what one member holds at once: its data twice, and activations over the larger set."""
    data, model = job.plain["data"], job.plain["model"]
    rows, columns = data["n_train"] + data["n_test"], data["input_dim"] + data["output_dim"]
    width = model["width"] or (model["budget"] or 1) / (data["input_dim"] + 1)
    activations = 4 * max(data["n_train"], data["n_test"]) * width * ((model["depth"] or 0) + 1)
    return float(8 * (2 * rows * columns + activations))


def _task(job: Job, settings: Settings) -> Task:
    files = {}
    if settings.job_files:
        files[f"{settings.job_files}/config.yaml"] = json_text(job.plain)
        files[f"{settings.job_files}/overrides.yaml"] = json.dumps(list(job.overrides)) + "\n"
    return Task(job.plain, job.overrides, job.folder.absolute(), files, job.identity)


def build_problems(jobs: Sequence[Job]) -> list[str]:
    """Return a sentence for each thing that cannot be made of the jobs' configurations.

    Replicates are of one making.
    """
    if not jobs:
        return []
    import_frameworks()
    from dlexp.train.problems import find_build_problems

    alike: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        alike[replicates_key(job.plain)].append(job)
    problems: Counter[str] = Counter()
    for replicates in alike.values():
        for problem in find_build_problems(replicates[0].plain):
            problems[problem] += len(replicates)
    return [f"{problem} ({count} of {len(jobs)} jobs)" for problem, count in problems.items()]
