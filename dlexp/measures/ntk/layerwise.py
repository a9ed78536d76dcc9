"""The empirical NTK of networks of linear layers, from layer inputs and output gradients, without Jacobians.

A linear layer ``h = s_w W a + s_b b`` that row n passes once contributes ``df_k/dW = s_w G_k a^T`` and
``df_k/db = s_b G_k`` with ``G_k = df_k/dh``. Contracting two rows over this layer's parameters gives

    (s_w^2 a(x) . a(x') + s_b^2) (G_k(x) . G_k'(x')),

so that the kernel is a sum over layers of products of Gram matrices. Memory is O(N (fan_in + K fan_out)) per
layer instead of O(N K fan_in fan_out).
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from dlexp.measures.chain import ChainLayer
from dlexp.measures.functional import FunctionalModel
from dlexp.models.layers import ScaledLinear


class NotLayerwiseError(ValueError):
    """The model is not a composition of linear layers, used once each, that acts row by row."""


@dataclass(frozen=True)
class LayerFactors:
    """One layer's share of the kernel: inputs A (N, fan_in), gradients G (K, N, fan_out), squared scales."""

    inputs: Tensor
    gradients: Tensor
    weight_factor: float
    bias_factor: float


class ByLayers:
    """The kernel by layers' Gram matrices; see :class:`~dlexp.measures.ntk.empirical.Way`.

    That the model acts row by row, and by its parameters through these layers alone, is presupposed.

    Raises ``NotLayerwiseError`` where another module than ``nn.Linear`` and
    :class:`~dlexp.models.layers.ScaledLinear` has trainable parameters, or a layer is not used once, on one
    vector for each row.

    >>> way, block = ByLayers(FunctionalModel(nn.Linear(1, 1), torch.ones(1, 1)), 1), torch.empty(1, 1, 1, 1)
    >>> factors = way.features(torch.tensor([[2.0]]))
    >>> way.contract(factors, factors, block)
    >>> block.item()  # x x' + 1
    5.0
    """

    def __init__(self, function: FunctionalModel, outputs: int) -> None:
        self._function, self.dtype = function, function.vector.dtype
        self._layers = _linear_layers(function.network)
        linear = [layer.linear for layer in self._layers]
        # Twice, for what the graph of the forward pass keeps beside the factors.
        self.row_numbers = 2 * sum(layer.in_features + (outputs + 1) * layer.out_features for layer in linear)

    def features(self, x: Tensor) -> list[LayerFactors]:
        """Return the factors of each layer at the rows of x."""
        visits: dict[str, list[tuple[Tensor, Any]]] = {layer.name: [] for layer in self._layers}

        def hook_of(layer: ChainLayer) -> Any:
            def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
                is_by_row = len(inputs) == 1 and inputs[0].ndim == 2 and len(inputs[0]) == len(x)
                if not (is_by_row and output.requires_grad):
                    raise NotLayerwiseError(f"layer {layer.name!r} is not used on one vector for each row")
                # The edge, not the output: an in-place activation rebinds the tensor to its own result.
                visits[layer.name].append((inputs[0].detach(), get_gradient_edge(output)))

            return hook

        handles = [layer.linear.register_forward_hook(hook_of(layer)) for layer in self._layers]
        try:
            outputs = self._function.outputs(x).reshape(len(x), -1)
        finally:
            for handle in handles:
                handle.remove()
        for name, seen in visits.items():
            if len(seen) != 1:
                raise NotLayerwiseError(f"layer {name!r} is used {len(seen)} times in the forward pass")
        gradients = self._gradients(outputs, [edge for ((_, edge),) in visits.values()])
        return [
            LayerFactors(
                inputs,
                gradient,
                layer.weight_scale**2 * layer.linear.weight.requires_grad,
                layer.bias_scale**2 * (layer.linear.bias is not None and layer.linear.bias.requires_grad),
            )
            for layer, ((inputs, _),), gradient in zip(self._layers, visits.values(), gradients, strict=True)
        ]

    def _gradients(self, outputs: Tensor, edges: list[Any]) -> list[Tensor]:
        """Return d(sum over rows of output k) / d(what each layer puts out), (K, N, fan_out) each."""
        rows, count = outputs.shape
        by_output = []
        for k in range(count):
            cotangent = torch.zeros_like(outputs)
            cotangent[:, k] = 1
            found = torch.autograd.grad(
                outputs, edges, cotangent, retain_graph=k < count - 1, allow_unused=True
            )
            by_output.append(
                [
                    outputs.new_zeros(rows, layer.linear.out_features) if gradient is None else gradient
                    for layer, gradient in zip(self._layers, found, strict=True)
                ]
            )
        return [torch.stack(column) for column in zip(*by_output, strict=True)]

    def contract(self, first: list[LayerFactors], second: list[LayerFactors], block: Tensor) -> None:
        """Fill the kernel block (K, N1, K, N2) with the sum over layers of products of Gram matrices."""
        block.zero_()
        for one, two in zip(first, second, strict=True):
            bias = one.inputs.new_tensor(one.bias_factor)
            inputs = torch.addmm(bias, one.inputs, two.inputs.T, alpha=one.weight_factor)
            gradients = one.gradients.flatten(0, 1) @ two.gradients.flatten(0, 1).T
            block.addcmul_(inputs[:, None, :], gradients.view(block.shape))

    def part(self, features: list[LayerFactors], rows: slice) -> list[LayerFactors]:
        """Return the factors of some of the rows."""
        return [replace(f, inputs=f.inputs[rows], gradients=f.gradients[:, rows]) for f in features]


def _linear_layers(network: nn.Module) -> list[ChainLayer]:
    """Return the linear layers that hold all trainable parameters."""
    layers = []
    for name, module in network.named_modules():
        trained = {key for key, p in module.named_parameters(recurse=False) if p.requires_grad}
        if not trained:
            continue
        # Weight normalisation and pruning keep the class, but train other parameters.
        if type(module) not in (nn.Linear, ScaledLinear) or not trained <= {"weight", "bias"}:
            kind = type(module).__name__
            raise NotLayerwiseError(f"module {name!r} ({kind}) trains other parameters than a linear layer's")
        assert isinstance(module, nn.Linear)
        layers.append(ChainLayer(name, module, None))
    return layers
