"""A computation of one network, recorded, found to be the same for all members, and done for all at once."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from dlexp.losses import Loss
from dlexp.train.network import evaluation_mode
from dlexp.train.replay.batching import Replayed, batched
from dlexp.train.replay.record import Recorder, Recording, Unstackable
from dlexp.train.replay.watch import unchanged


class Computation(NamedTuple):
    """A step's loss and gradients, or the outputs in evaluation mode, of a network by itself."""

    loss: Loss
    is_step: bool

    def __call__(self, network: nn.Module, *data: Tensor) -> list[Tensor | None]:
        """Return ``[loss, *gradients]`` of a batch ``(x, y)``, None where there is none; else ``[outputs]``."""
        if not self.is_step:
            with torch.no_grad(), evaluation_mode(network):
                return [network(*data)]
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
    with Recorder([*tensors_of(network), *data]) as recorder:
        outputs = computation(network, *data)
    return recorder.end(outputs)


def _require_no_values(
    computation: Computation, network: nn.Module, data: Sequence[Tensor], expected: Recording
) -> None:
    """Do a computation on tensors without values, where asking for one raises; it must make the same calls."""
    mode = FakeTensorMode()
    with FakeCopyMode(mode):
        fake = copy.deepcopy(network)
    with mode:
        recording = _recorded(computation, fake, [mode.from_tensor(tensor) for tensor in data])
    if not recording.does_as(expected, of_constants=False):
        raise Unstackable("the calls of a step depend on values")


def replay(
    computation: Computation, networks: Sequence[nn.Module], data: Sequence[Tensor]
) -> Replayed:
    """Return what does a computation for all networks at once: of their stacked tensors and the data."""
    return batched(record(computation, networks, data), [*stacked(networks), *data])
