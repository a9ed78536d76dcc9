"""The empirical NTK of networks of linear layers, from layer inputs and output gradients, without Jacobians.

A linear layer ``h = s_w W a + s_b b`` that row n passes once contributes ``df_k/dW = s_w G_k a^T`` and
``df_k/db = s_b G_k`` with ``G_k = df_k/dh``. Contracting two rows over this layer's parameters gives

    (s_w^2 a(x) . a(x') + s_b^2) (G_k(x) . G_k'(x')),

so that the kernel is a sum over layers of products of Gram matrices. Memory is O(N (fan_in + K fan_out)) per
layer instead of O(N K fan_in fan_out).
"""

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge


class NotLayerwiseError(ValueError):
    """The model is not a composition of linear layers, used once each, that acts row by row."""


@dataclass(frozen=True)
class LinearLayer:
    """A linear layer with trainable parameters and the multipliers of its weight and bias."""

    name: str
    module: nn.Linear
    weight_scale: float
    bias_scale: float

    @property
    def trains_weight(self) -> bool:
        """Whether the weight is trainable."""
        return self.module.weight.requires_grad

    @property
    def trains_bias(self) -> bool:
        """Whether there is a trainable bias."""
        bias: Tensor | None = self.module.bias
        return bias is not None and bias.requires_grad


@dataclass(frozen=True)
class LayerFactors:
    """One layer's share of the kernel: inputs A (N, fan_in), gradients G (K, N, fan_out), squared scales."""

    inputs: Tensor
    gradients: Tensor
    weight_factor: float
    bias_factor: float


def find_linear_layers(model: nn.Module) -> list[LinearLayer]:
    """Return the linear layers that hold all trainable parameters.

    Known are ``nn.Linear`` itself and subclasses that declare ``weight_scale`` and ``bias_scale``.
    Raises ``NotLayerwiseError`` if another module holds trainable parameters or two modules share one.

    >>> [layer.name for layer in find_linear_layers(nn.Sequential(nn.Linear(3, 2), nn.Tanh()))]
    ['0']
    """
    layers: list[LinearLayer] = []
    owners: dict[int, str] = {}
    for name, module in model.named_modules():
        own = {key: p for key, p in module.named_parameters(recurse=False) if p.requires_grad}
        for key, parameter in own.items():
            label = f"{name}.{key}" if name else key
            if owners.setdefault(id(parameter), label) != label:
                raise NotLayerwiseError(f"{label!r} and {owners[id(parameter)]!r} are the same parameter")
        if own:
            layers.append(_as_linear_layer(name, module, set(own)))
    return layers


def _as_linear_layer(name: str, module: nn.Module, trainable: set[str]) -> LinearLayer:
    plain = type(module) is nn.Linear
    weight_scale = 1.0 if plain else getattr(module, "weight_scale", None)
    bias_scale = 1.0 if plain else getattr(module, "bias_scale", None)
    if (
        isinstance(module, nn.Linear)
        and isinstance(weight_scale, int | float)
        and isinstance(bias_scale, int | float)
        # weight_norm, spectral_norm and pruning keep the class but train other parameters.
        and trainable <= {"weight", "bias"}
    ):
        return LinearLayer(name, module, float(weight_scale), float(bias_scale))
    kind = type(module).__name__
    raise NotLayerwiseError(f"module {name!r} ({kind}) has trainable parameters and is no known linear layer")


@dataclass(frozen=True)
class _Visit:
    inputs: Tensor
    version: int
    edge: GradientEdge


def _trace(model: nn.Module, layers: list[LinearLayer], x: Tensor) -> tuple[Tensor, list[_Visit]]:
    """Run the model once; return the outputs and what passed each layer, which must happen exactly once."""
    visits: list[list[_Visit]] = [[] for _ in layers]

    def hook_of(layer: LinearLayer, seen: list[_Visit]) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            if len(inputs) != 1 or inputs[0].ndim != 2 or len(inputs[0]) != len(x):
                _refuse(layer, "is not applied to one vector for each input row")
            if not output.requires_grad:
                _refuse(layer, "is used without gradients")
            # The edge, not the output tensor: an in-place activation rebinds the tensor to its own result.
            seen.append(_Visit(inputs[0], inputs[0]._version, get_gradient_edge(output)))

        return hook

    handles = [
        layer.module.register_forward_hook(hook_of(layer, seen))
        for layer, seen in zip(layers, visits, strict=True)
    ]
    try:
        outputs: Tensor = model(x)
    finally:
        for handle in handles:
            handle.remove()
    for layer, seen in zip(layers, visits, strict=True):
        if len(seen) != 1:
            _refuse(layer, f"is used {len(seen)} times in the forward pass")
        if seen[0].inputs._version != seen[0].version:
            _refuse(layer, "has inputs that are changed in place")
    return outputs, [seen[0] for seen in visits]


def _refuse(layer: LinearLayer, why: str) -> NoReturn:
    raise NotLayerwiseError(f"layer {layer.name!r} {why}")


def layer_factors(model: nn.Module, layers: list[LinearLayer], x: Tensor) -> list[LayerFactors]:
    """Return the factors of each layer at the rows ``x``.

    Raises ``NotLayerwiseError`` if a layer is not used exactly once, on one vector for each row.

    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> (factors,) = layer_factors(model, find_linear_layers(model), torch.ones(5, 3))
    >>> factors.inputs.shape, factors.gradients.shape
    (torch.Size([5, 3]), torch.Size([2, 5, 2]))
    """
    outputs, visits = _trace(model, layers, x)
    outputs = outputs.reshape(len(x), -1)
    gradients = _output_gradients(outputs, [visit.edge for visit in visits])
    return [
        LayerFactors(
            visit.inputs.detach(),
            outputs.new_zeros(*outputs.T.shape, layer.module.out_features) if gradient is None else gradient,
            layer.weight_scale**2 * layer.trains_weight,
            layer.bias_scale**2 * layer.trains_bias,
        )
        for layer, visit, gradient in zip(layers, visits, gradients, strict=True)
    ]


def _output_gradients(outputs: Tensor, nodes: list[Any], retain: bool = False) -> list[Tensor | None]:
    """Return d(sum over rows of output k)/d(node) as (K, N, ...), None for a node that no output reaches."""
    rows, count = outputs.shape
    columns: list[list[Tensor | None]] = [[] for _ in nodes]
    for k in range(count):
        cotangent = outputs.new_zeros(rows, count)
        cotangent[:, k] = 1
        found = torch.autograd.grad(
            outputs, nodes, cotangent, retain_graph=retain or k < count - 1, allow_unused=True
        )
        for column, gradient in zip(columns, found, strict=True):
            column.append(gradient)
    stacked: list[Tensor | None] = []
    for column in columns:
        like = next((gradient for gradient in column if gradient is not None), None)
        if like is None:
            stacked.append(None)
            continue
        present = [torch.zeros_like(like) if gradient is None else gradient for gradient in column]
        stacked.append(present[0][None] if count == 1 else torch.stack(present))
    return stacked


def verify_layerwise(model: nn.Module, layers: list[LinearLayer], x: Tensor) -> None:
    """Test on the rows ``x`` that the factors give the model's gradients.

    The factors presuppose that output row n depends on row n alone and that the parameters act through their
    layers alone. Both are tested against autograd with one weight for each output, all different: gradients
    of the weighted sum must be the weighted sum of the per-output gradients at each row, and the parameters'
    gradients must be the products of the factors. Equality to the square root of the precision.

    Raises ``NotLayerwiseError`` where they differ.

    >>> model = nn.Sequential(nn.Linear(3, 2))
    >>> verify_layerwise(model, find_linear_layers(model), torch.rand(5, 3))
    """
    if not x.is_floating_point():
        raise NotLayerwiseError(f"the inputs are {x.dtype}, without gradients to test row by row")
    x = x.clone().requires_grad_()
    outputs, visits = _trace(model, layers, x)
    outputs = outputs.reshape(len(x), -1)
    nodes: list[Any] = [*(visit.edge for visit in visits), x]
    gradients = _output_gradients(outputs, nodes, retain=True)
    weights = _generic(outputs.numel(), x).view_as(outputs)
    parameters = [p for layer in layers for p in layer.module.parameters(recurse=False) if p.requires_grad]
    weighted = torch.autograd.grad(outputs, [*nodes, *parameters], weights, allow_unused=True)
    totals = weighted[: len(nodes)]
    found = dict(zip(map(id, parameters), weighted[len(nodes) :], strict=True))
    for gradient, total in zip(gradients, totals, strict=True):
        if gradient is not None:
            expected = (weights.T[:, :, None] * gradient.flatten(2)).sum(0)
            if not close(expected, total.flatten(1)):
                raise NotLayerwiseError("the outputs of one row depend on other rows")
    for layer, visit, total, gradient in zip(layers, visits, totals, gradients, strict=False):
        if gradient is None:
            total = outputs.new_zeros(len(x), layer.module.out_features)
        if layer.trains_weight:
            # Against one direction of the inputs, along which any other matrix would differ.
            direction = _generic(layer.module.in_features, x)
            product = layer.weight_scale * total.T @ (visit.inputs.detach() @ direction)
            weight_gradient = found[id(layer.module.weight)]
            _require_close(layer, product, None if weight_gradient is None else weight_gradient @ direction)
        if layer.trains_bias:
            _require_close(layer, layer.bias_scale * total.sum(0), found[id(layer.module.bias)])


def _generic(count: int, like: Tensor) -> Tensor:
    """Return the cosines of 1, 2, 3, ..., numbers that satisfy no relation a model could meet by accident."""
    return torch.arange(1, count + 1, dtype=like.dtype, device=like.device).cos()


def _require_close(layer: LinearLayer, expected: Tensor, found: Tensor | None) -> None:
    if not close(expected, torch.zeros_like(expected) if found is None else found):
        _refuse(layer, "has parameters that act otherwise than through its linear map")


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree in norm to the square root of their precision.

    >>> close(torch.ones(3), torch.ones(3) + 1e-6)
    True
    """
    tolerance: float = torch.finfo(a.dtype).eps ** 0.5
    return bool(torch.dist(a, b) <= tolerance * torch.linalg.vector_norm(a))


def contract_factors(first: list[LayerFactors], second: list[LayerFactors], block: Tensor) -> None:
    """Fill the kernel block (K, N1, K, N2) with the sum over layers of products of Gram matrices.

    >>> factors = [LayerFactors(torch.ones(2, 3), torch.ones(1, 2, 1), 1.0, 1.0)]
    >>> block = torch.empty(1, 2, 1, 2)
    >>> contract_factors(factors, factors, block)
    >>> block.unique()
    tensor([4.])
    """
    block.zero_()
    for one, two in zip(first, second, strict=True):
        bias = one.inputs.new_tensor(one.bias_factor)
        inputs = torch.addmm(bias, one.inputs, two.inputs.T, alpha=one.weight_factor)
        gradients = one.gradients.flatten(0, 1) @ two.gradients.flatten(0, 1).T
        block.addcmul_(inputs[:, None, :], gradients.view(block.shape))


def split_factors(factors: list[LayerFactors], rows: int) -> tuple[list[LayerFactors], list[LayerFactors]]:
    """Return the factors of the first ``rows`` rows and of the others.

    >>> factors = [LayerFactors(torch.ones(5, 3), torch.ones(1, 5, 1), 1.0, 1.0)]
    >>> [len(half[0].inputs) for half in split_factors(factors, 2)]
    [2, 3]
    """
    halves = (slice(None, rows), slice(rows, None))
    first, second = (
        [
            replace(factor, inputs=factor.inputs[half], gradients=factor.gradients[:, half])
            for factor in factors
        ]
        for half in halves
    )
    return first, second
