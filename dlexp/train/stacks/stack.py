"""Many small networks as one: their weights in zero-padded stacks, a forward pass of batched products."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlexp.measures.chain import ChainLayer, require_chain
from dlexp.models.activations import BY_MODULE, Activation

ALIGNMENT = 16
"""In a stack's memory every block begins at a multiple of so many numbers: products are faster there."""


@dataclass(frozen=True)
class Block:
    """One stacked parameter, a contiguous piece of the stack's memory.

    Attributes:
        name: of the parameter in each member.
        start: where in the memory.
        shape: (M, out, in) or transposed (M, in, out) of weights, (M, out) of biases, as wide as the widest.
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


@dataclass(frozen=True)
class StackedLayer:
    """One layer of M networks, ``phi(weight_scale * x W^T + bias_scale * b)``, padded to the widest.

    Attributes:
        weight, weight_gradient: (M, out, in), or (M, in, out) if ``is_transposed``.
        bias, bias_gradient: (M, out), or None.
        weight_scale, bias_scale: (M, 1, 1) and (M, 1), None where all are 1.
        activation: the module; None passes the layer's outputs on.
        known: its entry in the table of activations, if it has one.
        mask: (M, 1, out), 0 for units that a member does not have; None where these are 0 by themselves.
    """

    weight: Tensor
    weight_gradient: Tensor
    is_transposed: bool
    bias: Tensor | None
    bias_gradient: Tensor | None
    weight_scale: Tensor | None
    bias_scale: Tensor | None
    activation: nn.Module | None
    known: Activation | None
    mask: Tensor | None

    @property
    def width(self) -> int:
        """The number of outputs."""
        return self.weight.shape[2 if self.is_transposed else 1]

    def effective_weight(self) -> Tensor:
        """Return what inputs are multiplied by, ``weight_scale * W^T`` (M, in, out)."""
        weight = self.weight if self.weight_scale is None else self.weight_scale * self.weight
        return weight if self.is_transposed else weight.mT

    def affine(self, x: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
        """Return ``x weight + bias_scale * b``: x (M, B, in), weight (M, in, out) as it acts."""
        if self.bias is None:
            return torch.bmm(x, weight, out=out)
        bias = self.bias if self.bias_scale is None else self.bias_scale * self.bias
        return torch.baddbmm(bias.unsqueeze(1), x, weight, out=out)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (M, B, in) to (M, B, out)."""
        x = self.affine(x, self.effective_weight())
        if self.known is not None and self.known.apply_ is not None:
            x = self.known.apply_(x)
        elif self.activation is not None:
            x = self.activation(x)
        return x if self.mask is None else x * self.mask


class Stack:
    """Chains alike but for widths and multipliers, trained as one; each is a view into the stack.

    Layer l of M members is one block of M matrices, as wide as the widest member and zero outside each.
    Padded weights receive no gradient if the padded units are 0; where phi(0) != 0 a mask makes them so. They
    then stay 0 under SGD, Adam and weight decay, and every member computes what it would compute alone.

    All blocks lie one after the other in one memory, and gradients, moments and masks in memories of the same
    layout: what is elementwise (an optimizer's update) is one operation for all members and layers.

    On construction the members' parameters become views into the stack: a member is an ordinary network with
    the present weights at all times.

    Args:
        networks: chains (:func:`~dlexp.measures.chain.chain_of`) of the same number of layers, the same
            activations and biases in the same places, on one device.

    Attributes:
        layers: from the inputs to the outputs.
        blocks: by the name that the parameter has in each member.
        values, gradients: the memories (size,).
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        self.networks = list(networks)
        chains = [require_chain(network, "network") for network in networks]
        self.blocks = {block.name: block for block in _lay_out(chains)}
        last = list(self.blocks.values())[-1]
        self.values = chains[0][0].linear.weight.new_zeros(last.start + last.size)
        self.gradients = torch.zeros_like(self.values)
        with torch.no_grad():
            for name, block in self.blocks.items():
                for position, network in enumerate(networks):
                    own = network.get_parameter(name)
                    view = block.of_member(self.values, position)
                    view.copy_(own)
                    own.data = view
        self.layers = [self._layer(layers) for layers in zip(*chains, strict=True)]

    def __len__(self) -> int:
        return len(self.networks)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (M, B, input_dim), a batch for each member, to outputs (M, B, output_dim)."""
        for layer in self.layers:
            x = layer(x)
        return x

    def gather(self, position: int, memory: Tensor) -> dict[str, Tensor]:
        """Return copies of one member's parts of a memory, by parameter name."""
        return {name: block.of_member(memory, position).clone() for name, block in self.blocks.items()}

    def scatter(self, position: int, memory: Tensor, parts: Mapping[str, Tensor]) -> None:
        """Write one member's parts into a memory."""
        for name, part in parts.items():
            self.blocks[name].of_member(memory, position).copy_(part)

    def norms(self) -> Tensor:
        """Return the norm (M,) of each member's parameters; padding is 0 and adds nothing."""
        blocks = [block.of(self.values).flatten(1) for block in self.blocks.values()]
        norms = torch.stack([torch.linalg.vector_norm(block, dim=1) for block in blocks])
        norm: Tensor = torch.linalg.vector_norm(norms, dim=0)
        return norm

    def _layer(self, layers: Sequence[ChainLayer]) -> StackedLayer:
        first = layers[0]
        weight = self.blocks[_name(first, "weight")]
        bias = None if first.linear.bias is None else self.blocks[_name(first, "bias")]
        like = self.values
        return StackedLayer(
            weight=weight.of(self.values),
            weight_gradient=weight.of(self.gradients),
            is_transposed=weight.is_transposed,
            bias=None if bias is None else bias.of(self.values),
            bias_gradient=None if bias is None else bias.of(self.gradients),
            weight_scale=_column([layer.weight_scale for layer in layers], like, 3),
            bias_scale=_column([layer.bias_scale for layer in layers], like, 2),
            activation=first.activation,
            known=None if first.activation is None else BY_MODULE.get(type(first.activation)),
            mask=None if first.activation is None else _mask(layers, first.activation, like),
        )


def unstack(network: nn.Module) -> None:
    """Give a network weights of its own, the present ones, in place of views into a stack."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


def _name(layer: ChainLayer, kind: str) -> str:
    return f"{layer.name}.{kind}" if layer.name else kind


def _lay_out(chains: Sequence[tuple[ChainLayer, ...]]) -> Iterator[Block]:
    start = 0
    for layers in zip(*chains, strict=True):
        for kind in ("weight", "bias"):
            parameters = [getattr(layer.linear, kind) for layer in layers]
            if parameters[0] is None:
                continue
            shapes = tuple(tuple(p.shape) for p in parameters)
            widest = [max(sizes) for sizes in zip(*shapes, strict=True)]
            # The larger of its two sizes comes last: the products of a step are fastest along it.
            is_transposed = kind == "weight" and widest[0] > widest[1]
            shape = (len(chains), *(reversed(widest) if is_transposed else widest))
            block = Block(_name(layers[0], kind), start, shape, is_transposed, shapes)
            yield block
            start += -(-block.size // ALIGNMENT) * ALIGNMENT


def _column(scales: Sequence[float], like: Tensor, dimensions: int) -> Tensor | None:
    """Return the members' scales (M, 1, ...), None if all are 1."""
    if all(scale == 1 for scale in scales):
        return None
    column: Tensor = torch.tensor(scales, dtype=like.dtype, device=like.device)
    return column.view(-1, *[1] * (dimensions - 1))


def _mask(layers: Sequence[ChainLayer], activation: nn.Module, like: Tensor) -> Tensor | None:
    """Return what keeps padded units at 0, (M, 1, width), or None where they are 0 by themselves."""
    widths = [layer.linear.out_features for layer in layers]
    if min(widths) == max(widths) or activation(like.new_zeros(1)).item() == 0:
        return None
    units = torch.arange(max(widths)) < torch.tensor(widths)[:, None]
    return units[:, None, :].to(like)
