"""Running the jobs of one group: train their networks as one, then write each job's folder.

What is passed is plain data and what comes back too, so that a group can run in any process or machine.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlexp.training.job import run_job
from dlexp.training.result import Report, Result

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class GroupJob:
    """One job of a group; ``hydra_files`` are the texts that belong into its folder, by relative path."""

    plain: Mapping[str, Any]
    overrides: Sequence[str]
    folder: Path
    hydra_files: Mapping[str, str]


def run_group(jobs: Sequence[GroupJob], report: Report | None = None) -> list[Result]:
    """Train the jobs' networks ahead as one stack; run each job, which finds its network trained.

    Raises what goes wrong in the training of the stack itself; no job's folder is then touched.
    """
    from dlexp.sweeps.train_group import train_group
    from dlexp.training import ahead
    from dlexp.training.quiet import quiet_libraries

    quiet_libraries()
    for identity, trained in train_group([job.plain for job in jobs], report).items():
        ahead.leave(identity, trained)
    try:
        with _info_logged():
            return [_run(job) for job in jobs]
    finally:
        ahead.forget()


def _run(job: GroupJob) -> Result:
    with job_log(job.folder):
        for path, text in job.hydra_files.items():
            target = job.folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
        return run_job(job.plain, job.overrides, job.folder)


@contextlib.contextmanager
def job_log(folder: Path) -> Iterator[None]:
    """Send what is logged to train.log in a job's folder, as Hydra's job logging does."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(folder / "train.log")
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    root = logging.getLogger()
    with _info_logged():
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def _info_logged() -> Iterator[None]:
    """Let the root logger pass on what is logged at INFO; a change of level takes all loggers' time."""
    root = logging.getLogger()
    level = root.level
    if level != logging.INFO:
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        if level != logging.INFO:
            root.setLevel(level)
