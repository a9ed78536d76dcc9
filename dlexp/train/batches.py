"""The batches of each optimizer step, the whole training set lying on the training device."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dlexp.data.batches import BatchOrder

Batch = tuple[Tensor, Tensor]


class Batches:
    """The batches ``(x, y)`` whose mean gradient each optimizer step descends.

    One batch for a step; under accumulation the next ``accumulate`` batches of the epoch, fewer at its end.

    Args:
        x, y: the training set.
        order: of the batches in each epoch.
        accumulate: how many batches make a step.
    """

    def __init__(self, x: Tensor, y: Tensor, order: BatchOrder, accumulate: int = 1) -> None:
        self.x, self.y, self.order, self.accumulate = x, y, order, accumulate
        self._epoch = -1
        self._batches: Sequence[Batch] = ()

    @property
    def steps_per_epoch(self) -> int:
        """The number of optimizer steps in an epoch."""
        return -(-self.order.steps_per_epoch // self.accumulate)

    def __getitem__(self, step: int) -> Sequence[Batch]:
        """Return the batches of a step, counted from 0."""
        if self.order.is_full:
            return [(self.x, self.y)]
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            rows = self.order.permutation(epoch).to(self.x.device)
            size = self.order.batch_size
            # One gather an epoch: its batches are views.
            self._batches = list(zip(self.x[rows].split(size), self.y[rows].split(size), strict=True))
            self._epoch = epoch
        return self._batches[index * self.accumulate : (index + 1) * self.accumulate]


def stacked_epoch(x: Tensor, y: Tensor, permutations: Sequence[Tensor], batch_size: int) -> list[Batch]:
    """Return the batches of one epoch of M networks: x (M, B, ...), y (M, B, ...), views of one gather.

    Args:
        x, y: the training sets (M, n, ...).
        permutations: of each network's rows (n,), on the CPU.
        batch_size: B; the last batch is smaller where it does not divide n.
    """
    rows = torch.stack(list(permutations))
    count, n = rows.shape
    flat = (rows + n * torch.arange(count)[:, None]).flatten()
    # Sent without waiting for what the device has still to do.
    flat = flat.pin_memory().to(x.device, non_blocking=True) if x.is_cuda else flat
    shuffled = (whole.flatten(0, 1).index_select(0, flat).view(whole.shape) for whole in (x, y))
    return list(zip(*(whole.split(batch_size, dim=1) for whole in shuffled), strict=True))
