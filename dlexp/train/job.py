"""Running one job: asking whether its result exists, fitting, and recording how it ended.

torch is imported only when something is to be trained, so that a finished sweep answers at once.
"""

import contextlib
import logging
import os
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dlexp.config.identity import identity
from dlexp.config.validation import ConfigError, find_problems
from dlexp.training.result import Report, Result, library_versions, read_result, write_result

log = logging.getLogger(__name__)


def run_job(
    config: Mapping[str, Any], overrides: Sequence[str], folder: Path, report: Report | None = None
) -> Result:
    """Return the result of one job, from its folder if it is finished, else by training.

    An error while training is recorded (status ``failed``, the traceback in train.log) and not raised; an
    interrupt leaves no result. Another process at the same job is waited for, and its result taken.

    Args:
        config: the resolved configuration, plain data.
        overrides: the Hydra overrides that led to it.
        folder: the run's folder.
        report: told (step, total steps, training loss) from time to time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digest = identity(config)
    with _only_process_at(folder):
        stored = finished_result(config, folder)
        if stored is not None:
            log.info("already finished: the stored result is returned (rerun=true trains again)")
            return stored
        _clear(folder)
        result = Result(
            status="failed",
            run_id=folder.name,
            identity=digest,
            seed=config["seed"],
            config=dict(config),
            overrides=list(overrides),
            versions=dict(library_versions()),
        )
        from dlexp.training.fit import fit  # takes seconds the first time, which are not the job's

        start = time.perf_counter()
        try:
            problems = find_problems(config)
            if problems:
                raise ConfigError("\n".join(problems))
            fit(config, folder, result, report)
        except Exception as error:
            log.error("failed:\n%s", traceback.format_exc())
            result.error = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        result.duration_s = round(result.duration_s + time.perf_counter() - start, 4)
        write_result(folder, result)
        log.info("%s after %.2f s", result.status, result.duration_s)
        return result


def finished_result(config: Mapping[str, Any], folder: Path) -> Result | None:
    """Return the stored result of a job that need not be run again, None if it is to be run."""
    stored = read_result(folder)
    if stored is None or config["rerun"]:
        return None
    return stored if stored.is_finished and stored.identity == identity(config) else None


def _clear(folder: Path) -> None:
    """Remove what an earlier try left, so that nothing of it mixes with this one."""
    for name in os.listdir(folder):
        if name in ("checkpoints", "figures"):
            shutil.rmtree(folder / name, ignore_errors=True)
        elif name in ("metrics.csv", "arrays.npz") or name.startswith("events.out.tfevents."):
            (folder / name).unlink(missing_ok=True)
    (folder / "result.json").unlink(missing_ok=True)


@contextlib.contextmanager
def _only_process_at(folder: Path) -> Iterator[None]:
    """Hold a lock for the run's folder; the system frees it when its process dies, however it dies."""
    locks = folder.parent / ".locks"
    locks.mkdir(exist_ok=True)
    lock = FileLock(locks / f"{folder.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.info("another process is at this job: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
