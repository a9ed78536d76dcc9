"""What takes the optimizer steps of members: the one interface between an ensemble and its engines."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerState


class Engine(Protocol):
    """Takes the steps of some members, in place: their networks hold the present weights at all times."""

    @property
    def members(self) -> Sequence[Member]:
        """Those whose steps it takes."""

    @staticmethod
    def why_not(member: Member) -> str | None:
        """Return why this engine cannot take a member, in a few words, or None if it can: a positive list."""

    @staticmethod
    def group_key(member: Member) -> Hashable:
        """Return what the members of one engine have in common."""

    def __init__(self, members: Sequence[Member], states: Mapping[Member, OptimizerState]) -> None:
        """Take members over, with what their optimizers remember; no state stands for a fresh optimizer."""

    def advance(self, start: int, stop: int) -> None:
        """Take the steps ``start`` to ``stop - 1``; no number leaves the device."""

    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return every member's loss over the ``train`` or ``test`` set (and error), (M,) by metric."""

    def norms(self) -> Tensor:
        """Return the norm of every member's trainable parameters (M,)."""

    def state(self, member: Member) -> OptimizerState:
        """Return a copy of what the optimizer remembers of one member."""

    def refresh(self, member: Member, *, forget: bool) -> None:
        """Be told that a member's masks were changed; ``forget``: that its optimizer begins anew too."""
