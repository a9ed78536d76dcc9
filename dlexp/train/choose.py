"""Which engine takes which members: the fastest whose list holds a member, checked before it is trusted."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from dlexp.train.engine import Engine
from dlexp.train.loop import Loop
from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerState
from dlexp.train.stacks.buckets import step_cost
from dlexp.train.stacks.check import differences
from dlexp.train.stacks.engine import Stacks
from dlexp.train.stacks.weights import unstack

COMPACT_BELOW = 0.6
"""Members still in training are stacked anew when their steps alone would cost less than this share."""


def choose_engines(
    members: Sequence[Member],
    states: Mapping[Member, OptimizerState],
    *,
    step: int,
    loop_because: str | None = None,
    only_stacks: bool = False,
) -> list[Engine]:
    """Return engines for members; each member is told which it has, and why not a stack.

    A stack that would train a member otherwise than alone is not used for it
    (:func:`~dlexp.train.stacks.check.differences`).

    Args:
        members: of one ensemble.
        states: of their optimizers.
        step: that they are at.
        loop_because: why all are trained by the loop; None where they need not be.
        only_stacks: whether to raise ``ValueError`` for a member that no stack holds.
    """
    to_stack: dict[Hashable, list[Member]] = defaultdict(list)
    loops = []
    for member in members:
        reason = loop_because or Stacks.why_not(member)
        if reason is None:
            to_stack[Stacks.group_key(member)].append(member)
            continue
        if only_stacks:
            raise ValueError(f"training.engine=stack is not allowed: {reason}")
        _remark(member, f"trained by itself: {reason}")
        loops.append(member)
    engines: list[Engine] = []
    for alike in to_stack.values():
        stacks, unlike = _make_stacks(alike, states, step)
        loops += unlike
        if stacks is not None:
            engines.append(stacks)
    return [*engines, *(Loop([member], states) for member in loops)]


def is_worth_restacking(engine: Engine, left: Sequence[Member]) -> bool:
    """Whether the members left of a stack would train for much less in one of their own."""
    if not isinstance(engine, Stacks) or len(left) == len(engine.members):
        return False
    return step_cost(left) < COMPACT_BELOW * step_cost(engine.members)


def _make_stacks(
    members: Sequence[Member], states: Mapping[Member, OptimizerState], step: int
) -> tuple[Stacks | None, list[Member]]:
    """Return stacks that train as their members would alone, and the members that none would."""
    left, refused = list(members), list[Member]()
    while left:
        stacks = Stacks(left, states)
        unlike = differences(stacks, step)
        if not unlike:
            for member in left:
                _remark(member, f"trained as one of {len(left)} networks at once")
            return stacks, refused
        for member, difference in unlike.items():
            unstack(member.network)
            _remark(member, f"trained by itself: in a stack {difference}")
            member.stack_difference = difference
        refused += unlike
        left = [member for member in left if member not in unlike]
    return None, refused


def _remark(member: Member, text: str) -> None:
    if not member.remarks:
        member.remarks.append(text)
