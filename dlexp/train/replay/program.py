"""A computation of one network, recorded, found to be the same for all members, and done for all at once."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from dlexp.losses import Loss
from dlexp.train.network import evaluation_mode
from dlexp.train.replay.batching import batched
from dlexp.train.replay.record import Recorder, Recording, Unstackable
from dlexp.train.replay.watch import unchanged

TOLERANCES = {torch.float32: (5e-2, 1.0), torch.float64: (1e-10, 1e-2)}
"""By which part of a tensor's largest number another may differ, and which part of a network's largest
gradient counts as a tensor's: a bias before a normalisation has none.

In float32 a unit at the kink of a ReLU may fall on its other side, which changes gradients by a row's share.
"""

TINY = 1e-6
"""Numbers below this are compared as if they were as large: losses are differences of larger ones."""


class Computation(NamedTuple):
    """A step's loss and gradients, or the outputs in evaluation mode, of a network by itself."""

    loss: Loss
    is_step: bool

    def __call__(self, network: nn.Module, *data: Tensor) -> list[Tensor | None]:
        """Return ``[loss, *gradients]`` of a batch, None for no gradient; or ``[outputs]``."""
        if not self.is_step:
            with torch.no_grad(), evaluation_mode(network):
                outputs: Tensor = network(*data)
                return [outputs.detach()]  # which may have a graph of its own
        network.train()
        with torch.enable_grad():
            x, y = data
            value = self.loss(network(x), y)
            gradients = torch.autograd.grad(value, list(trained(network).values()), allow_unused=True)
        return [value.detach(), *gradients]


def trained(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's trainable parameters by name."""
    return {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}


def untrained(network: nn.Module) -> dict[str, Tensor]:
    """Return by name what else a network computes with: frozen parameters and buffers."""
    frozen = {name: p for name, p in network.named_parameters() if not p.requires_grad}
    return {**frozen, **dict(network.named_buffers())}


def tensors_of(network: nn.Module) -> list[Tensor]:
    """Return all that a network computes with, in the order of a recording's inputs."""
    return [*trained(network).values(), *untrained(network).values()]


@torch.no_grad()
def stacked(networks: Sequence[nn.Module]) -> list[Tensor]:
    """Return copies of what networks compute with, each stacked (M, ...)."""
    return [torch.stack(list(alike)) for alike in zip(*map(tensors_of, networks), strict=True)]


def record(computation: Computation, networks: Sequence[nn.Module], data: Sequence[Tensor]) -> Recording:
    """Return the calls of a computation, the same for all networks.

    Args:
        computation: of one network.
        networks: copies, whose own attributes it may change.
        data: its arguments, stacked (M, ...).

    Raises:
        Unstackable: if it does anything that doing its calls again does not do.
    """
    first: Recording | None = None
    for position, network in enumerate(networks):
        own = [tensor[position] for tensor in data]
        computation(network, *own)  # fills what is cached
        for _ in range(1 if first else 2):
            with unchanged(network, computation.loss, [*tensors_of(network), *own]):
                recording = _recorded(computation, network, own)
            first = first or recording
            if not recording.does_as(first):
                raise Unstackable("its steps are not always the same")
    assert first is not None
    if any(value.number < first.inputs or value in first.constants for value in first.written()):
        raise Unstackable("a step writes to its parameters, buffers or inputs")
    _require_no_values(computation, networks[0], [tensor[0] for tensor in data], first)
    return first


def _recorded(computation: Computation, network: nn.Module, data: Sequence[Tensor]) -> Recording:
    is_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one kernel, in evaluation mode, that no vmap knows
    try:
        with Recorder([*tensors_of(network), *data]) as recorder:
            outputs = computation(network, *data)
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fast)
    recording: Recording = recorder.end(outputs)
    return recording


def _require_no_values(
    computation: Computation, network: nn.Module, data: Sequence[Tensor], expected: Recording
) -> None:
    """Do a computation on tensors without values, where asking for one raises: the calls must be the same."""
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        fake = copy.deepcopy(network)
    with mode:
        recording = _recorded(computation, fake, [mode.from_tensor(tensor) for tensor in data])
    if not recording.does_as(expected, of_constants=False):
        raise Unstackable("the calls of a step depend on values")


class Program:
    """What does a computation for M networks at once.

    Args:
        computation: of one network.
        networks: copies of all, whose attributes it may change; alike.
        data: examples of its arguments, stacked (M, ...).
        of_all: whether every network is recorded, or one: what a second program does after a first was.
        at_once: a divisor of M: so many are computed at a time, for the sake of memory.
    """

    def __init__(
        self,
        computation: Computation,
        networks: Sequence[nn.Module],
        data: Sequence[Tensor],
        *,
        of_all: bool = True,
        at_once: int | None = None,
    ) -> None:
        self.computation, self.at_once = computation, at_once or len(networks)
        self.recording = record(computation, networks if of_all else networks[:1], data)
        examples = [*stacked(networks), *data]
        self._replayed = batched(self.recording, [tensor[: self.at_once] for tensor in examples])

    def __call__(self, tensors: Sequence[Tensor], data: Sequence[Tensor]) -> list[Tensor | None]:
        """Return what the computation gives for each network (M, ...), of all networks' tensors and data."""
        given = [*tensors, *data]
        if len(given[0]) == self.at_once:
            return self._replayed(*given)
        parts = [self._replayed(*part) for part in zip(*(t.split(self.at_once) for t in given), strict=True)]
        return [None if own[0] is None else torch.cat(own) for own in zip(*parts, strict=True)]

    def differences(
        self, networks: Sequence[nn.Module], data: Sequence[Tensor], *, must_be_finite: bool = True
    ) -> dict[int, str]:
        """Return which networks' numbers are not those of the network by itself, by position.

        Numbers may differ by what ``TOLERANCES`` say of their type. What is not finite shows nothing: it
        counts as a difference, unless a network may diverge.
        """
        together = self(stacked(networks), data)
        found: dict[int, str] = {}
        for position, network in enumerate(networks):
            alone = self.computation(network, *(tensor[position] for tensor in data))
            if not _are_finite(alone):
                if must_be_finite or _are_finite([None if t is None else t[position] for t in together]):
                    found[position] = "its numbers are not finite"
                continue
            result = alone[0]
            assert result is not None  # a loss or outputs: only gradients may be missing
            tolerance, floor = TOLERANCES[result.dtype]
            first, *others = (0.0 if own is None else float(own.abs().max()) for own in alone)
            scales = [first, *(max(size, floor * max(others)) for size in others)]
            for one, own, scale in zip(together, alone, scales, strict=True):
                if one is None or own is None:
                    if one is not own:
                        found[position] = "a parameter does not always have a gradient"
                elif not (one[position] - own).abs().max() <= tolerance * (scale + TINY):
                    distance = float((one[position] - own).abs().max())
                    found[position] = f"a number differs by {distance:.3g} of {scale:.3g}"
        return found


def _are_finite(tensors: Sequence[Tensor | None]) -> bool:
    return all(tensor is None or bool(tensor.isfinite().all()) for tensor in tensors)
