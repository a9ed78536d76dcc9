"""The steps of a run: which are looked at, which lie between (blocks), the learning rate of each, the last.

Lightning's loop costs two to four times a small network's own step. The steps between two points at which
anybody looks are therefore run as one Lightning batch, a :class:`Block`.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

SCHEDULES = ("constant", "cosine", "linear")


def log_spaced_steps(total_steps: int, per_decade: int) -> list[int]:
    """Return 0, ``total_steps`` and about ``per_decade`` whole steps in each factor of ten between.

    >>> log_spaced_steps(20, per_decade=2)
    [0, 1, 3, 10, 20]
    """
    steps = {0, total_steps}
    decades = math.log10(max(total_steps, 1))
    for index in range(math.floor(decades * per_decade) + 1):
        steps.add(min(round(10 ** (index / per_decade)), total_steps))
    return sorted(steps)


def evenly_spaced_steps(total_steps: int, every_n_steps: int) -> list[int]:
    """Return 0, every multiple of ``every_n_steps`` below ``total_steps``, and ``total_steps``.

    >>> evenly_spaced_steps(25, 10)
    [0, 10, 20, 25]
    """
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
    """The steps of one run, counted in optimizer steps from 0 (the initial network) to ``total_steps``.

    Attributes:
        steps_per_epoch: optimizer steps in a pass over the training set.
        log_steps: after which losses are evaluated and recorded.
        check_every_n_steps: how often convergence is checked.
        min_steps: before which no run is taken for converged.
    """

    total_steps: int
    steps_per_epoch: int
    log_steps: frozenset[int]
    check_every_n_steps: int
    min_steps: int = 0

    def epoch(self, step: int) -> int:
        """Return how many whole passes over the training set are done after ``step`` steps."""
        return step // self.steps_per_epoch

    def is_check(self, step: int) -> bool:
        """Whether convergence is checked after ``step`` steps."""
        is_due = step % self.check_every_n_steps == 0 or step == self.total_steps
        return is_due and step >= self.min_steps


class Block(NamedTuple):
    """The optimizer steps ``start`` to ``stop - 1``: what one Lightning batch runs."""

    start: int
    stop: int


class Blocks:
    """The blocks from ``start`` on between the points at which a run is looked at, for Lightning to load."""

    def __init__(self, plan: Plan, measured_steps: Iterable[int] = (), start: int = 0) -> None:
        checks = range(plan.check_every_n_steps, plan.total_steps, plan.check_every_n_steps)
        looked_at = {*plan.log_steps, *checks, *measured_steps, plan.total_steps}
        # Of a run without steps one empty block is left: Lightning calls no hook if it has no batch.
        self.boundaries = sorted(s for s in looked_at if start < s <= plan.total_steps) or [start]
        self.start = start

    def __len__(self) -> int:
        return len(self.boundaries)

    def __iter__(self) -> Iterator[Block]:
        start = self.start
        for stop in self.boundaries:
            yield Block(start, stop)
            start = stop


class SingleSteps:
    """Blocks of one step, an epoch at a time, as a Lightning training data loader.

    For what Lightning's users count in batches and epochs: each batch is one optimizer step.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._epoch = 0

    def __len__(self) -> int:
        return min(self.plan.steps_per_epoch, self.plan.total_steps)

    def __iter__(self) -> Iterator[Block]:
        # A generator function: the epoch is taken at the first batch, because Lightning also makes iterators
        # that it never reads.
        start = self._epoch * self.plan.steps_per_epoch
        self._epoch += 1
        for step in range(start, min(start + self.plan.steps_per_epoch, self.plan.total_steps)):
            yield Block(step, step + 1)


@dataclass
class Schedule:
    """A learning-rate schedule over ``period`` steps; after each it goes back to its own step ``rewind``."""

    name: str
    period: int
    rewind: int = 0

    def factor(self, step: int) -> float:
        """Return what multiplies the learning rate at ``step``."""
        if step >= self.period:
            step = self.rewind + (step - self.period) % (self.period - self.rewind)
        return learning_rate_factor(self.name, step, self.period)


def learning_rate_factor(schedule: str, step: int, total_steps: int) -> float:
    """Return what multiplies the learning rate at ``step`` (0-based) of ``total_steps``.

    With t = step / total_steps: ``constant``: 1; ``linear``: 1 - t; ``cosine``: (1 + cos(pi t)) / 2
    (Loshchilov & Hutter 2017, eq. 5, without restarts). The first step has the full rate.

    >>> learning_rate_factor("linear", 25, 100)
    0.75
    """
    t = min(step / total_steps, 1.0)
    if schedule == "constant":
        return 1.0
    if schedule == "linear":
        return 1.0 - t
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * t))
    raise ValueError(f"schedule={schedule!r} is unknown; allowed: {', '.join(SCHEDULES)}")


class Convergence:
    """Decides from the training losses seen so far whether training is over.

    It is when the loss is not above ``train_loss``, or when for ``patience`` steps it has not fallen by more
    than the relative amount ``min_delta`` below its best value (None switches either off).
    """

    def __init__(
        self, train_loss: float | None = None, patience: int | None = None, min_delta: float = 0.0
    ) -> None:
        self.threshold, self.patience, self.min_delta = train_loss, patience, min_delta
        self.best, self.best_step = math.inf, 0

    def is_reached(self, loss: float, step: int) -> bool:
        """Take note of the training loss after ``step`` steps; return whether training has converged."""
        if loss < self.best * (1 - self.min_delta):
            self.best, self.best_step = loss, step
        if self.threshold is not None and loss <= self.threshold:
            return True
        return self.patience is not None and step - self.best_step >= self.patience
