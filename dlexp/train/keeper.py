"""When a group's snapshot is written and read: now and then, when told to end, when it begins again."""

import contextlib
import io
import logging
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

from dlexp.records import snapshots
from dlexp.train.attributes import Attributes, NotKept, set_network_state
from dlexp.train.build import make_member
from dlexp.train.job_folder import Task
from dlexp.train.lightning import count_steps_taken
from dlexp.train.member import Member
from dlexp.train.snapshot import (
    Snapshot,
    engine_again,
    known_to,
    member_at,
    require_keepable,
    take,
    with_companion,
)

if TYPE_CHECKING:
    from dlexp.train.ensemble import Ensemble

log = logging.getLogger(__name__)


class Keeper:
    """Keeps a group's snapshot on disk, the last one, while the group trains; lets it go on from there.

    Args:
        folder: of snapshots.
        jobs: the identities of the group's jobs.
        engine: that the command asks for.
        minutes: between two snapshots; None or 0 for none.

    Attributes:
        stored: what the group goes on from, if it does.
        others: tasks of the group that have a part in it and need no training, by their identities.
        jobs_of: the identity of each member's job.
    """

    def __init__(self, folder: Path, jobs: Sequence[str], engine: str | None, minutes: float | None) -> None:
        self.jobs, self.engine, self.minutes = list(jobs), engine, minutes
        self.path = snapshots.path_of(folder, self.jobs)
        self.stored: Snapshot | None = None
        self.others: Mapping[str, Task] = {}
        self.jobs_of: dict[Member, str] = {}
        self._began = self._written = time.monotonic()
        self._has_given_up = not minutes
        self._answer_signal: Any = None
        self._handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {}

    def read(self, unfinished: Collection[str], finished: Collection[str]) -> Snapshot | None:
        """Return the snapshot to go on from; None if there is none for these jobs."""
        found = snapshots.read(self.path, self.engine)
        if found is None:
            return None
        snapshot = Snapshot(**torch.load(io.BytesIO(found[1]), weights_only=True))
        if snapshot.members.keys() <= {*unfinished, *finished} and snapshot.members.keys() & {*unfinished}:
            self.stored = snapshot
            self._began -= snapshot.seconds
        return self.stored

    @property
    def seconds(self) -> float:
        """For how long the group has trained, interruptions left out."""
        return time.monotonic() - self._began

    def prepare(self, member: Member, job: str) -> None:
        """Take a member of the group in; give it its records back if it goes on."""
        self.jobs_of[member] = job
        if self.stored is None:
            return
        if job not in self.stored.members:  # it has ended, and only fills its place
            member.outcome, member.callbacks = "completed", []
            return
        own = Attributes({}, member.network).restore(self.stored.members[job]["own"])
        vars(member.convergence).update(own.pop("convergence"))
        vars(member.recorder).update(own.pop("recorder"))
        vars(member.random_state).update(own.pop("random_state"))
        vars(member).update(own)
        with member.log_context():
            log.info("goes on from a snapshot of step %d", self.stored.step)

    def make_others(self) -> list[Member]:
        """Return members for jobs that are finished, as the others' stack is to hold them all the same."""
        made = []
        for job, task in self.others.items():
            made.append(make_member(task.config))
            self.prepare(made[-1], job)
        return made

    def restore(self, ensemble: "Ensemble") -> None:
        """Let members, companions, callbacks and engines stand where they stood; data are placed."""
        assert self.stored is not None
        members = {job: member for member, job in self.jobs_of.items()}
        for job, kept in self.stored.members.items():
            member = members[job]
            set_network_state(member.network, kept["network"])
            for companion in kept["companions"]:
                made = with_companion(member, companion["order_seed"])
                set_network_state(made.network, companion["network"])
                made.masks = Attributes({}, member.network).restore(companion["masks"])
            attributes = Attributes(known_to(member), member.network)
            for callback, state in zip(member.callbacks, kept["callbacks"], strict=True):
                vars(callback).update(attributes.restore(state))
        ensemble.engines.go_on(
            [
                engine_again(kind, [member_at(members, place) for place in places], states)
                for kind, places, states in self.stored.engines
            ]
        )
        ensemble.final_states |= {m: {} for m in members.values() if m.outcome != "running"}
        count_steps_taken(ensemble.trainer, self.stored.step)

    def look(self, ensemble: "Ensemble") -> None:
        """Between two blocks: write a snapshot if it is time, or if the process has been told to end."""
        is_due = self.minutes is not None and time.monotonic() - self._written >= 60 * self.minutes
        if (is_due or self._answer_signal) and not self._has_given_up:
            self._write(ensemble)
        self._answer()

    @contextlib.contextmanager
    def awaiting_signals(self) -> Iterator[None]:
        """Let Ctrl-C and SIGTERM wait for the end of a block once it listens; a second does not wait."""
        if self._has_given_up or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def handle(number: int, frame: FrameType | None) -> None:
            own: Any = before[signal.Signals(number)]
            if self._answer_signal is not None or self._has_given_up:
                own(number, frame)
            self._answer_signal = lambda: own(number, None)

        ours = {number: own for number, own in before.items() if callable(own)}
        self._handlers = dict.fromkeys(ours, handle)
        try:
            yield
        finally:
            self._handlers = {}
            for number, own in ours.items():
                signal.signal(number, own)
        self._answer()

    def listen(self) -> None:
        """Begin to let signals wait: Lightning's handlers would end a run before it is kept."""
        for number, handle in self._handlers.items():
            signal.signal(number, handle)

    def _answer(self) -> None:
        answer, self._answer_signal = self._answer_signal, None
        if answer is not None:
            answer()

    def remove(self) -> None:
        """Remove the snapshot: the group has ended."""
        snapshots.remove(self.path)

    def _write(self, ensemble: "Ensemble") -> None:
        try:
            require_keepable(ensemble)
            buffer = io.BytesIO()
            torch.save(vars(take(ensemble, self.jobs_of, self.seconds)), buffer)
            snapshots.write(self.path, self.jobs, self.engine, buffer.getvalue())
            self._written = time.monotonic()
        except (NotKept, OSError) as error:
            self._has_given_up = True
            for member in self.jobs_of:
                with member.log_context():
                    log.info("no snapshot of its group: %s", error)
