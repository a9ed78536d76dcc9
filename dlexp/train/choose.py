"""Which engine takes which members: the fastest whose list holds a member, checked before it is trusted."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from dlexp.train.engine import Engine
from dlexp.train.loop import Loop
from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerState
from dlexp.train.replay.engine import Replay
from dlexp.train.stacks.buckets import step_cost
from dlexp.train.stacks.check import differences
from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.weights import unstack

COMPACT_BELOW = 0.6
"""Members still in training are stacked anew when their steps alone would cost less than this share."""

REPLAY_FROM = 500
"""Steps from which a recorded step pays: to record and check it takes the time of 30 to 130 by the loop."""


def choose_engines(
    members: Sequence[Member],
    states: Mapping[Member, OptimizerState],
    *,
    step: int,
    loop_because: str | None = None,
    engine: str = "auto",
) -> list[Engine]:
    """Return engines for members; each member is told which it has, and why not a faster one.

    Chains of linear layers are trained in padded stacks; of the others, those that are alike by replaying a
    recorded step; the rest by the loop. An engine that would train a member otherwise than alone is not used
    for it.

    Args:
        members: of one ensemble.
        states: of their optimizers.
        step: that they are at.
        loop_because: why all are trained by the loop; None where they need not be.
        engine: ``auto``; ``stack`` or ``replay`` to raise ``ValueError`` for a member that it does not hold.
    """
    engines: list[Engine] = []
    left = dict.fromkeys(members, loop_because or "")
    for name, kind, make in (("stack", Stacks, _make_stacks), ("replay", Replay, _make_replay)):
        if loop_because is not None or engine not in ("auto", name):
            continue
        groups: dict[Hashable, list[Member]] = defaultdict(list)
        for member in [member for member in left if not member.stack_difference]:
            reason = kind.why_not(member)
            if reason is None:
                groups[kind.group_key(member)].append(member)
            elif engine == name:
                raise ValueError(f"training.engine={name} is not allowed: {reason}")
            else:
                left[member] = reason if left[member] in ("", reason) else f"{left[member]}; {reason}"
        for alike in groups.values():
            made, refused = make(alike, states, step, is_forced=engine == name)
            if made is not None:
                engines.append(made)
                for member in made.members:
                    _remark(member, f"trained as one of {len(made.members)} networks at once")
                    del left[member]
            for member, reason in refused.items():
                left[member] = f"{left[member]}; {reason}" if left[member] else reason
    for member, reason in left.items():
        _remark(member, f"trained by itself: {reason}")
        engines.append(Loop([member], states))
    return engines


def why_by_itself(member: Member, engine: str = "auto") -> str | None:
    """Return why a member gains nothing from others beside it, in a few words; None if it may.

    Args:
        member: without data.
        engine: ``auto``, ``stack`` or ``replay``.
    """
    reason = Stacks.why_not(member)
    if engine == "stack" or (engine == "auto" and reason is None):
        return reason
    if engine == "auto" and member.plan.total_steps < REPLAY_FROM:
        return f"{reason}; to record a step pays from {REPLAY_FROM} steps on"
    return Replay.why_not(member)


def is_worth_restacking(engine: Engine, left: Sequence[Member]) -> bool:
    """Whether the members left of a stack would train for much less in one of their own."""
    if not isinstance(engine, Stacks) or len(left) == len(engine.members):
        return False
    if isinstance(engine, Replay):  # recorded and checked anew
        steps = left[0].plan.total_steps - left[0].step
        return steps >= REPLAY_FROM and len(left) < COMPACT_BELOW * len(engine.members)
    return step_cost(left) < COMPACT_BELOW * step_cost(engine.members)


def _make_stacks(
    members: Sequence[Member], states: Mapping[Member, OptimizerState], step: int, *, is_forced: bool
) -> tuple[Stacks | None, dict[Member, str]]:
    """Return stacks that train as their members would alone, and why not the members that none would."""
    left, refused = list(members), dict[Member, str]()
    while left:
        stacks = Stacks(left, states)
        unlike = differences(stacks, step)
        if not unlike:
            return stacks, refused
        for member, difference in unlike.items():
            unstack(member.network)
            refused[member] = f"in a stack {difference}"
            member.stack_difference = difference
        left = [member for member in left if member not in unlike]
    return None, refused


def _make_replay(
    members: Sequence[Member], states: Mapping[Member, OptimizerState], step: int, *, is_forced: bool
) -> tuple[Replay | None, dict[Member, str]]:
    """Return what replays members' step, if it pays and they train so as they would alone; or why not."""
    if not is_forced and len(members) == 1:
        return None, dict.fromkeys(members, "no other network is like it")
    if not is_forced and members[0].plan.total_steps - step < REPLAY_FROM:
        return None, dict.fromkeys(members, f"to record a step pays from {REPLAY_FROM} steps on")
    try:
        return Replay(members, states), {}
    except Exception as error:  # whatever a foreign network raises
        for member in members:
            unstack(member.network)
        return None, dict.fromkeys(members, f"its step cannot be replayed: {error}")


def _remark(member: Member, text: str) -> None:
    if not member.remarks:
        member.remarks.append(text)
