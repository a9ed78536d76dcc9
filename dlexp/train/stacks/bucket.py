"""Members in one stack: their data, batches and optimizer beside it."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from dlexp.losses import Loss
from dlexp.train.batches import Batch, stacked_epoch
from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerState, learning_rate_factors
from dlexp.train.stacks.optimizers import StackOptimizer
from dlexp.train.stacks.weights import StackedWeights


class Bucket:
    """Members in one stack, with their data, batches and optimizer stacked beside them.

    Args:
        members: M of them.
        states: of their optimizers.
        stack: of their networks, in the same order.
        gradients: sets the stack's gradients for a batch.
        as_tensors: whether the optimizer's settings are to lie on the device.
    """

    def __init__(
        self,
        members: Sequence[Member],
        states: Mapping[Member, OptimizerState],
        stack: StackedWeights,
        gradients: Callable[[Tensor, Tensor], None],
        *,
        as_tensors: bool,
    ) -> None:
        self.members = list(members)
        self.stack, self.gradients = stack, gradients
        self.data = stacked_data(members)
        settings = [member.optimizer_settings for member in members]
        self.optimizer = StackOptimizer(
            self.stack,
            settings,
            [learning_rate_factors(m.network, s) for m, s in zip(members, settings, strict=True)],
            [states.get(member, {}) for member in members],
            as_tensors=as_tensors,
        )
        self._epoch: tuple[int, list[Batch]] = (-1, [])
        self.mask: Tensor | None = None
        for member in members:
            self.take_masks(member)

    def batch(self, step: int) -> Batch:
        """Return the batch of a step: inputs (M, B, input_dim) and targets (M, B, ...)."""
        order = self.members[0].batches.order
        if order.is_full:
            return self.data["train"]
        epoch, index = divmod(step, order.steps_per_epoch)
        if self._epoch[0] != epoch:
            orders = {member.batches.order.seed: member.batches.order for member in self.members}
            permutations = {seed: own.permutation(epoch) for seed, own in orders.items()}
            rows = [permutations[member.batches.order.seed] for member in self.members]
            self._epoch = epoch, stacked_epoch(*self.data["train"], rows, order.batch_size)
        return self._epoch[1][index]

    def step(self, batch: Batch, factor: float | Tensor) -> None:
        """Take one optimizer step for all members."""
        self.gradients(*batch)
        self.update(factor)

    def update(self, factor: float | Tensor) -> None:
        """Take one optimizer step by the stack's gradients; what is masked stays 0."""
        self.optimizer.step(factor)
        if self.mask is not None:
            self.stack.values.mul_(self.mask)

    @torch.no_grad()
    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return each member's loss (M,) over a whole set, and for classes the error, by metric name."""
        loss: Loss = self.members[0].loss
        x, y = self.data[split]
        outputs = self.stack(x)
        metrics = {f"{split}/loss": loss(outputs, y)}
        if loss.error is not None:
            metrics[f"{split}/error"] = loss.mean_error(outputs, y)
        return metrics

    def take_masks(self, member: Member) -> None:
        """Take over the masks that a member now has."""
        if self.mask is None:
            if not member.masks:
                return
            self.mask = torch.ones_like(self.stack.values)
        position = self.members.index(member)
        for name, block in self.stack.blocks.items():
            own = block.of_member(self.mask, position)
            own.copy_(member.masks[name]) if name in member.masks else own.fill_(1)


def stacked_data(members: Sequence[Member]) -> dict[str, Batch]:
    """Return the members' ``train`` and ``test`` sets: inputs (M, n, ...) and targets (M, n, ...)."""
    return {
        split: (
            torch.stack([getattr(member.tensors, f"x_{split}") for member in members]),
            torch.stack([getattr(member.tensors, f"y_{split}") for member in members]),
        )
        for split in ("train", "test")
    }
