"""Second derivatives of chains of linear layers and elementwise activations, by hand.

Pearlmutter's R-operator (Pearlmutter 1994, Neural Computation 6(1), section 3) differentiates the forward and
the backward pass in the direction of v. Written out for a chain, one pass serves many directions as a handful
of batched matrix products, with nothing recorded for automatic differentiation.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from dlexp.measures.functional import Loss, functional_model, parameter_vector
from dlexp.measures.hessian.output_curvature import OutputCurvature
from dlexp.measures.linear_chain import linear_chain, linear_layers, scales


@dataclass(frozen=True)
class _Layer:
    """``z = a W^T + b``, ``a_next = phi(z)`` at the point of expansion, for N rows."""

    inputs: Tensor  # a (N, fan_in)
    weight: Tensor  # W with its multiplier (fan_out, fan_in)
    weight_scale: float
    bias_scale: float
    has_bias: bool
    slope: Tensor | None  # phi'(z) (N, fan_out); None where phi is the identity
    bend: Tensor | None  # dL/da_next * phi''(z) (N, fan_out); None where phi is piecewise linear
    delta: Tensor  # dL/dz (N, fan_out)

    def parameter_shapes(self) -> list[torch.Size]:
        shapes = [self.weight.shape]
        return [*shapes, self.weight.shape[:1]] if self.has_bias else shapes


class Workspace:
    """Memory for the temporaries of a product, reused by the next one.

    Fresh memory for each would cost more than the arithmetic: the system hands large blocks out page by page.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Return the memory called ``name`` as an uninitialised tensor of this shape."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = like.new_empty(size)
        return buffer[:size].view(shape)


class ChainExpansion:
    """The loss of a chain, expanded to second order around its parameters."""

    def __init__(self, layers: list[_Layer], curvature: OutputCurvature, workspace: Workspace) -> None:
        self._layers = layers
        self._workspace = workspace
        self._curvature = curvature
        self._shapes = [shape for layer in layers for shape in layer.parameter_shapes()]

    @property
    def widest(self) -> int:
        """The largest number of entries of one layer's inputs or outputs, over all rows."""
        return max(max(layer.inputs.numel(), layer.delta.numel()) for layer in self._layers)

    def hessian_product(self, vectors: Tensor) -> Tensor:
        """Return H v for each row of ``vectors`` (B, P)."""
        return self._product(vectors, gauss_newton=False)

    def gauss_newton_product(self, vectors: Tensor) -> Tensor:
        """Return G v for each row of ``vectors`` (B, P)."""
        return self._product(vectors, gauss_newton=True)

    def _product(self, vectors: Tensor, *, gauss_newton: bool) -> Tensor:
        batch, rows = len(vectors), len(self._layers[0].inputs)
        take = self._workspace.take
        directions = list(self._directions(vectors))

        # Forward: R{z} = a V^T + R{a} W^T + c and R{a_next} = phi'(z) R{z}.
        tangents_in: list[Tensor | None] = []
        tangents_z: list[Tensor] = []
        tangent: Tensor | None = None
        for index, (layer, (direction, bias)) in enumerate(zip(self._layers, directions, strict=True)):
            tangents_in.append(tangent)
            z = take(f"z{index}", (batch, rows, len(layer.weight)), vectors)
            torch.bmm(layer.inputs.expand(batch, -1, -1), direction.mT, out=z)
            if tangent is not None:
                z.flatten(0, 1).addmm_(tangent.flatten(0, 1), layer.weight.T)
            if bias is not None:
                z += bias[:, None, :]
            tangents_z.append(z)
            tangent = z
            if layer.slope is not None:
                tangent = torch.mul(z, layer.slope, out=take(f"a{index}", tuple(z.shape), vectors))

        # Backward: the product rule on delta = phi'(z) dL/da_next, dL/dW = delta^T a and dL/da = delta W.
        # The Gauss-Newton product keeps only the terms that hold the curvature of the loss. The clone is
        # there because what follows writes in place.
        signal = self._curvature(cast(Tensor, tangent)).clone(memory_format=torch.contiguous_format)
        results: list[Tensor] = []
        for index in reversed(range(len(self._layers))):
            layer, (direction, _), tangent_in = self._layers[index], directions[index], tangents_in[index]
            if layer.slope is not None:
                signal.mul_(layer.slope)
            if layer.bend is not None and not gauss_newton:
                signal.addcmul_(layer.bend, tangents_z[index])
            delta = layer.delta.expand(batch, -1, -1)
            weight_part = torch.bmm(signal.mT, layer.inputs.expand(batch, -1, -1))
            if tangent_in is not None and not gauss_newton:
                weight_part.baddbmm_(delta.mT, tangent_in)
            if layer.has_bias:
                results.append(layer.bias_scale * signal.sum(dim=1))
            results.append(weight_part.mul_(layer.weight_scale).flatten(1))
            if index > 0:
                below = take(f"s{index}", (batch, rows, layer.weight.shape[1]), vectors)
                torch.mm(signal.flatten(0, 1), layer.weight, out=below.flatten(0, 1))
                if not gauss_newton:
                    below.baddbmm_(delta, direction)
                signal = below
        return torch.cat(results[::-1], dim=1)

    def _directions(self, vectors: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
        pieces = iter(vectors.split([shape.numel() for shape in self._shapes], dim=1))
        for layer in self._layers:
            weight = next(pieces).reshape(-1, *layer.weight.shape)
            bias = next(pieces) if layer.has_bias else None
            weight = weight if layer.weight_scale == 1 else layer.weight_scale * weight
            yield weight, bias if bias is None else layer.bias_scale * bias


def expand_chain(
    model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor, workspace: Workspace
) -> ChainExpansion | None:
    """Expand ``loss_fn(model(x), y)`` by hand; None for all but a plain chain.

    A plain chain is what :func:`dlexp.measures.linear_chain.linear_chain` recognises, with every parameter
    trainable and used once, on inputs (N, d).
    """
    modules = linear_chain(model)
    linears = linear_layers(modules or [])
    parameters = [p for layer in linears for p in layer.parameters()]
    if (
        modules is None
        or not linears
        or x.ndim != 2
        or [id(p) for p in parameters] != [id(p) for p in model.parameters()]
        or not all(p.requires_grad and p.dtype == x.dtype for p in parameters)
    ):
        return None

    activations = x.detach()
    for module in modules[: modules.index(linears[0])]:
        activations = module(activations.clone()).detach()
    starts = [index for index, module in enumerate(modules) if isinstance(module, nn.Linear)]
    forward: list[tuple[nn.Linear, Tensor, Tensor | None, Tensor | None]] = []
    for start, stop in pairwise([*starts, len(modules)]):
        linear = cast(nn.Linear, modules[start])
        weight_scale, bias_scale = scales(linear)
        z = activations @ (weight_scale * linear.weight.detach()).T
        if linear.bias is not None:
            z = z + bias_scale * linear.bias.detach()
        following, slope, second = _elementwise(modules[start + 1 : stop], z)
        forward.append((linear, activations, slope, second))
        activations = following

    # A subclass that computes something else than its attributes say is caught by its outputs.
    with torch.no_grad():
        reference = functional_model(model)(parameter_vector(model), x)
    tolerance = 1e3 * torch.finfo(x.dtype).eps
    if reference.shape != activations.shape or not torch.allclose(
        reference, activations, rtol=tolerance, atol=tolerance * float(reference.abs().max())
    ):
        return None

    curvature = OutputCurvature(loss_fn, activations, y)
    signal = curvature.gradient
    layers: list[_Layer] = []
    for linear, inputs, slope, second in reversed(forward):
        weight_scale, bias_scale = scales(linear)
        weight = weight_scale * linear.weight.detach()
        bend = None if second is None else signal * second
        delta = signal if slope is None else signal * slope
        has_bias = linear.bias is not None
        layers.append(_Layer(inputs, weight, weight_scale, bias_scale, has_bias, slope, bend, delta))
        signal = delta @ weight
    return ChainExpansion(layers[::-1], curvature, workspace)


def _elementwise(modules: list[nn.Module], z: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return phi(z), phi'(z) and phi''(z) of the modules' composition; None for 1 and for 0."""
    if all(type(module) is nn.Identity for module in modules):
        return z, None, None
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        value = leaf.clone()  # so that an in-place activation does not write into the leaf
        for module in modules:
            value = module(value)
        (slope,) = torch.autograd.grad(value.sum(), leaf, create_graph=True)
        second = None
        if slope.requires_grad:
            (second,) = torch.autograd.grad(slope.sum(), leaf, allow_unused=True)
    has_second = second is not None and bool(second.any())
    return value.detach(), slope.detach(), second if has_second else None
