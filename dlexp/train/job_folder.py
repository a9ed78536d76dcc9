"""A job's folder: asking whether its result exists, writing all that comes of it, the result last.

torch is imported only when something is to be trained, so that a finished sweep answers at once.
"""

import contextlib
import logging
import os
import shutil
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlexp.config.identity import identity
from dlexp.config.obsolete import reason_to_train_anew
from dlexp.records.log import JobLog
from dlexp.records.run import Run, read_result
from dlexp.records.sources import own_sources
from dlexp.records.versions import checkout, library_versions

if TYPE_CHECKING:
    from dlexp.train.keeper import Keeper
    from dlexp.train.member import Member

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What is needed to run one job, in any process: plain data.

    Attributes:
        config: the resolved configuration.
        overrides: that led to it.
        folder: of the run.
        files: texts that belong into the folder beside the results, by relative path.
        identity: of the job; empty to have it worked out.
    """

    config: Mapping[str, Any]
    overrides: Sequence[str]
    folder: Path
    files: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""

    def __post_init__(self) -> None:
        if not self.identity:
            object.__setattr__(self, "identity", identity(self.config))


def finished_result(config: Mapping[str, Any], folder: Path) -> Run | None:
    """Return the stored result of a job that need not be run again, None if it is to be run.

    A result of an earlier version that may be wrong is none, nor is one whose other files are damaged.
    """
    stored = read_result(folder)
    if stored is None or config["rerun"] or not stored.is_finished or stored.identity != identity(config):
        return None
    return None if _reason_anew(config, stored) else stored


def _reason_anew(config: Mapping[str, Any], stored: Run) -> str | None:
    """Return why a stored result is not to be relied on, None if it is."""
    wrong = reason_to_train_anew(config, stored.versions)
    return f"in version {stored.versions.get('dlexp')} {wrong}" if wrong else stored.damage()


class JobFolder:
    """One job on its way from a task to a result on disk; what an earlier try has left is removed.

    Args:
        index: of the task.
        task: what is to be run.

    Attributes:
        run: what is known of it so far, and at the end its result.
        is_written: whether that is on disk, or could not be put there.
    """

    def __init__(self, index: int, task: Task) -> None:
        self.index, self.task = index, task
        self.log = JobLog(task.folder)
        self.started = time.perf_counter()
        self.is_written = False
        self.run = begun(task)
        stored = read_result(task.folder)
        if stored is not None:
            reason = _reason_anew(task.config, stored)
        else:
            reason = "result.json cannot be read" if (task.folder / "result.json").exists() else None
        if reason is not None:
            with self.log.active():
                log.info("trained anew: %s", reason)
        _clear(task.folder)
        for name, text in () if self.is_lean else task.files.items():
            target = task.folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")

    @property
    def is_lean(self) -> bool:
        """Whether only results, metrics and what is asked for are kept."""
        return self.task.config.get("records") == "lean"

    def make_member(
        self, shared: dict[str, Any], loggers_from_start: bool, keeper: "Keeper | None" = None
    ) -> "Member | None":
        """Return the member, its data drawn or shared with others; None if it cannot be made."""
        from dlexp.train.build import data_key, make_member

        with self.log.active():
            try:
                key = data_key(self.task.config)
                member = make_member(self.task.config, shared.get(key))
                shared[key] = member.data
                member.log_context = self.log.active
                if keeper is not None:
                    keeper.prepare(member, self.run.identity)
                if loggers_from_start:
                    self.attach_loggers(member)
            except Exception as error:
                self.fail(error, None)
                return None
            return member

    def attach_loggers(self, member: "Member") -> None:
        """Give the recorder the job's loggers, with the settings that the run began with."""
        from dlexp.train.build import make_loggers

        if member.recorder.loggers or self.is_lean:
            return
        loggers = make_loggers(self.task.config, self.task.folder)
        hidden = ("name", "rerun", "objective", "logger", "study")
        settings = {k: v for k, v in self.task.config.items() if k not in hidden}
        for logger in loggers:
            logger.log_hyperparams(settings)
        member.recorder.attach(loggers)

    def end(self, member: "Member", share: float) -> None:
        """Write all that came of a member, the result last; ``share`` is its part of the time in seconds."""
        with self._surviving_full_disks():
            self._end(member, share)

    def _end(self, member: "Member", share: float) -> None:
        from dlexp.records.checkpoint import save_checkpoint

        start = time.perf_counter()
        with self.log.active():
            for remark in member.remarks:
                log.info(remark)
            if member.error is not None:
                self.fail(member.error, member)
                return
            self.run.device = _device_name(member)
            if member.stack_difference is not None:
                self.run.extra["stack_difference"] = member.stack_difference
            self.run.status = "diverged" if member.outcome == "diverged" else "done"
            if self.run.status == "diverged":
                self.run.error = f"the training loss was no longer finite at step {member.step}"
            elif self.task.config["training"]["checkpoint"]:
                step = member.step
                save_checkpoint(
                    self.task.folder,
                    member.network.state_dict(),
                    member.hparams,
                    member.optimizer_state(),
                    step=step,
                    epoch=member.plan.epoch(step),
                )
            log.info("training %s after %d steps", member.outcome, member.step)
            self._write(member, share + time.perf_counter() - start)

    def fail(self, error: Exception, member: "Member | None") -> None:
        """Record an error, with the metrics until then."""
        with self._surviving_full_disks(), self.log.active():
            log.error("failed:\n%s", "".join(traceback.format_exception(error)))
            self.run.status = "failed"
            self.run.error = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            self._write(member, time.perf_counter() - self.started)

    @contextlib.contextmanager
    def _surviving_full_disks(self) -> Iterator[None]:
        """Let what cannot be written end this job as failed, and no other."""
        try:
            yield
        except OSError as error:
            self.run.status, self.run.error = "failed", unwritten(error)
            log.error("%s: %s", self.run.run_id, self.run.error)
        self.is_written = True

    def _write(self, member: "Member | None", seconds: float) -> None:
        if member is not None:
            self.attach_loggers(member)
            self.run.metrics = dict(member.recorder.final)
            member.recorder.write(self.task.folder)
            member.recorder.end(well=self.run.status == "done")
        self.run.duration_s = round(seconds, 4)
        self.run.note_files(self.task.folder)
        self.run.write(self.task.folder)
        log.info("%s after %.2f s", self.run.status, self.run.duration_s)
        if self.is_lean and self.run.is_finished:
            self.log.discard()
        else:
            self.log.flush()


def begun(task: Task) -> Run:
    """Return the run of a task of which nothing is known yet."""
    commit, clean = checkout()
    sources = own_sources(task.config)
    return Run(
        status="failed",
        run_id=task.folder.name,
        identity=task.identity,
        seed=task.config["seed"],
        config=dict(task.config),
        overrides=list(task.overrides),
        versions=dict(library_versions()),
        commit=commit,
        clean=clean,
        folder=task.folder,
        extra={"sources": sources} if sources else {},
    )


def unwritten(error: OSError) -> str:
    """Return in words what could not be written."""
    what = f"{error.filename} " if error.filename else ""
    return f"{what}cannot be written: {error.strerror or error}"


def _clear(folder: Path) -> None:
    """Remove what an earlier try left, so that nothing of it mixes with this one."""
    ours = ("result.json", "metrics.csv", "arrays.npz", "checkpoints", "figures")
    found = [name for name in os.listdir(folder) if name in ours or name.startswith("events.out.tfevents.")]
    for name in sorted(found, key=lambda name: name != "result.json"):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _device_name(member: "Member") -> str:
    """Return a device as results name it: ``cpu``, or ``cuda:0`` with the card's name."""
    device = member.tensors.x_train.device
    if device.type != "cuda":
        return str(device)
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"
