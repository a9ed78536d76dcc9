"""SGD, Adam and AdamW for all members of a stack at once, each member with settings of its own."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from dlexp.train.optimizers import ADAPTIVE, OptimizerSettings, OptimizerState, decay_for_factor
from dlexp.train.stacks.weights import Block, StackedWeights

EPSILON = 1e-8
"""Adam's, torch.optim's default."""

_Setting = float | Tensor
"""A number where it is the same for all members and layers, else a memory laid out like the stack's."""


class _Group(NamedTuple):
    """Members whose Adam moments decay alike and are as old: one call of torch's fused kernel."""

    betas: tuple[float, float]
    age: Tensor
    targets: list[Tensor]
    gradients: list[Tensor]
    first: list[Tensor]
    second: list[Tensor]


class StackOptimizer:
    """Takes the optimizer steps of a stack's members, elementwise on its memory.

    One operation updates all layers of all members: a setting that differs among them is laid out like the
    weights, for these stacks live on few operations, not on small memory. A
    member's own age (its number of steps) is among its settings, so that one may begin anew while the others
    go on. The updates are those of ``torch.optim.SGD``, ``Adam`` and ``AdamW``, equal to rounding.

    Args:
        stack: M members.
        settings: of each; ``name`` and ``nesterov`` are the same for all.
        factors: of each member's learning rate, by parameter name (1 where a name is missing).
        states: of each member, what its optimizer remembers; empty for a fresh one.
        as_tensors: whether all settings are to lie in tensors on the stack's device, as steps that are
            recorded there need them.

    Attributes:
        steps: taken since the members' ages were noted.
    """

    def __init__(
        self,
        stack: StackedWeights,
        settings: Sequence[OptimizerSettings],
        factors: Sequence[Mapping[str, float]],
        states: Sequence[OptimizerState],
        *,
        as_tensors: bool = False,
    ) -> None:
        self.stack, self.settings, self.factors = stack, list(settings), list(factors)
        self.is_adaptive = settings[0].name in ADAPTIVE
        self.as_tensors = as_tensors
        keys = ["exp_avg", "exp_avg_sq"] if self.is_adaptive else ["momentum_buffer"]
        has_moments = self.is_adaptive or any(s.momentum for s in settings)
        self.moments = {key: torch.zeros_like(stack.values) for key in keys if has_moments}
        self._directions: Tensor | None = None
        self._groups: list[_Group] = []
        self._ages = [self._take_over(position, state) for position, state in enumerate(states)]
        self.steps = 0
        self._arrange()

    def step(self, factor: _Setting = 1.0) -> None:
        """Take a step by the stack's gradients, which may be overwritten; ``factor`` is that of all rates."""
        self.steps += 1
        if self.is_adaptive:
            self._step_adaptive(factor)
        else:
            self._step_gradient_descent(factor)

    def age(self, position: int) -> int:
        """Return how many steps a member's optimizer has taken since it was fresh."""
        return self._ages[position] + self.steps

    def state(self, position: int) -> OptimizerState:
        """Return a copy of what a member's optimizer remembers, as ``torch.optim`` would hold it."""
        age = self.age(position)
        remembers = self.is_adaptive or self.settings[position].momentum
        if not age or not remembers:
            return {}
        parts = {key: self.stack.gather(position, memory) for key, memory in self.moments.items()}
        own: OptimizerState = {}
        for name in self.stack.blocks:
            own[name] = {key: part[name] for key, part in parts.items()}
            if self.is_adaptive:
                own[name]["step"] = torch.tensor(float(age))
        return own

    def forget(self, position: int) -> None:
        """Let one member's optimizer begin anew."""
        for memory in self.moments.values():
            for block in self.stack.blocks.values():
                block.of(memory)[position].zero_()
        self._ages = [age + self.steps for age in self._ages]
        self._ages[position] = self.steps = 0
        self._arrange()

    def tensors(self) -> list[Tensor]:
        """Return all that a step changes for good."""
        return [self.stack.values, *self.moments.values(), *(group.age for group in self._groups)]

    def _take_over(self, position: int, state: OptimizerState) -> int:
        """Write what a member's optimizer remembers into the moments; return its age."""
        age = 0
        for name, own in state.items():
            age = int(own.get("step", 1))  # torch's SGD counts no steps; it is no longer fresh
            for key in self.moments.keys() & own.keys():
                self.stack.blocks[name].of_member(self.moments[key], position).copy_(own[key])
        return age

    def _arrange(self) -> None:
        """Find what can be updated together, after settings or ages have changed."""
        blocks = list(self.stack.blocks.values())
        members = list(zip(self.settings, self.factors, strict=True))
        rates = [[s.lr * f.get(block.name, 1.0) for s, f in members] for block in blocks]
        decays = [[decay_for_factor(s, f.get(block.name, 1.0)) for s, f in members] for block in blocks]
        momenta = [[s.momentum for s in self.settings] for _ in blocks]
        self._rate, self._decay, self._momentum = map(self._setting, (rates, decays, momenta))
        self._shrinkage = self._rate * self._decay
        is_of_one_age = len({(s.betas, age) for s, age in zip(self.settings, self._ages, strict=True)}) == 1
        if self.is_adaptive:
            # One rate and one age for all: the fused kernel writes into the values itself.
            is_direct = is_of_one_age and not isinstance(self._rate, Tensor)
            self._directions = None if is_direct else torch.zeros_like(self.stack.values)
            self._groups = list(self._make_groups(is_of_one_age))

    def _setting(self, by_block: Sequence[Sequence[float]]) -> _Setting:
        """Return a setting, given by block and member."""
        distinct = {value for values in by_block for value in values}
        if distinct == {0.0} or (len(distinct) == 1 and not self.as_tensors):
            return distinct.pop()
        memory = torch.zeros_like(self.stack.values)
        for block, values in zip(self.stack.blocks.values(), by_block, strict=True):
            block.of(memory).view(len(self.stack), -1).copy_(memory.new_tensor(values)[:, None])
        return memory

    def _make_groups(self, is_whole: bool) -> Iterator[_Group]:
        """Yield the members of each pair of betas and age, neighbours together."""
        targets = self.stack.values if self._directions is None else self._directions
        memories = targets, self.stack.gradients, self.moments["exp_avg"], self.moments["exp_avg_sq"]
        alike = groupby(range(len(self.stack)), key=lambda i: (self.settings[i].betas, self._ages[i]))
        for (betas, age), positions in alike:
            own = list(positions)
            where = slice(own[0], own[-1] + 1)
            steps = torch.tensor(float(age), device=self.stack.values.device)
            if is_whole:
                yield _Group(betas, steps, *([memory] for memory in memories))
            else:
                yield _Group(betas, steps, *(self._slices(memory, where) for memory in memories))

    def _slices(self, memory: Tensor, where: slice) -> list[Tensor]:
        blocks: Sequence[Block] = list(self.stack.blocks.values())
        return [block.of(memory)[where] for block in blocks]

    def _step_gradient_descent(self, factor: _Setting) -> None:
        values, gradient = self.stack.values, self.stack.gradients
        _add(gradient, values, self._decay)
        if self.moments:
            buffer = self.moments["momentum_buffer"].mul_(self._momentum).add_(gradient)
            if self.settings[0].nesterov:
                _add(gradient, buffer, self._momentum)
            else:
                gradient = buffer
        _add(values, gradient, self._rate, -factor)

    def _step_adaptive(self, factor: _Setting) -> None:
        values, gradients = self.stack.values, self.stack.gradients
        if self.settings[0].name == "adamw":
            _add(values, values, self._shrinkage, -factor)
        else:
            _add(gradients, values, self._decay)
        if self._directions is not None:
            # With rate 1 from 0 the kernel leaves each weight's direction, to be scaled by its own rate.
            self._directions.zero_()
        for group in self._groups:
            group.age.add_(1)
            _fused_adam(group, self._rate * factor if self._directions is None else 1.0)
        if self._directions is not None:
            _add(values, self._directions, self._rate, factor)


def _fused_adam(group: _Group, rate: _Setting) -> None:
    """Update moments and targets by Adam without weight decay (Kingma & Ba 2015, algorithm 1)."""
    # What torch.optim.Adam(fused=True) calls; its own bookkeeping takes ten times the kernel's time here.
    torch._fused_adam_(
        group.targets,
        group.gradients,
        group.first,
        group.second,
        [],
        [group.age] * len(group.targets),
        lr=rate,
        beta1=group.betas[0],
        beta2=group.betas[1],
        weight_decay=0.0,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


def _add(target: Tensor, source: Tensor, setting: _Setting, factor: _Setting = 1.0) -> None:
    """Add ``factor * setting * source`` in place."""
    if not isinstance(setting, Tensor) and setting == 0:
        return
    if isinstance(factor, Tensor):
        setting, factor = setting * factor, 1.0
    if isinstance(setting, Tensor):
        target.addcmul_(source, setting, value=factor)
    else:
        target.add_(source, alpha=setting * factor)
