"""Permute one network's hidden units so that they line up with another's."""

import copy
from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from dlexp.measures.chain import ChainLayer, require_chain


class Matching(NamedTuple):
    """A matching of model_b to model_a.

    ``permutations`` holds for each hidden layer the indices (n,): unit i of model_a pairs with unit
    ``permutations[l][i]`` of model_b. ``model`` is a copy of model_b with its units in model_a's order, the
    same function as model_b. ``sweeps`` counts the passes over the layers.
    """

    permutations: list[Tensor]
    model: nn.Module
    sweeps: int


def match_permutation(
    model_a: nn.Module,
    model_b: nn.Module,
    *,
    generator: torch.Generator | None = None,
    max_sweeps: int = 100,
) -> Matching:
    """Match hidden units by their weights: minimise |theta_a - pi(theta_b)|^2 over permutations pi.

    Coordinate descent (Ainsworth et al. 2023, Algorithm 1): with the other layers' permutations held, layer
    l solves a linear assignment problem that maximises <P_l, W_l^a P_(l-1) W_l^b^T + b_l^a b_l^b^T +
    (W_(l+1)^a)^T P_(l+1) W_(l+1)^b>, until a sweep over the layers changes nothing. With one hidden layer
    this is the exact optimum; with more it is a local one, which depends on the order of the layers: from
    input to output, or drawn from ``generator`` for each sweep. Weights and biases enter as they act,
    multiplied by the layers' ``weight_scale`` and ``bias_scale``.

    Neither model is changed. Works on chains of linear layers and elementwise activations.

    Raises ``ValueError`` for other models, different architectures, and weights that are not finite;
    ``RuntimeError`` if ``max_sweeps`` do not suffice.

    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    >>> match_permutation(model, model).permutations
    [tensor([0, 1, 2, 3])]
    """
    layers_a, layers_b = _layers(model_a, model_b)
    a, b = [_effective(layer) for layer in layers_a], [_effective(layer) for layer in layers_b]
    permutations = [torch.arange(layer.linear.out_features) for layer in layers_a[:-1]]
    for sweep in range(1, max_sweeps + 1):
        order = list(range(len(permutations)))
        if generator is not None:
            order = torch.randperm(len(order), generator=generator, device=generator.device).tolist()
        improved = False
        for index in order:
            gains = _gains(a, b, permutations, index)
            proposal = _assign(gains)
            units = torch.arange(len(proposal))
            gain = gains[units, proposal].sum() - gains[units, permutations[index]].sum()
            # Equal optima may alternate for ever; rounding must not count as progress.
            if gain > 1e-12 * gains.abs().sum():
                permutations[index] = proposal
                improved = True
        if not improved:
            return Matching(permutations, _permuted(model_b, permutations), sweep)
    raise RuntimeError(f"the matching still improves after max_sweeps={max_sweeps} sweeps over the layers")


def _layers(model_a: nn.Module, model_b: nn.Module) -> tuple[tuple[ChainLayer, ...], tuple[ChainLayer, ...]]:
    layers_a, layers_b = require_chain(model_a, "model_a"), require_chain(model_b, "model_b")
    if [_described(layer) for layer in layers_a] != [_described(layer) for layer in layers_b]:
        raise ValueError("model_a and model_b must have the same layers, sizes, scales and activations")
    return layers_a, layers_b


def _described(layer: ChainLayer) -> tuple[object, ...]:
    linear = layer.linear
    sizes = (linear.in_features, linear.out_features, linear.bias is not None)
    return *sizes, layer.weight_scale, layer.bias_scale, repr(layer.activation)


@torch.no_grad()
def _effective(layer: ChainLayer) -> tuple[Tensor, Tensor]:
    """Weight (o, i) and bias (o,) as they act, in float64 on the CPU, where the assignment is solved."""
    weight = layer.weight_scale * layer.linear.weight.double().cpu()
    own = layer.linear.bias
    bias = weight.new_zeros(len(weight)) if own is None else layer.bias_scale * own.double().cpu()
    if not bool(weight.isfinite().all() and bias.isfinite().all()):
        raise ValueError("model_a or model_b has weights that are not finite")
    return weight, bias


def _gains(
    a: list[tuple[Tensor, Tensor]], b: list[tuple[Tensor, Tensor]], permutations: list[Tensor], index: int
) -> Tensor:
    """What pairing unit i of a with unit j of b in layer ``index`` adds to <theta_a, pi(theta_b)>, (n, n).

    The weights out of the layer count where it is known how the units that they lead to are paired.
    """
    (weight_a, bias_a), (weight_b, bias_b) = a[index], b[index]
    if index > 0:
        weight_b = weight_b[:, permutations[index - 1]]
    gains = weight_a @ weight_b.T + torch.outer(bias_a, bias_b)
    following_a, following_b = a[index + 1][0], b[index + 1][0]
    if index + 1 < len(permutations):
        following_b = following_b[permutations[index + 1]]
    elif index + 2 < len(a):
        return gains
    return gains + following_a.T @ following_b


def _assign(gains: Tensor) -> Tensor:
    _, columns = linear_sum_assignment(gains.numpy(), maximize=True)
    return torch.from_numpy(columns)


@torch.no_grad()
def _permuted(model: nn.Module, permutations: list[Tensor]) -> nn.Module:
    permuted = copy.deepcopy(model)
    layers = [layer.linear for layer in require_chain(permuted, "model_b")]
    for layer, following, permutation in zip(layers, layers[1:], permutations, strict=False):
        order = permutation.to(layer.weight.device)
        layer.weight.copy_(layer.weight[order])
        if layer.bias is not None:
            layer.bias.copy_(layer.bias[order])
        following.weight.copy_(following.weight[:, order])
    return permuted
