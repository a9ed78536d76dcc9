"""Many small networks as one: their weights in zero-padded stacks, a forward pass of batched products."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlexp.measures.chain import ChainLayer, require_chain
from dlexp.models.activations import BY_MODULE, Activation
from dlexp.train.stacks.weights import StackedWeights, laid_out


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


class Stack(StackedWeights):
    """Chains alike but for widths and multipliers, trained as one; each is a view into the stack.

    Layer l of M members is one block of M matrices, as wide as the widest member and zero outside each.
    Padded weights receive no gradient if the padded units are 0; where phi(0) != 0 a mask makes them so. They
    then stay 0 under SGD, Adam and weight decay, and every member computes what it would compute alone.

    Args:
        networks: chains (:func:`~dlexp.measures.chain.chain_of`) of the same number of layers, the same
            activations and biases in the same places, on one device.

    Attributes:
        layers: from the inputs to the outputs.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        chains = [require_chain(network, "network") for network in networks]
        super().__init__(networks, laid_out(_parameters(chains), transpose=True))
        self.layers = [self._layer(layers) for layers in zip(*chains, strict=True)]

    def __call__(self, x: Tensor) -> Tensor:
        """Map (M, B, input_dim), a batch for each member, to outputs (M, B, output_dim)."""
        for layer in self.layers:
            x = layer(x)
        return x

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


def _name(layer: ChainLayer, kind: str) -> str:
    return f"{layer.name}.{kind}" if layer.name else kind


def _parameters(chains: Sequence[tuple[ChainLayer, ...]]) -> Iterator[tuple[str, list[nn.Parameter]]]:
    """Yield each parameter's name and what it is in every chain."""
    for layers in zip(*chains, strict=True):
        for kind in ("weight", "bias"):
            own = [getattr(layer.linear, kind) for layer in layers]
            if own[0] is not None:
                yield _name(layers[0], kind), own


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
