"""One call of the command: where its results go, how its jobs ended, what it shows meanwhile."""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from dlexp.config.errors import refuse
from dlexp.config.hydra_internals import told_in_sentences
from dlexp.config.jobs import check_job
from dlexp.config.plain import to_plain
from dlexp.config.schema import Config
from dlexp.frameworks import import_frameworks
from dlexp.launch.progress import Progress
from dlexp.records import snapshots
from dlexp.records.run import DONE, Run


@dataclass
class Command:
    """The state of one call; a launcher finds it by the task function that Hydra hands it.

    Attributes:
        folder: of the sweep or of the one job; None before there is one.
        is_sweep: whether there are several jobs; has_study: whether a study asks of them.
        started: seconds since the epoch.
        runs: the jobs that have ended, one way or another.
        progress: what is shown of those that run.
    """

    folder: Path | None = None
    is_sweep: bool = False
    has_study: bool = False
    started: float = field(default_factory=time.time)
    runs: list[Run] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)

    @property
    def unsuccessful(self) -> list[Run]:
        """The jobs that did not end as ``done``."""
        return [run for run in self.runs if run.status != DONE]

    def task_function(self) -> Callable[[DictConfig], float | None]:
        """Return the function that Hydra is to call for a job; it knows this command."""

        def train(config: DictConfig) -> float | None:
            return self.run(config)

        train.command = self  # type: ignore[attr-defined]
        return train

    def run(self, config: DictConfig) -> float | None:
        """Run the job that Hydra has composed; return the objective, for Hydra's sweepers."""
        import_frameworks()
        from dlexp.train.job import run_tasks
        from dlexp.train.job_folder import Task

        node = HydraConfig.get()
        is_sweep = node.mode is not None and node.mode.name == "MULTIRUN"
        folder = Path(node.runtime.output_dir)
        self.is_sweep = is_sweep
        self.folder = Path(os.path.abspath(node.sweep.dir)) if is_sweep else folder
        plain = to_plain(config)
        Config.check(plain)
        task = Task(plain, list(node.overrides.task), folder)
        (run,) = run_tasks([task], report=self.progress.report, snapshots=folder / snapshots.FOLDER)
        self.runs.append(run)
        return run.metrics.get(config.objective)


def command_of(task_function: Any) -> Command:
    """Return the command that a task function belongs to; a fresh one for a function of another program."""
    command = getattr(task_function, "command", None)
    return command if isinstance(command, Command) else Command()


def writable(folder: str) -> Path:
    """Return the folder, made if need be; ends the program with one sentence if nothing can be written."""
    path = Path(os.path.abspath(folder))
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise SystemExit(f"Results cannot be written to {path}: {error.strerror}.") from None
    return path


class CheckCallback(Callback):
    """Refuses a single job's wrong values, and a folder that cannot be written, before anything is made."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check one job."""
        with told_in_sentences():
            plain = check_job(config)
        from dlexp.train.job_folder import finished_result

        if finished_result(plain, Path(config.hydra.run.dir)) is None:
            from dlexp.train.problems import find_build_problems  # takes seconds: it imports torch

            refuse(find_build_problems(plain))
        with told_in_sentences():
            writable(config.hydra.run.dir)  # last: what is refused leaves no folder behind

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the folder of a sweep, whose launcher checks its jobs."""
        with told_in_sentences():
            writable(config.hydra.sweep.dir)
