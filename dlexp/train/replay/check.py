"""Whether a stack trains foreign networks as they would train by themselves: asked first and meanwhile."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from dlexp.losses import Loss
from dlexp.seeding import GlobalRandomState
from dlexp.train.batches import Batch
from dlexp.train.member import Member
from dlexp.train.replay.program import Computation, Program
from dlexp.train.replay.record import Unstackable
from dlexp.train.replay.stack import ModuleStack
from dlexp.train.stacks.bucket import stacked_data

PERTURBATION = 0.1
"""By how much of their size weights are moved: where some are 0, a wrong rule may give the right gradient."""


class Programs:
    """A step for each size of a batch, and the outputs for each set, of networks alike.

    Args:
        networks: copies of M networks, whose attributes may be changed.
        loss: of each.
        data: by ``train`` and ``test``, stacked (M, n, ...).
        sizes: of the batches.
    """

    def __init__(
        self, networks: Sequence[nn.Module], loss: Loss, data: Mapping[str, Batch], sizes: Sequence[int]
    ) -> None:
        self.steps: dict[int, Program] = {}
        for size in sizes:
            batch = [tensor[:, :size] for tensor in data["train"]]
            self.steps[size] = Program(Computation(loss, True), networks, batch, of_all=not self.steps)
        self.outputs: dict[int, Program] = {}
        for x, _ in data.values():
            # As many rows at once as in a step: no more memory is needed than there.
            at_once = _divisor(len(networks), at_most=len(networks) * max(sizes) // x.shape[1])
            self.outputs[x.shape[1]] = Program(
                Computation(loss, False), networks, [x], of_all=False, at_once=at_once
            )

    def require_equal(self, networks: Sequence[nn.Module], data: Mapping[str, Batch]) -> None:
        """Raise :class:`Unstackable` unless all numbers are those of the networks by themselves."""
        for size, step in self.steps.items():
            for rows in (slice(0, size), slice(-size, None)):
                _require_none(step.differences(networks, [tensor[:, rows] for tensor in data["train"]]))
        for x, _ in data.values():
            _require_none(self.outputs[x.shape[1]].differences(networks, [x]))

    def functions(self) -> list[list[object]]:
        """Return the functions that are called in each."""
        programs = [*self.steps.values(), *self.outputs.values()]
        return [[call.function for call in program.recording.calls] for program in programs]


class Audit:
    """Compares members with their stack while they train, in float64, where rounding hides nothing.

    Args:
        programs: of networks in float64, known to make the calls that the stack makes.
    """

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def differences(self, members: Sequence[Member], batch: Batch) -> dict[Member, str]:
        """Return the members whose loss or gradient of a batch is another in the stack, and by how much."""
        step = self._programs.steps[batch[0].shape[1]]
        try:
            with GlobalRandomState(0).active():
                networks = [copy.deepcopy(member.network).double() for member in members]
                found = step.differences(networks, _doubled(batch), must_be_finite=False)
        except Exception as error:  # whatever a foreign network raises
            return dict.fromkeys(members, f"it raises {error!r}")
        return {members[position]: text for position, text in found.items()}


def checked_stack(members: Sequence[Member]) -> tuple[ModuleStack, Audit]:
    """Return a stack of members' networks that trains them as they would train by themselves.

    All that is asked before is asked of copies; the members' networks become views into the stack at the end.

    Raises:
        Unstackable: if they would not, or if it cannot be known.
    """
    loss, data, order = members[0].loss, stacked_data(members), members[0].batches.order
    sizes = sorted({order.batch_size, order.n % order.batch_size} - {0}, reverse=True)
    with GlobalRandomState(0).active():
        networks = [copy.deepcopy(member.network) for member in members]
        programs = Programs(networks, loss, data, sizes)
        programs.require_equal(networks, data)
        precise = [_perturbed(network.double()) for network in networks]
        precise_data = {split: _doubled(batch) for split, batch in data.items()}
        audited = Programs(precise, loss, precise_data, sizes)
        if audited.functions() != programs.functions():
            raise Unstackable("a step makes other calls in float64")
        audited.require_equal(precise, precise_data)
    has_gradient = [value is not None for value in programs.steps[sizes[0]].recording.outputs[1:]]
    if not any(has_gradient):
        raise Unstackable("its loss depends on none of its parameters")
    for step in programs.steps.values():
        if [value is not None for value in step.recording.outputs[1:]] != has_gradient:
            raise Unstackable("which parameters have a gradient depends on the size of a batch")
    stack = ModuleStack([m.network for m in members], programs.steps, programs.outputs, has_gradient)
    return stack, Audit(audited)


@torch.no_grad()
def _perturbed(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        size = parameter.square().mean().sqrt().clamp(min=PERTURBATION)
        noise = torch.randn(parameter.shape, dtype=parameter.dtype, generator=generator)
        parameter.add_(PERTURBATION * size * noise.to(parameter.device))
    return network


def _doubled(batch: Batch) -> Batch:
    x, y = (tensor.double() if tensor.is_floating_point() else tensor for tensor in batch)
    return x, y


def _divisor(number: int, at_most: int) -> int:
    return max(d for d in range(1, number + 1) if number % d == 0 and d <= max(1, at_most))


def _require_none(differences: Mapping[int, str]) -> None:
    for text in differences.values():
        raise Unstackable(text)
