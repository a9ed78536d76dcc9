"""The weights of many networks in one memory, layer after layer, each network's own a view into it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ALIGNMENT = 16
"""In a stack's memory every block begins at a multiple of so many numbers: products are faster there."""


@dataclass(frozen=True)
class Block:
    """One stacked parameter, a contiguous piece of the stack's memory.

    Attributes:
        name: of the parameter in each member.
        start: where in the memory.
        shape: (M, ...), as wide as the widest: (M, out, in) or transposed (M, in, out) of a layer's weights.
        is_transposed: whether the matrices lie transposed.
        shapes: of each member's own parameter.
    """

    name: str
    start: int
    shape: tuple[int, ...]
    is_transposed: bool
    shapes: tuple[tuple[int, ...], ...]

    @property
    def size(self) -> int:
        """How many numbers it holds, padding included."""
        return torch.Size(self.shape).numel()

    def of(self, memory: Tensor) -> Tensor:
        """Return this block of a memory laid out like the stack's, as a view in its shape."""
        return memory[self.start : self.start + self.size].view(self.shape)

    def of_member(self, memory: Tensor, position: int) -> Tensor:
        """Return one member's part, without padding, as a view in the shape of its parameter."""
        padded = self.of(memory)[position]
        padded = padded.mT if self.is_transposed else padded
        return padded[tuple(slice(size) for size in self.shapes[position])]


def laid_out(parameters: Iterable[tuple[str, Sequence[Tensor]]], *, transpose: bool) -> Iterator[Block]:
    """Yield blocks one after the other in a memory.

    Args:
        parameters: the name and each member's own parameter, of as many dimensions in all.
        transpose: whether matrices lie with the larger of their sizes last: the products of a step are
            fastest along it.
    """
    start = 0
    for name, own in parameters:
        shapes = tuple(tuple(parameter.shape) for parameter in own)
        widest = [max(sizes) for sizes in zip(*shapes, strict=True)]
        is_transposed = transpose and len(widest) == 2 and widest[0] > widest[1]
        shape = (len(own), *(reversed(widest) if is_transposed else widest))
        block = Block(name, start, shape, is_transposed, shapes)
        yield block
        start += -(-block.size // ALIGNMENT) * ALIGNMENT


class StackedWeights(ABC):
    """Networks whose parameters lie in stacks, a block for each.

    All blocks lie one after the other in one memory, and gradients, moments and masks in memories of the same
    layout: what is elementwise (an optimizer's update) is one operation for all members and layers.

    On construction the members' parameters become views into the stack: a member is an ordinary network with
    the present weights at all times.

    Args:
        networks: M of them, on one device.
        blocks: for the parameters that are trained, in the order in which they lie.

    Attributes:
        blocks: by the name that the parameter has in each member.
        values, gradients: the memories (size,).
    """

    def __init__(self, networks: Sequence[nn.Module], blocks: Iterable[Block]) -> None:
        self.networks = list(networks)
        self.blocks = {block.name: block for block in blocks}
        last = list(self.blocks.values())[-1]
        self.values = networks[0].get_parameter(last.name).new_zeros(last.start + last.size)
        self.gradients = torch.zeros_like(self.values)
        with torch.no_grad():
            for name, block in self.blocks.items():
                for position, network in enumerate(networks):
                    own = network.get_parameter(name)
                    view = block.of_member(self.values, position)
                    view.copy_(own)
                    own.data = view

    def __len__(self) -> int:
        return len(self.networks)

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Map a batch for each member (M, B, ...) to the networks' outputs (M, B, ...)."""

    def gather(self, position: int, memory: Tensor) -> dict[str, Tensor]:
        """Return copies of one member's parts of a memory, by parameter name."""
        return {name: block.of_member(memory, position).clone() for name, block in self.blocks.items()}

    def scatter(self, position: int, memory: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Write one member's parts into a memory."""
        for name, part in parts.items():
            self.blocks[name].of_member(memory, position).copy_(part)

    def norms(self) -> Tensor:
        """Return the norm (M,) of each member's parameters; padding is 0 and adds nothing."""
        blocks = [block.of(self.values).view(len(self), -1) for block in self.blocks.values()]
        norms = torch.stack([torch.linalg.vector_norm(block, dim=1) for block in blocks])
        norm: Tensor = torch.linalg.vector_norm(norms, dim=0)
        return norm


def unstack(network: nn.Module) -> None:
    """Give a network weights of its own, the present ones, in place of views into a stack."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)
