"""Optimizer steps on data in memory, with nothing between them: what one block of training runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlexp.data.batches import BatchOrder
from dlexp.measures.functional import Loss
from dlexp.training.optimizers import LearningRates, learning_rate_factor


class Batches:
    """The batch ``(x, y)`` of each optimizer step, the whole training set lying on the training device."""

    def __init__(self, x: Tensor, y: Tensor, order: BatchOrder) -> None:
        self.x, self.y, self.order = x, y, order
        self._epoch = -1
        self._batches: Sequence[tuple[Tensor, Tensor]] = ()

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        if self.order.is_full:
            return self.x, self.y
        epoch, index = divmod(step, self.order.steps_per_epoch)
        if epoch != self._epoch:
            rows = self.order.permutation(epoch).to(self.x.device)
            size = self.order.batch_size
            # One gather an epoch: its batches are views.
            self._batches = list(zip(self.x[rows].split(size), self.y[rows].split(size), strict=True))
            self._epoch = epoch
        return self._batches[index]


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


def run_steps(
    network: nn.Module,
    loss_fn: Loss,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    batches: Batches,
    start: int,
    stop: int,
    masks: Mapping[str, Tensor] | None = None,
) -> None:
    """Take the optimizer steps ``start`` to ``stop - 1`` in place; no number leaves the device.

    Parameters named in ``masks`` are multiplied by their mask after every step. For the optimizers used here,
    which treat each weight by itself, the others then move exactly as if the gradient had been masked.
    """
    masked = [(network.get_parameter(name), mask) for name, mask in (masks or {}).items()]
    rates = LearningRates(optimizer)
    for step in range(start, stop):
        if schedule.name != "constant":
            rates.scale(schedule.factor(step))
        x, y = batches[step]
        optimizer.zero_grad()
        loss_fn(network(x), y).backward()
        optimizer.step()
        with torch.no_grad():
            for parameter, mask in masked:
                parameter.mul_(mask)
