"""The loop: the definition of training. One member, any module, autograd and torch's optimizer."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import torch
from torch import Tensor, nn

from dlexp.train.member import Member
from dlexp.train.optimizers import (
    OptimizerState,
    clip_gradients,
    make_optimizer,
    set_state_by_name,
    state_by_name,
)


class Loop:
    """Takes one member's optimizer steps, one after the other.

    A step descends the mean gradient of the rows of its batches, clipped where the member asks for it, and
    sets what is masked to 0: for the optimizers used here, which treat each weight by itself, the other
    weights move as if the gradient had been masked.

    Attributes:
        backward, step_optimizer: what differentiates a loss and takes the optimizer's step; an ensemble
            whose members' callbacks want Lightning's hooks sets Lightning's own.
        last_loss: of the last batch, before its step.
    """

    def __init__(self, members: Sequence[Member], states: Mapping[Member, OptimizerState]) -> None:
        (self.member,) = self.members = list(members)
        self.optimizer = make_optimizer(self.member.network, self.member.optimizer_settings)
        parameters = dict(self.member.network.named_parameters())
        set_state_by_name(self.optimizer, parameters, states.get(self.member, {}))
        self._full_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.last_loss = torch.tensor(0.0)
        self.backward: Callable[[Tensor], None] = torch.Tensor.backward
        self.step_optimizer: Callable[[torch.optim.Optimizer], None] = self._clip_and_step

    @staticmethod
    def why_not(member: Member) -> str | None:
        """Return None: any member can be trained so."""
        return None

    @staticmethod
    def group_key(member: Member) -> Hashable:
        """Return the member itself: each has a loop of its own."""
        return id(member)

    def advance(self, start: int, stop: int) -> None:
        """Take the steps ``start`` to ``stop - 1``."""
        member, network = self.member, self.member.network
        network.train()
        with torch.enable_grad():
            for step in range(start, stop):
                self._set_rates(step)
                batches = member.batches[step]
                rows = sum(len(y) for _, y in batches)
                self.optimizer.zero_grad()
                for x, y in batches:
                    loss = member.loss(network(x), y)
                    self.backward(loss if len(batches) == 1 else loss * (len(y) / rows))
                self.last_loss = loss.detach()
                self.step_optimizer(self.optimizer)
                member.apply_masks()
        self._set_rates(stop)  # for who looks at them before the next step

    def evaluate(self, split: str) -> dict[str, Tensor]:
        """Return the member's metrics as tensors (1,)."""
        return {name: value.reshape(1) for name, value in self.member.evaluate(split).items()}

    @torch.no_grad()
    def norms(self) -> Tensor:
        """Return the norm of the member's trainable parameters (1,)."""
        parameters = [p for p in self.member.network.parameters() if p.requires_grad]
        norm: Tensor = nn.utils.get_total_norm(parameters)
        return norm.reshape(1)

    def state(self, member: Member) -> OptimizerState:
        """Return a copy of what the optimizer remembers."""
        return state_by_name(self.optimizer, dict(member.network.named_parameters()))

    def refresh(self, member: Member, *, forget: bool) -> None:
        """Begin anew if told to; the masks are the member's own."""
        if forget:
            self.optimizer.state.clear()

    def _set_rates(self, step: int) -> None:
        factor = self.member.schedule.factor(step)
        for group, rate in zip(self.optimizer.param_groups, self._full_rates, strict=True):
            group["lr"] = rate * factor

    def _clip_and_step(self, optimizer: torch.optim.Optimizer) -> None:
        clip_gradients(self.member.network, self.member.clip)
        optimizer.step()
