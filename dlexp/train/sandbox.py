"""A member's foreign code by itself: it sees its own random state and log, and its error ends it alone."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from dlexp.train.member import Member
from dlexp.train.stacks.engine import Stacks


@contextlib.contextmanager
def sandbox(member: Member) -> Iterator[None]:
    """Let a member's code see its own random state and log; an error makes the member ``failed``."""
    try:
        with member.log_context(), _own_randomness(member):
            yield
    except Exception as error:
        fail(member, error)


def fail(member: Member, error: Exception) -> None:
    """Make a member ``failed``, with the reason."""
    member.outcome, member.error = "failed", error


def call_callbacks(hook: str, members: Sequence[Member], *arguments: Any) -> None:
    """Call a hook of each member's own callbacks, with the member as their module, until one fails."""
    for member in members:
        for callback in member.callbacks:
            if member.outcome == "failed":
                break
            with sandbox(member):
                getattr(callback, hook)(member.trainer, member, *arguments)


def _own_randomness(member: Member) -> contextlib.AbstractContextManager[None]:
    """Return the member's random state, or nothing where all code is dlexp's, which draws from generators."""
    is_ours = all(type(part).__module__.startswith("dlexp.") for part in member.callbacks)
    if is_ours and Stacks.why_not(member) is None:
        return contextlib.nullcontext()
    return member.random_state.active()
