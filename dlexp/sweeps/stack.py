"""Many small networks as one: their weights in zero-padded stacks, a forward pass of batched products."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dlexp.models.layers import ScaledLinear


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
        parameters: by the name that the parameter has in each member, stacked (M, ...). The matrices of some
            layers lie transposed in them; :meth:`view_of_member` knows which.
    """

    def __init__(self, members: Sequence[nn.Sequential]) -> None:
        self.members = list(members)
        activations = [module for module in members[0] if not isinstance(module, ScaledLinear)]
        # Nobody needs what a ReLU was given: one copy less of the largest tensors.
        self.activations = [nn.ReLU(inplace=True) if type(m) is nn.ReLU else m for m in activations]
        self.parameters: dict[str, nn.Parameter] = {}
        self._is_transposed: dict[str, bool] = {}
        self._scales: list[tuple[Tensor | None, Tensor | None]] = []
        self._masks: list[Tensor | None] = []
        names = [name for name, module in members[0].named_children() if isinstance(module, ScaledLinear)]
        for index, name in enumerate(names):
            layers = [_layer(member, name) for member in members]
            weights = [layer.weight for layer in layers]
            # The larger of its two sizes comes last: the products of a step are fastest along it.
            is_wide = max(w.shape[0] for w in weights) > max(w.shape[1] for w in weights)
            self._is_transposed[name] = is_wide
            self.parameters[f"{name}.weight"] = _pad([w.mT for w in weights] if is_wide else weights)
            if layers[0].bias is not None:
                self.parameters[f"{name}.bias"] = _pad([layer.bias for layer in layers])
            like = weights[0]
            self._scales.append(
                (
                    _scale_tensor([layer.weight_scale for layer in layers], like),
                    _scale_tensor([layer.bias_scale for layer in layers], like),
                )
            )
            is_last = index == len(names) - 1
            self._masks.append(None if is_last else _mask(layers, self.activations[index], like))
        for position, member in enumerate(members):
            for parameter_name, own in member.named_parameters():
                whole = self.parameters[parameter_name].data
                own.data = self.view_of_member(position, parameter_name, whole[position])

    def __len__(self) -> int:
        return len(self.members)

    def __call__(self, x: Tensor) -> Tensor:
        """Map (M, B, input_dim), a batch for each member, to outputs (M, B, output_dim)."""
        for index, (name, is_transposed) in enumerate(self._is_transposed.items()):
            weight_scale, bias_scale = self._scales[index]
            weight: Tensor = self.parameters[f"{name}.weight"]
            weight = weight if weight_scale is None else weight_scale[:, None, None] * weight
            bias: Tensor | None = self.parameters.get(f"{name}.bias")
            bias = bias if bias is None or bias_scale is None else bias_scale[:, None] * bias
            x = _BatchedLinear.apply(x, weight, bias, is_transposed)
            if index < len(self.activations):
                x = self.activations[index](x)
                mask = self._masks[index]
                x = x if mask is None else x * mask
        return x

    def view_of_member(self, position: int, name: str, padded: Tensor) -> Tensor:
        """Return the part without padding, as a view in the shape of the member's parameter ``name``.

        Args:
            position: of the member.
            name: of its parameter.
            padded: its part of the stacked parameter, or of what goes with that (a gradient, a moment).
        """
        layer_name, _, kind = name.rpartition(".")
        padded = padded.mT if kind == "weight" and self._is_transposed[layer_name] else padded
        shape = self.members[position].get_parameter(name).shape
        return padded[tuple(slice(size) for size in shape)]


class _BatchedLinear(torch.autograd.Function):
    """``x W^T + b`` for every member: x (M, B, in), W (M, out, in) or transposed (M, in, out), b (M, out).

    As ``torch.baddbmm``, but the weights' gradient is the product that comes out as the weights lie. Autograd
    forms its transpose for some shapes, which for thin matrices takes up to eight times longer.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, is_transposed: bool) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.is_transposed = is_transposed
        right = weight if is_transposed else weight.mT
        return torch.bmm(x, right) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, right)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = torch.bmm(gradient, weight.mT if ctx.is_transposed else weight)
        by_weight = torch.bmm(x.mT, gradient) if ctx.is_transposed else torch.bmm(gradient.mT, x)
        return by_x, by_weight, gradient.sum(dim=1) if ctx.needs_input_grad[2] else None, None


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


def _pad(parameters: Sequence[Tensor]) -> nn.Parameter:
    shape = [max(sizes) for sizes in zip(*(p.shape for p in parameters), strict=True)]
    stacked = parameters[0].new_zeros(len(parameters), *shape)
    for position, parameter in enumerate(parameters):
        stacked[position][tuple(slice(size) for size in parameter.shape)] = parameter.detach()
    return nn.Parameter(stacked)


def _scale_tensor(scales: Sequence[float], like: Tensor) -> Tensor | None:
    return None if all(scale == 1 for scale in scales) else like.new_tensor(scales)


def _mask(layers: Sequence[ScaledLinear], activation: nn.Module, like: Tensor) -> Tensor | None:
    """Return what keeps padded units at 0, (M, 1, width), or None where they are 0 by themselves."""
    widths = [layer.out_features for layer in layers]
    if min(widths) == max(widths) or activation(like.new_zeros(())).item() == 0:
        return None
    units = torch.arange(max(widths)) < torch.tensor(widths)[:, None]
    return units[:, None, :].to(like)
