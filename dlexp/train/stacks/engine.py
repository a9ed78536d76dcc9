"""The engine that trains chains of linear layers as stacks: some dozen networks for little more than one."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor

from dlexp.measures.chain import chain_of, why_no_chain
from dlexp.train.batches import Batch
from dlexp.train.member import Companion, Member
from dlexp.train.optimizers import ADAPTIVE, GRADIENT_DESCENT, OptimizerState
from dlexp.train.plan import Schedule
from dlexp.train.stacks.bucket import Bucket
from dlexp.train.stacks.buckets import partition
from dlexp.train.stacks.gradients import Gradients
from dlexp.train.stacks.stack import Stack
from dlexp.train.stacks.step_graphs import CudaRecorder, StepGraphs, StepRecorder


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
        self.buckets = self._make_buckets(members, states, as_tensors=self._graphs is not None)
        self.members = [member for bucket in self.buckets for member in bucket.members]
        self._schedule: Schedule = members[0].schedule
        self._factor: float | Tensor = 1.0
        if self._graphs:
            self._factor = members[0].tensors.x_train.new_ones(())  # as precise as the weights

    @staticmethod
    def why_not(member: Member) -> str | None:
        """Return why a member cannot be stacked, in a few words, or None: everything stacked is on a list."""
        return why_not_stacked(member) or why_no_chain(member.network)

    @staticmethod
    def group_key(member: Member) -> Hashable:
        """Return what the members of one engine have in common: all but widths, seeds and rates."""
        layers = chain_of(member.network)
        assert layers is not None
        return (
            plan_key(member),
            tuple((layer.name, layer.linear.bias is None, repr(layer.activation)) for layer in layers),
        )

    def _make_buckets(
        self, members: Sequence[Member], states: Mapping[Member, OptimizerState], *, as_tensors: bool
    ) -> list[Bucket]:
        return [chain_bucket(alike, states, as_tensors=as_tensors) for alike in partition(members)]

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


def chain_bucket(
    members: Sequence[Member], states: Mapping[Member, OptimizerState], *, as_tensors: bool = False
) -> Bucket:
    """Return the bucket of members whose networks are chains."""
    stack = Stack([member.network for member in members])
    return Bucket(members, states, stack, Gradients(stack, members[0].loss), as_tensors=as_tensors)


def why_not_stacked(member: Member) -> str | None:
    """Return why no stack takes a member, whatever its network, in a few words; None if one may."""
    if type(member) not in (Member, Companion):
        return f"a {type(member).__name__} may train in a way of its own"
    if member.accumulate != 1 or member.clip is not None:
        return "its gradients are accumulated or clipped"
    if member.optimizer_settings.name not in (*GRADIENT_DESCENT, *ADAPTIVE):
        return f"optimizer._target_={member.optimizer_settings.target} is trained by torch alone"
    parameter = next(member.network.parameters(), None)
    if parameter is None or parameter.dtype not in (torch.float32, torch.float64):
        return "its weights are neither float32 nor float64"
    return None


def plan_key(member: Member) -> Hashable:
    """Return what members of one stack have in common beside their networks: all but seeds and rates."""
    settings, order, tensors = member.optimizer_settings, member.batches.order, member.tensors
    return (
        member.loss,
        settings.name,
        settings.nesterov,
        (member.schedule.name, member.schedule.period, member.schedule.rewind),
        (order.n, order.batch_size, order.is_full),
        tuple((t.shape, t.dtype) for t in vars(tensors).values()),
    )
