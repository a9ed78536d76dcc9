"""One call of the command: where its results go, how its jobs ended, what it shows meanwhile."""

import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dlexp.config.plain import to_plain
from dlexp.config.validation import find_problems
from dlexp.sweeps.progress import Progress
from dlexp.training.job import finished_result
from dlexp.training.result import Result


@dataclass
class Ended:
    """How one job ended: ``done``, ``diverged`` or ``failed``."""

    label: str
    status: str
    error: str | None
    log: Path
    metrics: dict[str, float]


@dataclass
class Session:
    """The state of one call, shared by Hydra's callback, the launcher and the command."""

    folder: Path | None = None
    is_sweep: bool = False
    started: float = field(default_factory=time.time)  # seconds since the epoch
    ended: list[Ended] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)

    def note(self, folder: Path, result: Result) -> None:
        """Note how a job ended."""
        log = folder / "train.log"
        self.ended.append(Ended(folder.name, result.status, result.error, log, result.metrics))

    @property
    def unsuccessful(self) -> list[Ended]:
        """The jobs that did not end as ``done``."""
        return [job for job in self.ended if job.status != "done"]


current = Session()
"""Hydra builds its callbacks and launchers itself, so what they share cannot be passed to them."""


def refuse(problems: list[str]) -> None:
    """End the program with the problems of a configuration, one a line, if there are any."""
    if problems:
        raise SystemExit("\n".join(["The configuration cannot be run:", *(f"  {p}" for p in problems)]))


class SessionCallback(Callback):
    """Notes where results go; refuses a single job's wrong values before anything is made."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check one job."""
        plain = to_plain(config)
        devices = plain["trainer"]["devices"]
        if devices not in (1, "auto"):
            refuse([f"trainer.devices={devices} is not allowed without -m: one job trains on one device."])
        refuse(find_problems(plain))
        current.folder = _writable(config.hydra.run.dir)
        if finished_result(plain, current.folder) is None:
            from dlexp.training.build import find_build_problems  # takes seconds: it imports torch

            refuse(find_build_problems(plain))
        current.progress.begin(1)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the folder of a sweep, whose launcher checks its jobs."""
        current.folder = _writable(config.hydra.sweep.dir)
        current.is_sweep = True


def _writable(folder: str) -> Path:
    """Return the folder, made if need be; ends the program with one sentence if nothing can be written."""
    path = Path(os.path.abspath(folder))
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SystemExit(f"Results cannot be written to {path}: {error.strerror}.") from None
    return path
