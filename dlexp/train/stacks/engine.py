"""The engine that trains chains of linear layers as stacks: some dozen networks for little more than one."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor

from dlexp.losses import Loss
from dlexp.measures.chain import chain_of, why_no_chain
from dlexp.train.batches import Batch, stacked_epoch
from dlexp.train.member import Companion, Member
from dlexp.train.optimizers import ADAPTIVE, GRADIENT_DESCENT, OptimizerState, learning_rate_factors
from dlexp.train.plan import Schedule
from dlexp.train.stacks.buckets import partition
from dlexp.train.stacks.gradients import Gradients
from dlexp.train.stacks.optimizers import StackOptimizer
from dlexp.train.stacks.stack import Stack
from dlexp.train.stacks.step_graphs import CudaRecorder, StepGraphs, StepRecorder


class Bucket:
    """Members of about the same width, with their data, batches and optimizer stacked beside them."""

    def __init__(
        self, members: Sequence[Member], states: Mapping[Member, OptimizerState], *, as_tensors: bool
    ) -> None:
        self.members = list(members)
        self.stack = Stack([member.network for member in members])
        self.data = {split: self._stacked(split) for split in ("train", "test")}
        self.gradients = Gradients(self.stack, members[0].loss)
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

    def _stacked(self, split: str) -> Batch:
        x, y = (
            torch.stack([getattr(member.tensors, f"{kind}_{split}") for member in self.members])
            for kind in "xy"
        )
        return x, y


class Stacks:
    """Trains members whose networks are chains, in stacks of like width, by hand-written products.

    Args:
        members: of one :meth:`group_key`.
        states: of their optimizers; none for a fresh one.
        recorder: makes recorded steps; by default CUDA graphs where the members are on a GPU.
    """

    def __init__(
        self,
        members: Sequence[Member],
        states: Mapping[Member, OptimizerState],
        recorder: StepRecorder | None = None,
    ) -> None:
        is_on_gpu = members[0].tensors.x_train.is_cuda
        self._graphs = StepGraphs(recorder or CudaRecorder()) if recorder or is_on_gpu else None
        self.buckets = [
            Bucket(alike, states, as_tensors=self._graphs is not None) for alike in partition(members)
        ]
        self.members = [member for bucket in self.buckets for member in bucket.members]
        self._schedule: Schedule = members[0].schedule
        self._factor: float | Tensor = 1.0
        if self._graphs:
            self._factor = members[0].tensors.x_train.new_ones(())  # as precise as the weights

    @staticmethod
    def why_not(member: Member) -> str | None:
        """Return why a member cannot be stacked, in a few words, or None: everything stacked is on a list."""
        if type(member) not in (Member, Companion):
            return f"a {type(member).__name__} may train in a way of its own"
        if member.accumulate != 1 or member.clip is not None:
            return "its gradients are accumulated or clipped"
        if member.optimizer_settings.name not in (*GRADIENT_DESCENT, *ADAPTIVE):
            return f"optimizer._target_={member.optimizer_settings.target} is trained by torch alone"
        if next(member.network.parameters()).dtype not in (torch.float32, torch.float64):
            return "its weights are neither float32 nor float64"
        return why_no_chain(member.network)

    @staticmethod
    def group_key(member: Member) -> Hashable:
        """Return what the members of one engine have in common: all but widths, seeds and rates."""
        layers = chain_of(member.network)
        assert layers is not None
        settings, order, tensors = member.optimizer_settings, member.batches.order, member.tensors
        return (
            member.loss.name,
            tuple((layer.name, layer.linear.bias is None, repr(layer.activation)) for layer in layers),
            settings.name,
            settings.nesterov,
            (member.schedule.name, member.schedule.period, member.schedule.rewind),
            (order.n, order.batch_size, order.is_full),
            tuple((t.shape, t.dtype) for t in vars(tensors).values()),
        )

    def advance(self, start: int, stop: int) -> None:
        """Take the steps ``start`` to ``stop - 1``; no number leaves the device."""
        steps = [bucket.optimizer.steps + stop - start for bucket in self.buckets]
        for step in range(start, stop):
            factor = self._schedule.factor(step)
            batches = [bucket.batch(step) for bucket in self.buckets]
            if self._graphs is None:
                self._factor = factor
                self._take_step(batches)
            else:
                assert isinstance(self._factor, Tensor)
                self._factor.fill_(factor)
                state = [t for bucket in self.buckets for t in bucket.optimizer.tensors()]
                self._graphs.take(self._take_step, batches, state)
        for bucket, count in zip(self.buckets, steps, strict=True):
            bucket.optimizer.steps = count  # steps played back count themselves on the device alone

    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return every member's metrics over a set, (M,) by name."""
        found = [bucket.evaluate(split) for bucket in self.buckets]
        return {name: torch.cat([metrics[name] for metrics in found]) for name in found[0]}

    def norms(self) -> Tensor:
        """Return the norm of each member's parameters (M,)."""
        return torch.cat([bucket.stack.norms() for bucket in self.buckets])

    def state(self, member: Member) -> OptimizerState:
        """Return a copy of what the optimizer remembers of one member."""
        bucket = self._bucket(member)
        return bucket.optimizer.state(bucket.members.index(member))

    def refresh(self, member: Member, *, forget: bool) -> None:
        """Take over a member's masks; let its optimizer begin anew if told to."""
        bucket = self._bucket(member)
        bucket.take_masks(member)
        if forget:
            bucket.optimizer.forget(bucket.members.index(member))
        if self._graphs:
            self._graphs.forget()

    def _take_step(self, batches: Sequence[Batch]) -> None:
        for bucket, batch in zip(self.buckets, batches, strict=True):
            bucket.step(batch, self._factor)

    def _bucket(self, member: Member) -> Bucket:
        return next(bucket for bucket in self.buckets if member in bucket.members)
