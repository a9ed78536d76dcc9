"""Many small networks as one: their weights in zero-padded stacks, a forward pass of batched products."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor, nn

from dlexp.models.layers import ScaledLinear


@dataclass(frozen=True)
class StackedLayer:
    """One layer of M networks, ``phi(weight_scale * x W^T + bias_scale * b)``, padded to the widest.

    Attributes:
        weight: (M, out, in), or (M, in, out) if ``is_transposed``.
        bias: (M, out).
        weight_scale, bias_scale: (M, 1, 1) and (M, 1), None where all are 1.
        activation: None for the last layer.
        mask: (M, 1, out), 0 for units that a member does not have; None where these are 0 by themselves.
    """

    weight: nn.Parameter
    is_transposed: bool
    bias: nn.Parameter | None
    weight_scale: Tensor | None
    bias_scale: Tensor | None
    activation: nn.Module | None
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
        x = x if self.activation is None else self.activation(x)
        return x if self.mask is None else x * self.mask


class Stack:
    """Networks of the same depth and activation, trained as one; each is a view into the stack.

    Layer l of M members is one weight of M matrices, as wide as the widest member and zero outside each.
    Padded weights receive no gradient if the padded units are 0; where phi(0) != 0 a mask makes them so. They
    then stay 0 under SGD, Adam and weight decay, and every member computes what it would compute alone.

    On construction the members' parameters become views into the stack: a member is an ordinary network with
    the present weights at all times.

    Args:
        members: chains of :class:`ScaledLinear` and activations (:func:`is_stackable`), alike but for widths
            and multipliers, on one device.

    Attributes:
        layers: from the inputs to the outputs.
        parameters: by the name that the parameter has in each member, stacked (M, ...). The matrices of some
            layers lie transposed in them; :meth:`view_of_member` knows which.
    """

    def __init__(self, members: Sequence[nn.Sequential]) -> None:
        self.members = list(members)
        activations = [module for module in members[0] if not isinstance(module, ScaledLinear)]
        # Nobody needs what a ReLU was given: one copy less of the largest tensors.
        activations = [nn.ReLU(inplace=True) if type(m) is nn.ReLU else m for m in activations]
        names = [name for name, module in members[0].named_children() if isinstance(module, ScaledLinear)]
        pairs = zip_longest(names, activations)
        self._by_name = {
            name: _stacked([_layer(member, name) for member in members], activation)
            for name, activation in pairs
        }
        self.layers = list(self._by_name.values())
        self.parameters: dict[str, nn.Parameter] = {}
        for name, layer in self._by_name.items():
            self.parameters[f"{name}.weight"] = layer.weight
            if layer.bias is not None:
                self.parameters[f"{name}.bias"] = layer.bias
        for position, member in enumerate(members):
            for parameter_name, own in member.named_parameters():
                whole = self.parameters[parameter_name].data
                own.data = self.view_of_member(position, parameter_name, whole[position])

    def __len__(self) -> int:
        return len(self.members)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (M, B, input_dim), a batch for each member, to outputs (M, B, output_dim)."""
        for layer in self.layers:
            x = layer(x)
        return x

    def view_of_member(self, position: int, name: str, padded: Tensor) -> Tensor:
        """Return the part without padding, as a view in the shape of the member's parameter ``name``.

        Args:
            position: of the member.
            name: of its parameter.
            padded: its part of the stacked parameter, or of what goes with that (a gradient, a moment).
        """
        layer_name, _, kind = name.rpartition(".")
        padded = padded.mT if kind == "weight" and self._by_name[layer_name].is_transposed else padded
        shape = self.members[position].get_parameter(name).shape
        return padded[tuple(slice(size) for size in shape)]


def unstack(network: nn.Module) -> None:
    """Give a network weights of its own, the present ones, in place of views into a stack."""
    for parameter in network.parameters():
        parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)


def is_stackable(network: nn.Module) -> bool:
    """Whether a network is a chain of :class:`ScaledLinear` with an activation after each but the last.

    The activations must be stateless and elementwise; those of the MLP family are.
    """
    if not isinstance(network, nn.Sequential) or type(network).forward is not nn.Sequential.forward:
        return False
    modules = list(network)
    return (
        len(modules) % 2 == 1
        and all(type(module) is ScaledLinear for module in modules[::2])
        and not any(list(module.parameters()) + list(module.buffers()) for module in modules[1::2])
        and all(parameter.requires_grad for parameter in network.parameters())
    )


def _layer(network: nn.Sequential, name: str) -> ScaledLinear:
    layer = network.get_submodule(name)
    assert isinstance(layer, ScaledLinear)
    return layer


def _stacked(layers: Sequence[ScaledLinear], activation: nn.Module | None) -> StackedLayer:
    weights = [layer.weight for layer in layers]
    like = weights[0]
    # The larger of its two sizes comes last: the products of a step are fastest along it.
    is_transposed = max(w.shape[0] for w in weights) > max(w.shape[1] for w in weights)
    return StackedLayer(
        weight=_pad([w.mT for w in weights] if is_transposed else weights),
        is_transposed=is_transposed,
        bias=None if layers[0].bias is None else _pad([layer.bias for layer in layers]),
        weight_scale=_scale_tensor([layer.weight_scale for layer in layers], like.new_ones(1, 1, 1)),
        bias_scale=_scale_tensor([layer.bias_scale for layer in layers], like.new_ones(1, 1)),
        activation=activation,
        mask=None if activation is None else _mask(layers, activation, like),
    )


def _pad(parameters: Sequence[Tensor]) -> nn.Parameter:
    shape = [max(sizes) for sizes in zip(*(p.shape for p in parameters), strict=True)]
    stacked = parameters[0].new_zeros(len(parameters), *shape)
    for position, parameter in enumerate(parameters):
        stacked[position][tuple(slice(size) for size in parameter.shape)] = parameter.detach()
    return nn.Parameter(stacked)


def _scale_tensor(scales: Sequence[float], one: Tensor) -> Tensor | None:
    """Return the members' scales along the first dimension of a tensor like ``one``, None if all are 1."""
    return None if all(scale == 1 for scale in scales) else torch.stack([one[0] * scale for scale in scales])


def _mask(layers: Sequence[ScaledLinear], activation: nn.Module, like: Tensor) -> Tensor | None:
    """Return what keeps padded units at 0, (M, 1, width), or None where they are 0 by themselves."""
    widths = [layer.out_features for layer in layers]
    if min(widths) == max(widths) or activation(like.new_zeros(())).item() == 0:
        return None
    units = torch.arange(max(widths)) < torch.tensor(widths)[:, None]
    return units[:, None, :].to(like)
