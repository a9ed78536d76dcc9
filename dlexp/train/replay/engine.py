"""The engine that trains networks of any kind as a stack: the lone step recorded, batched and replayed."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from dlexp.train.member import Member
from dlexp.train.optimizers import OptimizerState
from dlexp.train.replay.check import checked_stack
from dlexp.train.replay.record import Unstackable
from dlexp.train.stacks.bucket import Bucket
from dlexp.train.stacks.check import compare_steps
from dlexp.train.stacks.engine import Stacks, plan_key, why_not_stacked

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_PLAIN = (bool, int, float, str)


class Replay(Stacks):
    """Trains members whose networks are alike, of any kind whose step is always the same calls.

    One member's loss and its gradients are computed once, and every call that reaches torch's kernels is
    recorded, those of autograd's backward pass included. Each call is then batched over the members, and what
    comes of it is replayed in every step, without autograd. So whatever a module does is done, whichever way
    it is written; and whether it is the same for all members, at all times, can be asked of the list of
    calls.

    Raises:
        Unstackable: for members of which it cannot be shown that they train as they would by themselves.
    """

    def _make_buckets(
        self, members: Sequence[Member], states: Mapping[Member, OptimizerState], *, as_tensors: bool
    ) -> list[Bucket]:
        self._stack, self._audit = checked_stack(members)
        bucket = Bucket(members, states, self._stack, self._stack.set_gradients, as_tensors=as_tensors)
        bucket.gradients(*bucket.batch(0))
        for text in compare_steps(bucket, self._stack.gradients.clone()).values():
            raise Unstackable(text)
        return [bucket]

    @staticmethod
    def why_not(member: Member) -> str | None:
        """Return why a member is not replayed, as far as can be told without trying, or None."""
        network = member.network
        if torch_module._has_any_global_hook():
            return "torch has a hook on all modules"
        for name, module in network.named_modules():
            if any(getattr(module, hooks) for hooks in _HOOKS):
                return f"module {name!r} has a hook"
            if isinstance(module, torch.jit.ScriptModule):
                return f"module {name!r} is TorchScript, which may keep anything"
        kind = next((p.dtype for p in network.parameters() if p.requires_grad), None)
        for name, parameter in network.named_parameters():
            if type(parameter) is not nn.Parameter or parameter.layout is not torch.strided:
                return f"parameter {name!r} is no plain tensor"
            if parameter.requires_grad and parameter.dtype is not kind:
                return "its weights are of several types"
            if parameter._backward_hooks or parameter._post_accumulate_grad_hooks:
                return f"parameter {name!r} has a hook"
        if kind is None:
            return "it has no weights to train"
        return why_not_stacked(member)

    @staticmethod
    def group_key(member: Member) -> Hashable:
        """Return what the members of one engine have in common: all but weights, data, seeds and rates."""
        network = member.network
        first: dict[int, str] = {}
        tensors = [
            (name, first.setdefault(id(t), name), tuple(t.shape), t.dtype, t.requires_grad)
            for own in (network.named_parameters, network.named_buffers)
            for name, t in own(remove_duplicate=False)
        ]
        modules = [
            # By name: parametrisations make a class for each module that they change.
            (name, str(type(module)), tuple((k, v) for k, v in vars(module).items() if type(v) in _PLAIN))
            for name, module in network.named_modules()
        ]
        return plan_key(member), tuple(tensors), tuple(modules)

    def advance(self, start: int, stop: int) -> None:
        """Take the steps ``start`` to ``stop - 1``; no number leaves the device."""
        for member in self.members:
            member.network.train()
        self._stack.refresh()
        super().advance(start, stop)

    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return every member's metrics over a set, (M,) by name."""
        self._stack.refresh()
        return super().evaluate(split)

    def differences(self, step: int) -> dict[Member, str]:
        """Return the members that are no longer trained as by themselves, and in what it shows."""
        (bucket,) = self.buckets
        return self._audit.differences(self.members, bucket.batch(max(step - 1, 0)))
