"""The loss at many points of weight space at once: what paths and landscapes are made of.

A chain of linear layers and elementwise activations is evaluated by batched matrix products written out by
hand, any other module through ``torch.vmap``. Both work in chunks that stay in cache: without them batching
is slower than a loop on a CPU.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dlexp.measures.functional import (
    Loss,
    functional_loss,
    require_deterministic,
    trainable_parameters,
    unflatten,
)
from dlexp.measures.linear_chain import linear_chain, linear_layers, scales

# Bytes of activations in flight: about a core's share of cache on a CPU, enough to fill a GPU.
_CHUNK_BYTES = {"cpu": 2**22, "cuda": 2**29}
# Bytes of outputs, or of parameters, of the networks whose losses are taken in one call of the loss function.
_BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**28}
_IN_PLACE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: torch.relu_,
    nn.Sigmoid: torch.sigmoid_,
    nn.Tanh: torch.tanh_,
}


def batched_losses(
    model: nn.Module, loss_fn: Loss, x: Tensor, y: Tensor, vectors: Tensor, *, chunk_size: int | None = None
) -> Tensor:
    """Return the losses (B,) at the parameter vectors ``vectors`` (B, P) on the data ``x`` (N, ...), ``y``.

    ``chunk_size`` networks are evaluated together; None chooses a number that suits the device.

    Raises ``ValueError`` for vectors that do not fit the model, a chunk size below 1, and models whose
    outputs are not a fixed function of the parameters.
    """
    _check(model, vectors, "vectors", chunk_size)
    return _losses(model, loss_fn, x, y, None, vectors, chunk_size)


def combination_losses(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    coefficients: Tensor,
    basis: Tensor,
    *,
    chunk_size: int | None = None,
) -> Tensor:
    """Return the losses (B,) at the points ``coefficients @ basis``, (B, K) times (K, P).

    Lines, planes, polylines and Bezier curves are such combinations. The points are formed block by block,
    and the first layer, which is linear in the parameters, is evaluated at the K basis points only.
    Otherwise as :func:`batched_losses`.

    Raises ``ValueError`` as there, and for coefficients that do not have one column for each row of
    ``basis``.
    """
    _check(model, basis, "basis", chunk_size)
    if coefficients.ndim != 2 or coefficients.shape[1] != basis.shape[0]:
        raise ValueError(
            f"coefficients must have shape (B, {basis.shape[0]}), a column for each row of basis, "
            f"got {tuple(coefficients.shape)}"
        )
    return _losses(model, loss_fn, x, y, coefficients.to(basis), basis, chunk_size)


def linear_combinations(coefficients: Tensor, basis: Tensor) -> Tensor:
    """Return ``coefficients @ basis``, (B, K) times (K, P); a unit row gives its point bit for bit.

    Written out as a sum because a matrix product may round its factors (TF32 on a GPU).
    """
    points = coefficients[:, :1] * basis[0]
    for k in range(1, basis.shape[0]):
        points.addcmul_(coefficients[:, k : k + 1], basis[k])
    return points


def _check(model: nn.Module, vectors: Tensor, argument: str, chunk_size: int | None) -> None:
    require_deterministic(model)
    parameters = trainable_parameters(model)
    first = next(iter(parameters.values()))
    count = sum(p.numel() for p in parameters.values())
    if vectors.ndim != 2 or vectors.shape[1] != count:
        raise ValueError(
            f"{argument} must have shape (B, {count}) for this model, got {tuple(vectors.shape)}"
        )
    if vectors.dtype != first.dtype or vectors.device != first.device:
        raise ValueError(
            f"{argument} must be {first.dtype} on {first.device} like the model, "
            f"got {vectors.dtype} on {vectors.device}"
        )
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size} must be at least 1")


@torch.no_grad()
def _losses(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    coefficients: Tensor | None,
    basis: Tensor,
    chunk_size: int | None,
) -> Tensor:
    """Losses at ``basis`` itself where ``coefficients`` is None, at its combinations otherwise."""
    count = len(basis) if coefficients is None else len(coefficients)
    if count == 0:
        return basis.new_empty(0)
    chain = _Chain.of(model, x)
    outputs_bytes = 0 if chain is None else len(x) * chain.output_dim * basis.element_size()
    block_bytes = _BLOCK_BYTES.get(x.device.type, _BLOCK_BYTES["cpu"])
    block = max(1, block_bytes // max(outputs_bytes, basis.shape[1] * basis.element_size()))
    chunk = chunk_size or _chunk_size(model, x, basis)
    first_layer = None if chain is None or coefficients is None else chain.first_layer(basis)
    batched_loss = torch.vmap(loss_fn, in_dims=(0, None))
    losses = []
    for start in range(0, count, block):
        rows = slice(start, min(start + block, count))
        points = basis[rows] if coefficients is None else linear_combinations(coefficients[rows], basis)
        if chain is None:
            losses.append(torch.vmap(functional_loss(model, loss_fn, x, y), chunk_size=chunk)(points))
            continue
        mixture = None if coefficients is None else coefficients[rows]
        losses.append(batched_loss(chain.outputs(points, mixture, first_layer, chunk), y))
    return torch.cat(losses)


def _chunk_size(model: nn.Module, x: Tensor, vectors: Tensor) -> int:
    budget = _CHUNK_BYTES.get(x.device.type, _CHUNK_BYTES["cpu"])
    # The activations of the widest layer; a layer's outputs are the first dimension of its weight.
    widest = max(p.shape[0] for p in model.parameters() if p.ndim > 0)
    network = max(len(x) * widest, x.numel(), vectors.shape[1]) * vectors.element_size()
    return max(1, budget // network)


@dataclass(frozen=True)
class _Chain:
    """A chain split after its frozen front: constant ``inputs`` (d, N), the first trained layer, the rest.

    Activations are held transposed, (B, features, N): the products' long axis is then contiguous.
    """

    inputs: Tensor
    first: nn.Linear
    rest: list[nn.Module]
    output_dim: int
    like: dict[str, Tensor]
    names: dict[int, str]

    @classmethod
    def of(cls, model: nn.Module, x: Tensor) -> "_Chain | None":
        modules = linear_chain(model)
        if modules is None or x.ndim != 2:
            return None
        names = {id(p): name for name, p in model.named_parameters() if p.requires_grad}
        trained = [any(id(p) in names for p in module.parameters()) for module in modules]
        start = trained.index(True)
        inputs = x.clone()
        for module in modules[:start]:
            inputs = module(inputs)
        first, rest = modules[start], modules[start + 1 :]
        output_dim = linear_layers(modules)[-1].out_features
        assert isinstance(first, nn.Linear)
        return cls(inputs.T.contiguous(), first, rest, output_dim, trainable_parameters(model), names)

    def outputs(
        self, points: Tensor, mixture: Tensor | None, first_layer: Tensor | None, chunk: int
    ) -> Tensor:
        """Outputs (B, N, K) at ``points`` (B, P), the rows of ``mixture`` (B, K') times the basis points.

        ``first_layer`` (K', h, N) holds the first layer at those; where it is None the points are used alone.
        """
        result = points.new_empty(len(points), self.output_dim, self.inputs.shape[1])
        parameters = unflatten(points, self.like)
        # One piece of memory for all chunks: fresh pages cost more than the arithmetic.
        workspace = None if first_layer is None else points.new_empty(chunk, first_layer[0].numel())
        for start in range(0, len(points), chunk):
            rows = slice(start, min(start + chunk, len(points)))
            part = {name: p[rows] for name, p in parameters.items()}
            if mixture is None or first_layer is None or workspace is None:
                hidden = self._affine(self.first, part, self.inputs)
            else:
                flat = torch.mm(mixture[rows], first_layer.flatten(1), out=workspace[: rows.stop - start])
                hidden = flat.unflatten(1, first_layer.shape[1:])
            for module in self.rest:
                if isinstance(module, nn.Linear):
                    hidden = self._affine(module, part, hidden)
                else:
                    hidden = _IN_PLACE.get(type(module), module)(hidden)
            result[rows] = hidden
        return result.transpose(1, 2)

    def first_layer(self, basis: Tensor) -> Tensor | None:
        """Pre-activations (K', h, N) of the first trained layer at the basis points (K', P).

        None where a part of that layer is frozen: it is then affine, not linear, in the trained parameters.
        """
        if any(id(p) not in self.names for p in self.first.parameters()):
            return None
        return self._affine(self.first, unflatten(basis, self.like), self.inputs)

    def _affine(self, layer: nn.Linear, parameters: dict[str, Tensor], inputs: Tensor) -> Tensor:
        weight_scale, bias_scale = scales(layer)
        weight = self._value(layer.weight, parameters)
        result = torch.matmul(weight if weight_scale == 1 else weight_scale * weight, inputs)
        if layer.bias is not None:
            bias = self._value(layer.bias, parameters)
            bias = (bias if bias_scale == 1 else bias_scale * bias)[..., None]
            # A frozen weight with a trained bias gives the result its batch only here.
            result = result + bias if bias.ndim > result.ndim else result.add_(bias)
        return result

    def _value(self, parameter: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        name = self.names.get(id(parameter))
        return parameter.detach() if name is None else parameters[name]
