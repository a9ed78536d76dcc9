"""Where a group in training stands, kept so that it goes on to the last bit as if it had never stopped."""

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any

from dlexp.train.attributes import Attributes, NotKept, network_state
from dlexp.train.engine import Engine
from dlexp.train.hooks import is_measure
from dlexp.train.loop import Loop
from dlexp.train.member import Companion, Member
from dlexp.train.replay.engine import Replay
from dlexp.train.stacks.engine import Stacks

if TYPE_CHECKING:
    from dlexp.train.ensemble import Ensemble

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
    attributes = Attributes(known_to(member), member.network)
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


def known_to(member: Member) -> dict[str, object]:
    """Return what callbacks may hold that is not theirs, by name."""
    known: dict[str, object] = {"member": member, "network": member.network}
    for number, companion in enumerate(member.companions):
        known |= {f"companion {number}": companion, f"network {number}": companion.network}
    return known


def with_companion(member: Member, order_seed: int | None) -> Companion:
    """Give a member a companion, whose weights are to follow, and return it."""
    companion = Companion(member, copy.deepcopy(member.network), order_seed)
    member.companions.append(companion)
    return companion


def member_at(members: dict[str, Member], place: Place) -> Member:
    """Return the member or companion at a place."""
    job, number = place
    member = members[job]
    if number is None:
        return member
    while len(member.companions) <= number:  # of a member that has ended
        with_companion(member, None)
    return member.companions[number]


def engine_again(kind: str, members: Sequence[Member], states: Sequence[Any]) -> Engine:
    """Return an engine of a kind for members, with what their optimizers remembered."""
    restored = {m: Attributes({}, m.network).restore(s) for m, s in zip(members, states, strict=True)}
    return KINDS[kind](members, restored)
