"""The gradients of a stack's losses, by products alone: what autograd would compute, without its graph."""

from typing import NamedTuple

import torch
from torch import Tensor

from dlexp.losses import Loss
from dlexp.train.stacks.stack import Stack, StackedLayer


class Gradients:
    """Writes the gradient of each member's loss into the stack's ``gradients``.

    With z_l = h_(l-1) W_l^T + b_l, h_l = phi(z_l), and delta_L the loss' derivative by the outputs
    (Rumelhart, Hinton & Williams 1986):

    - dW_l = delta_l^T h_(l-1), db_l = the sum of delta_l over the batch,
    - delta_(l-1) = (delta_l W_l) * phi'(z_(l-1)).

    What is as large as a batch's activations lives as long as this object and is not allocated at each step;
    for small networks autograd's bookkeeping takes longer than the arithmetic. Where phi' does not follow
    from phi's value, and where the loss publishes no derivative, autograd differentiates that one function.

    Args:
        stack: M networks.
        loss: of each member, a mean over its batch.
    """

    def __init__(self, stack: Stack, loss: Loss) -> None:
        self.stack = stack
        self.loss = loss
        self._flat: dict[str, Tensor] = {}
        self._buffers: dict[int, _Buffers] = {}

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
        delta = self._loss_derivative(inputs[-1], y, keep=self.stack.layers[-1].activation is not None)
        for index in reversed(range(len(weights))):
            layer, h = self.stack.layers[index], inputs[index]
            delta = _through_activation(layer, delta, inputs[index + 1], graphs[index])
            # The product that comes out as the weights lie: a transposed copy of a thin matrix is slow.
            torch.bmm(*((h.mT, delta) if layer.is_transposed else (delta.mT, h)), out=layer.weight_gradient)
            if layer.weight_scale is not None:
                layer.weight_gradient.mul_(layer.weight_scale)
            if layer.bias_gradient is not None:
                torch.sum(delta, dim=1, out=layer.bias_gradient)
                if layer.bias_scale is not None:
                    layer.bias_gradient.mul_(layer.bias_scale)
            if index:
                delta = torch.bmm(delta, weights[index].mT, out=buffers.deltas[index - 1])

    def _loss_derivative(self, outputs: Tensor, y: Tensor, *, keep: bool) -> Tensor:
        """Return each member's derivative by the outputs, which are overwritten unless told to keep them."""
        weight = 1 / y.shape[1]
        if self.loss.derivative is not None:
            return self.loss.derivative(outputs.clone() if keep else outputs, y, weight)
        with torch.enable_grad():
            leaf = outputs.detach().clone().requires_grad_()
            total = self.loss.per_row(leaf, y).sum() * weight
        return torch.autograd.grad(total, leaf)[0]

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
    if layer.known is not None and layer.known.apply_ is not None:
        h = layer.known.apply_(z)
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
    if layer.activation is None:
        return delta
    if graph is not None:
        return torch.autograd.grad(*graph, delta)[0]
    assert layer.known is not None
    assert layer.known.multiply_by_derivative_ is not None
    return layer.known.multiply_by_derivative_(delta, h)
