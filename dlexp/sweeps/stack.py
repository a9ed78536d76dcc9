"""Many small networks as one: their weights in zero-padded stacks, a forward pass of batched products."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from dlexp.models.layers import ScaledLinear


class Stack(nn.Module):
    """Networks of the same depth and activation, trained as one; each is a view into the stack.

    Layer l of M members is one weight (M, out_l, in_l), as wide as the widest member and zero outside each.
    Padded weights receive no gradient if the padded units are 0; where phi(0) != 0 a mask makes them so. They
    then stay 0 under SGD, Adam and weight decay, and every member computes what it would compute alone.

    On construction the members' parameters become views into the stack: a member is an ordinary network with
    the present weights at all times.

    Args:
        members: chains of :class:`ScaledLinear` and activations (:func:`is_stackable`), alike but for widths
            and multipliers.
    """

    def __init__(self, members: Sequence[nn.Sequential]) -> None:
        super().__init__()
        self.members = list(members)  # a plain list: their parameters are the stack's, not further ones
        chains = [_linear_layers(member) for member in members]
        self.activations = nn.ModuleList(
            module for module in members[0] if not isinstance(module, ScaledLinear)
        )
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self._scales: list[tuple[list[float], list[float]]] = []
        self._widths: list[list[int]] = []
        self._bias_index: list[int | None] = []
        for layers in zip(*chains, strict=True):
            self.weights.append(_stack_parameters([layer.weight for layer in layers]))
            self._bias_index.append(None if layers[0].bias is None else len(self.biases))
            if layers[0].bias is not None:
                self.biases.append(_stack_parameters([layer.bias for layer in layers]))
            self._scales.append(
                ([layer.weight_scale for layer in layers], [layer.bias_scale for layer in layers])
            )
            self._widths.append([layer.out_features for layer in layers])
        self.adopt()

    def __len__(self) -> int:
        return len(self.members)

    def forward(self, x: Tensor) -> Tensor:
        """Map (M, B, input_dim), a batch for each member, to outputs (M, B, output_dim)."""
        last = len(self.weights) - 1
        for index, weight in enumerate(self.weights):
            weight_scale, bias_scale, mask = self._constants[index]
            scaled = weight if weight_scale is None else weight_scale[:, None, None] * weight
            position = self._bias_index[index]
            if position is not None:
                bias = self.biases[position]
                bias = bias if bias_scale is None else bias_scale[:, None] * bias
                x = torch.baddbmm(bias.unsqueeze(1), x, scaled.mT)
            else:
                x = torch.bmm(x, scaled.mT)
            if index < last:
                x = self.activations[index](x)
                x = x if mask is None else x * mask
        return x

    def parameter_of(self, name: str) -> nn.Parameter:
        """Return the stacked parameter (M, ...) that holds a member's parameter ``name``."""
        layer_name, _, kind = name.rpartition(".")
        names = [n for n, m in self.members[0].named_children() if isinstance(m, ScaledLinear)]
        index = names.index(layer_name)
        if kind == "weight":
            return cast(nn.Parameter, self.weights[index])
        position = self._bias_index[index]
        assert position is not None
        return cast(nn.Parameter, self.biases[position])

    def adopt(self) -> None:
        """Make the members views into the stack and the constants tensors, wherever the stack now is."""
        for position, member in enumerate(self.members):
            biases = iter(self.biases)
            for layer, weight in zip(_linear_layers(member), self.weights, strict=True):
                layer.weight.data = weight.data[position, : layer.out_features, : layer.in_features]
                if layer.bias is not None:
                    layer.bias.data = next(biases).data[position, : layer.out_features]
        like = self.weights[0]
        self._constants = [
            (_scale_tensor(weight_scales, like), _scale_tensor(bias_scales, like), self._mask(index))
            for index, (weight_scales, bias_scales) in enumerate(self._scales)
        ]

    def _mask(self, index: int) -> Tensor | None:
        """Return what keeps padded units at 0, (M, 1, width), or None where they are 0 by themselves."""
        widths, like = self._widths[index], self.weights[0]
        if index == len(self.activations) or min(widths) == max(widths):
            return None
        if self.activations[index](like.new_zeros(())).item() == 0:
            return None
        units = torch.arange(max(widths)) < torch.tensor(widths)[:, None]
        return units[:, None, :].to(like)


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


def _linear_layers(network: nn.Sequential) -> list[ScaledLinear]:
    return [module for module in network if isinstance(module, ScaledLinear)]


def _stack_parameters(parameters: Sequence[Tensor]) -> nn.Parameter:
    shape = [max(sizes) for sizes in zip(*(p.shape for p in parameters), strict=True)]
    stacked = parameters[0].new_zeros(len(parameters), *shape)
    for position, parameter in enumerate(parameters):
        stacked[position][tuple(slice(size) for size in parameter.shape)] = parameter.detach()
    return nn.Parameter(stacked)


def _scale_tensor(scales: Sequence[float], like: Tensor) -> Tensor | None:
    return None if all(scale == 1 for scale in scales) else like.new_tensor(scales)
