"""Dual activations in closed form: Gaussian expectations of pairs of activations and of their derivatives."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Gaussian pre-activations (z1, z2) of each pair of inputs: variances, covariance and angle.

    Shapes: ``variance1`` (N1, 1), ``variance2`` (1, N2), ``covariance`` and ``angle`` (N1, N2). The angle,
    with ``covariance = sqrt(variance1 variance2) cos(angle)``, is kept beside the covariance because the
    arccosine of a correlation near 1 has lost half of its digits.
    """

    variance1: Tensor
    variance2: Tensor
    covariance: Tensor
    angle: Tensor


class Dual(NamedTuple):
    """E phi(z1)^2, E phi(z2)^2, E phi(z1) phi(z2), E phi'(z1) phi'(z2) and the Cauchy-Schwarz gap.

    The gap is ``sqrt(E phi(z1)^2 E phi(z2)^2) - E phi(z1) phi(z2)``, from which the next angle follows.
    """

    variance1: Tensor
    variance2: Tensor
    covariance: Tensor
    derivative: Tensor
    gap: Tensor


def relu_dual(pairs: Pairs) -> Dual:
    """Return the arc-cosine kernels of degree 1 and 0 (Cho & Saul 2009, eq. 3 to 6).

    >>> one = torch.ones(1, 1)
    >>> relu_dual(Pairs(one, one, one, 0 * one)).covariance
    tensor([[0.5000]])
    """
    scale = (pairs.variance1 * pairs.variance2).sqrt()
    angle, rest = pairs.angle, math.pi - pairs.angle
    covariance = scale / (2 * math.pi) * (angle.sin() + rest * angle.cos())
    # pi (1 - cos) - sin + angle cos, without subtracting numbers near pi.
    gap = scale / (2 * math.pi) * (2 * math.pi * (angle / 2).sin() ** 2 - angle.sin() + angle * angle.cos())
    return Dual(pairs.variance1 / 2, pairs.variance2 / 2, covariance, rest / (2 * math.pi), gap.clamp(min=0))


def erf_dual(pairs: Pairs) -> Dual:
    """Return the arc-sine kernel (Williams 1997, eq. 11) and its derivative's.

    >>> one = torch.ones(1, 1)
    >>> erf_dual(Pairs(one, one, 0 * one, one)).covariance
    tensor([[0.]])
    """
    one, two, covariance = pairs.variance1, pairs.variance2, pairs.covariance
    product = (1 + 2 * one) * (1 + 2 * two)
    expected = 2 / math.pi * torch.asin(2 * covariance / product.sqrt())
    derivative = 4 / math.pi / (product - 4 * covariance**2).sqrt()
    own1, own2 = (2 / math.pi * torch.asin(2 * own / (1 + 2 * own)) for own in (one, two))
    return Dual(own1, own2, expected, derivative, ((own1 * own2).sqrt() - expected).clamp(min=0))


def linear_dual(pairs: Pairs) -> Dual:
    """Return the identity's: the pre-activations' own covariance and 1.

    >>> one = torch.ones(1, 1)
    >>> linear_dual(Pairs(one, one, 0.5 * one, one)).covariance
    tensor([[0.5000]])
    """
    gap = (pairs.variance1 * pairs.variance2).sqrt() - pairs.covariance
    ones = torch.ones_like(pairs.covariance)
    return Dual(pairs.variance1, pairs.variance2, pairs.covariance, ones, gap.clamp(min=0))
