"""Which optimizer step is looked at: log points, convergence checks, measures; the blocks between them.

Lightning's loop costs two to four times a small network's own step. The steps between two points at which
anybody looks are therefore run as one Lightning batch, a :class:`Block`.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


def log_spaced_steps(total_steps: int, per_decade: int) -> list[int]:
    """Return 0, ``total_steps`` and about ``per_decade`` whole steps in each factor of ten between."""
    steps = {0, total_steps}
    decades = math.log10(max(total_steps, 1))
    for index in range(math.floor(decades * per_decade) + 1):
        steps.add(min(round(10 ** (index / per_decade)), total_steps))
    return sorted(steps)


def evenly_spaced_steps(total_steps: int, every_n_steps: int) -> list[int]:
    """Return 0, every multiple of ``every_n_steps`` below ``total_steps``, and ``total_steps``."""
    return sorted({*range(0, total_steps, every_n_steps), total_steps})


def count_steps(steps_per_epoch: int, max_epochs: int | None, max_steps: int) -> int:
    """Return the number of optimizer steps that Lightning's two limits allow (None or -1: no limit)."""
    limits = []
    if max_epochs is not None and max_epochs != -1:
        limits.append(max_epochs * steps_per_epoch)
    if max_steps != -1:
        limits.append(max_steps)
    return min(limits)


@dataclass(frozen=True)
class Plan:
    """The steps of one run, counted in optimizer steps from 0 (the initial network) to ``total_steps``."""

    total_steps: int
    steps_per_epoch: int
    log_steps: frozenset[int]
    check_every_n_steps: int

    def epoch(self, step: int) -> int:
        """Return how many whole passes over the training set are done after ``step`` steps."""
        return step // self.steps_per_epoch

    def is_check(self, step: int) -> bool:
        """Whether convergence is checked after ``step`` steps."""
        return step % self.check_every_n_steps == 0 or step == self.total_steps


class Block(NamedTuple):
    """The optimizer steps ``start`` to ``stop - 1``: what one Lightning batch runs."""

    start: int
    stop: int


class Blocks:
    """The blocks between the points at which a run is looked at, as a Lightning training data loader."""

    def __init__(self, plan: Plan, measured_steps: Iterable[int] = ()) -> None:
        checks = range(plan.check_every_n_steps, plan.total_steps, plan.check_every_n_steps)
        looked_at = {*plan.log_steps, *checks, *measured_steps, plan.total_steps}
        # Of a run without steps one empty block is left: Lightning calls no hook if it has no batch.
        self.boundaries = sorted(s for s in looked_at if 0 < s <= plan.total_steps) or [0]

    def __len__(self) -> int:
        return len(self.boundaries)

    def __iter__(self) -> Iterator[Block]:
        start = 0
        for stop in self.boundaries:
            yield Block(start, stop)
            start = stop
