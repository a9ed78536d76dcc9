"""Dual activations without a closed form, by quadrature with an error bound that is checked.

Expand ``phi(sqrt(q) u) = sum_m a_m(q) h_m(u)`` in the normalised Hermite polynomials of a standard normal u.
By Mehler's formula, for z1, z2 of variances q1, q2 and correlation rho,

    E phi(z1) phi(z2) = sum_m a_m(q1) a_m(q2) rho^m

(Daniely et al. 2016, "dual activation"). The coefficients are integrals over one variable, for which the
trapezoidal rule converges exponentially. By Cauchy-Schwarz and Parseval, M terms leave out at most
``sqrt(r(q1) r(q2))`` with ``r(q) = E phi(z)^2 - sum_{m<M} a_m(q)^2``: terms are added until that is below
``TOLERANCE * sqrt(E phi(z1)^2 E phi(z2)^2)``.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from dlexp.measures.ntk.duals import Dual, Pairs

TOLERANCE = 1e-12
"""The error of each expectation relative to sqrt(E phi(z1)^2 E phi(z2)^2)."""
_FIRST_TERMS = 64
_MOST_TERMS = 8192
_LIMIT = 14.0
_STEP = 0.02

Function = Callable[[Tensor], Tensor]


def _normal_distribution(z: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-z / math.sqrt(2))


def _normal_density(z: Tensor) -> Tensor:
    return (-(z**2) / 2).exp() / math.sqrt(2 * math.pi)


SMOOTH_ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "gelu": (
        lambda z: z * _normal_distribution(z),
        lambda z: _normal_distribution(z) + z * _normal_density(z),
    ),
    "tanh": (torch.tanh, lambda z: 1 / z.cosh() ** 2),
    "sigmoid": (torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z)),
}
"""Activations and their derivatives, by the names that ``infinite_ntk`` takes."""


def smooth_dual(function: Function, derivative: Function, pairs: Pairs, *, name: str) -> Dual:
    """Return the dual of a smooth function of polynomial growth, given with its derivative, to ``TOLERANCE``.

    Raises ``ValueError`` if a variance is so large that 8192 terms do not reach it (tanh: about 60).

    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> dual = smooth_dual(torch.sin, torch.cos, Pairs(one, one, one, 0 * one), name="sine")
    >>> dual.covariance.round(decimals=4)  # (1 - exp(-2)) / 2
    tensor([[0.4323]], dtype=torch.float64)
    """
    variances, position = torch.cat([pairs.variance1[:, 0], pairs.variance2[0]]).unique(return_inverse=True)
    nodes = torch.arange(-_LIMIT, _LIMIT + _STEP / 2, _STEP, dtype=torch.float64, device=variances.device)
    weights = _normal_density(nodes) * _STEP
    arguments = variances.sqrt()[:, None] * nodes
    values = torch.cat([function(arguments), derivative(arguments)])
    moments = values**2 @ weights
    of_function, of_derivative = _coefficients(values, nodes, weights, moments, name).chunk(2)
    own = moments[: len(variances)]
    at1, at2 = position[: len(pairs.variance1)], position[len(pairs.variance1) :]
    scale = (pairs.variance1 * pairs.variance2).sqrt()
    correlation = torch.where(scale > 0, pairs.covariance / scale, 0.0).clamp(-1, 1)
    covariance = _mehler_sum(of_function[at1], of_function[at2], correlation)
    slope = _mehler_sum(of_derivative[at1], of_derivative[at2], correlation)
    own1, own2 = own[at1][:, None], own[at2][None, :]
    return Dual(own1, own2, covariance, slope, ((own1 * own2).sqrt() - covariance).clamp(min=0))


def _mehler_sum(first: Tensor, second: Tensor, correlation: Tensor) -> Tensor:
    """Return sum_m first[i, m] second[j, m] correlation[i, j]^m by Horner's rule."""
    total = torch.zeros_like(correlation)
    for m in reversed(range(first.shape[1])):
        total.mul_(correlation).addcmul_(first[:, m, None], second[None, :, m])
    return total


def _coefficients(values: Tensor, nodes: Tensor, weights: Tensor, moments: Tensor, name: str) -> Tensor:
    """Return the Hermite coefficients (Q, M) of the rows of ``values``, with M large enough for each."""
    root = weights.sqrt()
    # Polynomials times the root of the weight, which stay bounded where the polynomials alone overflow.
    before, current = torch.zeros_like(root), root
    blocks: list[Tensor] = []
    rest, terms = moments.clone(), 0
    while terms < _MOST_TERMS:
        columns = []
        for m in range(terms, terms + max(_FIRST_TERMS, terms)):
            columns.append(current)
            before, current = current, (nodes * current - math.sqrt(m) * before) / math.sqrt(m + 1)
        terms += len(columns)
        blocks.append((values * root) @ torch.stack(columns, dim=1))
        rest -= (blocks[-1] ** 2).sum(1)
        if bool((rest <= TOLERANCE * moments).all()):
            return torch.cat(blocks, dim=1)
    raise ValueError(
        f"the variances of the pre-activations are too large for {name}: {_MOST_TERMS} Hermite terms leave "
        f"{float((rest / moments).max()):.0e} of a second moment; lower weight_std, bias_std or the inputs"
    )
