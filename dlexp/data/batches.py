"""Batches of a set that lives in memory: which rows, in which order, and a loader that yields them."""

from collections.abc import Iterator

import torch
from torch import Tensor

from dlexp.seeding import make_generator


class BatchOrder:
    """The batches of each epoch: consecutive slices of a random permutation of the ``n`` rows.

    The permutation of an epoch is a function of ``(seed, epoch)`` alone, so any epoch can be asked for at any
    time. The last batch of an epoch is smaller where ``batch_size`` does not divide ``n``. With ``"full"``
    there is no permutation: one batch, the whole set in its own order.

    Raises ``ValueError`` if ``batch_size`` is neither ``"full"`` nor between 1 and ``n``.
    """

    def __init__(self, n: int, batch_size: int | str, seed: int) -> None:
        is_number = isinstance(batch_size, int) and not isinstance(batch_size, bool)
        if batch_size != "full" and not (is_number and 1 <= int(batch_size) <= n):
            raise ValueError(
                f"batch_size={batch_size!r} is not allowed: it must be full or between 1 and {n}"
            )
        self.n = n
        self.batch_size = n if batch_size == "full" else int(batch_size)
        self.is_full = batch_size == "full"
        self.seed = seed

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.n // self.batch_size)

    def epoch(self, epoch: int, device: torch.device | str = "cpu") -> list[Tensor | None]:
        """Return the row indices (b,) int64 of each batch of an epoch; None stands for the whole set."""
        if self.is_full:
            return [None]
        return list(self.permutation(epoch).to(device).split(self.batch_size))

    def permutation(self, epoch: int) -> Tensor:
        """Return the order (n,) int64 of the rows in an epoch; drawn on the CPU whatever device trains."""
        return torch.randperm(self.n, generator=make_generator(f"order/{epoch}", self.seed))


class InMemoryLoader:
    """Yields the batches ``(x, y)`` of an epoch, on the device where the tensors are.

    A Lightning dataloader without workers or collation. Each iteration is the next epoch; :meth:`set_epoch`
    says which one that is.
    """

    def __init__(self, x: Tensor, y: Tensor, order: BatchOrder, first_epoch: int = 0) -> None:
        if not len(x) == len(y) == order.n:
            raise ValueError(f"x has {len(x)} rows and y {len(y)}, but the batch order is for {order.n}")
        self.x, self.y, self.order = x, y, order
        self.next_epoch = first_epoch

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be the given epoch."""
        self.next_epoch = epoch

    def __len__(self) -> int:
        return self.order.steps_per_epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # A generator function: the epoch is taken at the first batch, because Lightning also makes iterators
        # that it never reads.
        batches = self.order.epoch(self.next_epoch, self.x.device)
        self.next_epoch += 1
        for rows in batches:
            yield (self.x, self.y) if rows is None else (self.x[rows], self.y[rows])
