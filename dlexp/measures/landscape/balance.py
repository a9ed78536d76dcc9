"""The scale freedom of ReLU networks: use it, or fix it by balancing each unit's weights."""

import copy

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_positive
from dlexp.measures.chain import require_chain

_HOMOGENEOUS = (type(None), nn.LeakyReLU, nn.ReLU)


@torch.no_grad()
def balance_relu_units(model: nn.Module, *, max_sweeps: int = 1000) -> nn.Module:
    """Return a copy of ``model`` with the same function and balanced hidden units.

    A ReLU unit's incoming weights and bias times c > 0 and its outgoing weights over c leave the function
    unchanged, but move every landscape and sharpness (Dinh et al. 2017). Of all these equivalent networks
    the copy is the one with the smallest sum of squared parameters: each unit's incoming norm (with its
    bias) equals its outgoing norm (Stock et al. 2019, which also shows that this point is unique and that
    scaling the units in turn, c^2 = |outgoing| / |incoming|, converges to it). So two networks that differ
    by a rescaling of units are balanced to the same point, and filter-normalised surfaces of balanced
    networks compare functions.

    Units without incoming or without outgoing weights do not matter to the function and stay as they are.

    Raises ``ValueError`` unless the model is a chain of linear layers with ReLU, leaky ReLU or identity
    activations, with finite weights; ``RuntimeError`` if ``max_sweeps`` do not suffice.

    >>> balanced = balance_relu_units(nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)))
    >>> torch.allclose(balanced[0].weight.norm(dim=1), balanced[2].weight.norm(dim=0))
    True
    """
    balanced, layers = _rescalable_copy(model)
    weights = [layer.weight.double() for layer in layers]
    biases = [None if layer.bias is None else layer.bias.double() for layer in layers]
    if not all(bool(w.isfinite().all()) for w in [*weights, *(b for b in biases if b is not None)]):
        raise ValueError("model has weights that are not finite")
    tolerance = 1e-13
    for _ in range(max_sweeps):
        change = 0.0
        for index in range(len(layers) - 1):
            factor = _factor(weights[index], biases[index], weights[index + 1])
            weights[index] = weights[index] * factor[:, None]
            weights[index + 1] = weights[index + 1] / factor
            bias = biases[index]
            biases[index] = None if bias is None else bias * factor
            change = max(change, float(factor.log().abs().max()))
        if change < tolerance:
            break
    else:
        raise RuntimeError(
            f"the units are not balanced after max_sweeps={max_sweeps} sweeps (change {change:.1e})"
        )
    for layer, weight, bias in zip(layers, weights, biases, strict=True):
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return balanced


@torch.no_grad()
def rescale_first_layer(model: nn.Module, factor: float) -> nn.Module:
    """Return a copy of ``model``, the same function, its first layer times ``factor`` and the second over it.

    The first layer's biases are multiplied too, the second's stay (Dinh et al. 2017, section 3).

    Raises ``ValueError`` for a factor that is not positive and finite, and unless the model is a chain of at
    least two linear layers with ReLU, leaky ReLU or identity activations.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> torch.allclose(rescale_first_layer(model, 2.0)[0].weight, 2 * model[0].weight)
    True
    """
    require_positive(factor=factor)
    rescaled, layers = _rescalable_copy(model)
    if len(layers) < 2:
        raise ValueError("model has one linear layer; two are needed to rescale one against the other")
    first, second = layers[:2]
    first.weight.mul_(factor)
    if first.bias is not None:
        first.bias.mul_(factor)
    second.weight.div_(factor)
    return rescaled


def _rescalable_copy(model: nn.Module) -> tuple[nn.Module, list[nn.Linear]]:
    """Return a copy of ``model`` and the copy's linear layers."""
    for layer in require_chain(model, "model"):
        kind = type(layer.activation)
        if kind not in _HOMOGENEOUS:
            raise ValueError(f"model holds {kind.__name__}; only ReLU, LeakyReLU and Identity units rescale")
    copied = copy.deepcopy(model)
    return copied, [layer.linear for layer in require_chain(copied, "model")]


def _factor(weight: Tensor, bias: Tensor | None, following: Tensor) -> Tensor:
    """What each unit's incoming weights are multiplied with, (n,)."""
    incoming = weight.norm(dim=1) if bias is None else torch.cat([weight, bias[:, None]], dim=1).norm(dim=1)
    outgoing = following.norm(dim=0)
    live = (incoming > 0) & (outgoing > 0)
    return torch.where(live, outgoing / incoming, 1.0).sqrt()
