"""Where a group in training stands, kept so that it goes on to the last bit as if it had never stopped."""

import contextlib
import copy
import io
import logging
import signal
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Any

import torch

from dlexp.records import snapshots
from dlexp.train.attributes import Attributes, NotKept, network_state, set_network_state
from dlexp.train.build import make_member
from dlexp.train.engine import Engine
from dlexp.train.hooks import is_measure
from dlexp.train.job_folder import Task
from dlexp.train.lightning import count_steps_taken
from dlexp.train.loop import Loop
from dlexp.train.member import Companion, Member
from dlexp.train.replay.engine import Replay
from dlexp.train.stacks.engine import Stacks

if TYPE_CHECKING:
    from dlexp.train.ensemble import Ensemble

log = logging.getLogger(__name__)

KINDS: dict[str, type[Engine]] = {"stack": Stacks, "replay": Replay, "loop": Loop}

Place = tuple[str, int | None]
"""A member, by its job's identity, or its companion of a number."""


@dataclass(frozen=True)
class Snapshot:
    """Where the members of a group stood between two blocks of steps.

    Attributes:
        step: that all were at.
        seconds: that they had trained for.
        members: what each member in training kept, by its job's identity.
        engines: of each its kind, its members and what their optimizers remember. One of many members may
            hold some that had ended: without them its sums would be rounded otherwise.
    """

    step: int
    seconds: float
    members: dict[str, dict[str, Any]]
    engines: list[tuple[str, list[Place], list[Any]]]

    @property
    def jobs(self) -> set[str]:
        """All jobs that have a part in it."""
        return {*self.members, *(job for _, places, _ in self.engines for job, _ in places)}


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
                made = _with_companion(member, companion["order_seed"])
                set_network_state(made.network, companion["network"])
                made.masks = Attributes({}, member.network).restore(companion["masks"])
            attributes = Attributes(_known(member), member.network)
            for callback, state in zip(member.callbacks, kept["callbacks"], strict=True):
                vars(callback).update(attributes.restore(state))
        ensemble.engines.go_on(
            [
                _engine(kind, [_at(members, place) for place in places], states)
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
        """Let Ctrl-C and SIGTERM wait for the end of a block; a second one does not wait."""
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
        for number in ours:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, own in ours.items():
                signal.signal(number, own)
        self._answer()

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


def require_keepable(ensemble: "Ensemble") -> None:
    """Refuse a group with a part whose state is not known (``NotKept``): what is kept is on a list."""
    if ensemble.in_single_steps:
        raise NotKept("Lightning's hooks are called in each step")
    for engine in ensemble.engines:
        for member in engine.members:
            for callback in member.callbacks:
                if not is_measure(callback):
                    raise NotKept(f"the callback {type(callback).__name__} is not one of dlexp's kind")
            target = member.optimizer_settings.target
            if target is not None and not target.startswith("torch.optim."):
                raise NotKept(f"what optimizer._target_={target} remembers is not known")


def take(ensemble: "Ensemble", jobs: dict[Member, str], seconds: float) -> Snapshot:
    """Return where an ensemble stands between two blocks of steps; raises ``NotKept``."""
    places: dict[Member, Place] = {}
    for member, job in jobs.items():
        places |= {member: (job, None)} | {c: (job, n) for n, c in enumerate(member.companions)}
    engines = [
        (
            next(name for name, kind in KINDS.items() if type(engine) is kind),
            [places[member] for member in engine.members],
            [Attributes({}, m.network).keep(engine.state(m)) for m in engine.members],
        )
        for engine in ensemble.engines
    ]
    running = {job: _kept(member) for member, job in jobs.items() if member.outcome == "running"}
    return Snapshot(ensemble.trainer.global_step, seconds, running, engines)


def _kept(member: Member) -> dict[str, Any]:
    """Return all that a member keeps beside what its optimizer remembers."""
    recorder = {name: value for name, value in vars(member.recorder).items() if name != "loggers"}
    own = {
        "masks": member.masks,
        "remarks": member.remarks,
        "stack_difference": member.stack_difference,
        "logged_step": member.logged_step,
        "convergence": vars(member.convergence),
        "recorder": recorder,
        "random_state": vars(member.random_state),
    }
    attributes = Attributes(_known(member), member.network)
    return {
        "network": network_state(member.network),
        "own": attributes.keep(own),
        "callbacks": [
            attributes.keep(
                {k: v for k, v in vars(callback).items() if k != "settings" and not _is_of_a_module(v)}
            )
            for callback in member.callbacks
        ],
        "companions": [
            {
                "network": network_state(companion.network),
                "order_seed": None
                if companion.order is member.batches.order
                else companion.batches.order.seed,
                "masks": attributes.keep(companion.masks),
            }
            for companion in member.companions
        ],
    }


def _is_of_a_module(value: Any) -> bool:
    """Whether a value is a function that a module defines: the callback made anew has it too."""
    is_function = isinstance(value, FunctionType)
    return is_function and getattr(sys.modules.get(value.__module__), value.__qualname__, None) is value


def _known(member: Member) -> dict[str, object]:
    """Return what callbacks may hold that is not theirs, by name."""
    known: dict[str, object] = {"member": member, "network": member.network}
    for number, companion in enumerate(member.companions):
        known |= {f"companion {number}": companion, f"network {number}": companion.network}
    return known


def _with_companion(member: Member, order_seed: int | None) -> Companion:
    companion = Companion(member, copy.deepcopy(member.network), order_seed)
    member.companions.append(companion)
    return companion


def _at(members: dict[str, Member], place: Place) -> Member:
    job, number = place
    member = members[job]
    if number is None:
        return member
    while len(member.companions) <= number:  # of a member that has ended
        _with_companion(member, None)
    return member.companions[number]


def _engine(kind: str, members: Sequence[Member], states: Sequence[Any]) -> Engine:
    restored = {m: Attributes({}, m.network).restore(s) for m, s in zip(members, states, strict=True)}
    return KINDS[kind](members, restored)
