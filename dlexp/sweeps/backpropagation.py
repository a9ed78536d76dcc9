"""The gradients of a stack's losses, by products alone: what autograd would compute, without its graph."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.sweeps.stack import Stack, StackedLayer

_aten = torch.ops.aten


class _Elementwise(NamedTuple):
    """An activation whose derivative follows from its value: both in place."""

    apply: Callable[[Tensor], Tensor]
    multiply_by_derivative: Callable[[Tensor, Tensor], Tensor]
    """Of a gradient, and of the activation's values."""


_ELEMENTWISE: dict[type[nn.Module], _Elementwise] = {
    nn.ReLU: _Elementwise(
        torch.relu_, lambda g, h: _aten.threshold_backward.grad_input(g, h, 0, grad_input=g)
    ),
    nn.Tanh: _Elementwise(torch.tanh_, lambda g, h: _aten.tanh_backward.grad_input(g, h, grad_input=g)),
    nn.Sigmoid: _Elementwise(
        torch.sigmoid_, lambda g, h: _aten.sigmoid_backward.grad_input(g, h, grad_input=g)
    ),
    nn.Identity: _Elementwise(lambda z: z, lambda g, h: g),
}


class Backpropagation:
    """Writes the gradient of the sum of the members' losses into the ``.grad`` of the stacked parameters.

    With z_l = h_(l-1) W_l^T + b_l, h_l = phi(z_l), and delta_L the loss' derivative by the outputs
    (Rumelhart, Hinton & Williams 1986):

    - dW_l = delta_l^T h_(l-1), db_l = the sum of delta_l over the batch,
    - delta_(l-1) = (delta_l W_l) * phi'(z_(l-1)).

    What is as large as a batch's activations lives as long as this object and is not allocated at each step;
    for small networks autograd's bookkeeping takes longer than the arithmetic. Activations other than ReLU,
    tanh, sigmoid and the identity are differentiated by autograd.

    Args:
        stack: M networks.
        loss: ``mse``, ``half_mse`` or ``cross_entropy``, each member's a mean over its batch.
    """

    def __init__(self, stack: Stack, loss: str) -> None:
        self.stack = stack
        self.loss = loss
        self._flat: dict[str, Tensor] = {}
        self._buffers: dict[int, _Buffers] = {}
        for parameter in stack.parameters.values():
            parameter.grad = torch.zeros_like(parameter)

    @torch.no_grad()
    def __call__(self, x: Tensor, y: Tensor) -> None:
        """Set the gradients for a batch: x (M, B, input_dim), y (M, B, output_dim) or labels (M, B)."""
        size = x.shape[1]
        if size not in self._buffers:
            self._buffers[size] = self._allocate(size, like=x)
        buffers = self._buffers[size]
        inputs: list[Tensor] = [x]
        weights: list[Tensor] = []
        graphs: list[_Graph] = []
        for layer, z in zip(self.stack.layers, buffers.outputs, strict=True):
            weights.append(layer.effective_weight())
            layer.affine(inputs[-1], weights[-1], out=z)
            h, graph = _activate(layer, z)
            inputs.append(h)
            graphs.append(graph)
        delta = self._loss_gradient(inputs.pop(), y)
        for index in reversed(range(len(weights))):
            layer, h = self.stack.layers[index], inputs[index]
            by_weight = layer.weight.grad
            assert by_weight is not None
            # The product that comes out as the weights lie: a transposed copy of a thin matrix is slow.
            torch.bmm(*((h.mT, delta) if layer.is_transposed else (delta.mT, h)), out=by_weight)
            if layer.weight_scale is not None:
                by_weight.mul_(layer.weight_scale)
            if layer.bias is not None:
                assert layer.bias.grad is not None
                torch.sum(delta, dim=1, out=layer.bias.grad)
                if layer.bias_scale is not None:
                    layer.bias.grad.mul_(layer.bias_scale)
            if index:
                below = self.stack.layers[index - 1]
                delta = torch.bmm(delta, weights[index].mT, out=buffers.deltas[index - 1])
                delta = _through_activation(below, delta, h, graphs[index - 1])

    def _loss_gradient(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return each member's delta_L; what the outputs were is overwritten."""
        if self.loss == "cross_entropy":
            torch.softmax(outputs, dim=-1, out=outputs)
            is_target = y.unsqueeze(-1) == torch.arange(outputs.shape[-1], device=y.device)
            return outputs.sub_(is_target.to(outputs.dtype)).div_(y.shape[1])
        factor = 1.0 if self.loss == "half_mse" else 2.0
        return outputs.sub_(y).mul_(factor / y[0].numel())

    def _allocate(self, size: int, like: Tensor) -> "_Buffers":
        """Return tensors for batches of a size; they share their memory with those of other sizes."""
        widths = [layer.width for layer in self.stack.layers]
        outputs = [self._take(f"output {i}", size, width, like) for i, width in enumerate(widths)]
        # Only one layer's delta and the one made of it are needed at a time.
        deltas = [self._take(f"delta {i % 2}", size, width, like) for i, width in enumerate(widths[:-1])]
        return _Buffers(outputs, deltas)

    def _take(self, name: str, size: int, width: int, like: Tensor) -> Tensor:
        count = len(self.stack) * size * width
        if name not in self._flat or len(self._flat[name]) < count:
            self._flat[name] = like.new_empty(count)
        return self._flat[name][:count].view(len(self.stack), size, width)


class _Buffers(NamedTuple):
    outputs: list[Tensor]
    deltas: list[Tensor]


_Graph = tuple[Tensor, Tensor] | None


def _activate(layer: StackedLayer, z: Tensor) -> tuple[Tensor, _Graph]:
    """Return the layer's output, and for autograd the activation's value and argument."""
    if layer.activation is None:
        return z, None
    elementwise = _ELEMENTWISE.get(type(layer.activation))
    if elementwise:
        h = elementwise.apply(z)
        return h if layer.mask is None else h.mul_(layer.mask), None
    with torch.enable_grad():
        argument = z.detach().requires_grad_()
        # What autograd is to differentiate by must not be overwritten.
        is_in_place = getattr(layer.activation, "inplace", False)
        value = layer.activation(argument.clone() if is_in_place else argument)
    h = value.detach()
    return h if layer.mask is None else h * layer.mask, (value, argument)


def _through_activation(layer: StackedLayer, delta: Tensor, h: Tensor, graph: _Graph) -> Tensor:
    """Return the derivative by the layer's z, given that by its output h.

    That of a padded unit is 0 without a mask: the weights that lead on from it are.
    """
    if graph is not None:
        return torch.autograd.grad(*graph, delta)[0]
    assert layer.activation is not None
    return _ELEMENTWISE[type(layer.activation)].multiply_by_derivative(delta, h)
