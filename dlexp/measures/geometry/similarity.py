"""Centred kernel alignment (CKA) with linear kernels between the features of two layers or two networks."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dlexp.measures.geometry.features import finite_features


def linear_cka(x: Tensor, y: Tensor, *, debiased: bool = True) -> float:
    """Return ``HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))`` for the kernels K = x x^T and L = y y^T.

    1 for features that differ by an orthogonal map, a scale and a shift. The debiased form uses the
    unbiased estimator of HSIC (Song et al. 2012) and is about 0 for independent features. The biased
    form (Kornblith et al. 2019), ``|xc^T yc|^2 / (|xc^T xc| |yc^T yc|)`` in Frobenius norms with
    centred features, is large for any features as soon as P is not small against N: .667 for independent
    Gaussians with N = 100, P = 200.

    NaN where a kernel is constant, so that nothing can be aligned. Shapes: ``x`` (N, P), ``y`` (N, Q). Raises
    ``ValueError`` for other shapes, features that are not finite, and N < 4 (debiased) or N < 2.

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> round(linear_cka(x, 2 * x + 1), 4)
    1.0
    """
    pair = [_centred("x", x, len(x), debiased), _centred("y", y, len(x), debiased)]
    own = [_hsic(features, features, debiased) for features in pair]
    # Features have unit norm here: below this lies the round-off of a constant kernel.
    if min(own) <= 16 * torch.finfo(torch.float64).eps:
        return math.nan
    return _hsic(pair[0], pair[1], debiased) / math.sqrt(own[0] * own[1])


def cka_matrix(
    features: Mapping[str, Tensor], other: Mapping[str, Tensor] | None = None, *, debiased: bool = True
) -> Tensor:
    """Return the CKA of every layer with every layer, (layers, layers of ``other``), float64 on the CPU.

    ``other`` is the same inputs' features in another network; default: the same network. See
    :func:`linear_cka`.

    >>> x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    >>> cka_matrix({"0": x, "1": x}, {"0": x}).shape
    torch.Size([2, 1])
    """
    columns = features if other is None else other
    result = torch.empty(len(features), len(columns), dtype=torch.float64)
    for i, x in enumerate(features.values()):
        for j, y in enumerate(columns.values()):
            if other is None and j < i:
                result[i, j] = result[j, i]
            else:
                result[i, j] = linear_cka(x, y, debiased=debiased)
    return result


def _centred(name: str, features: Tensor, n: int, debiased: bool) -> Tensor:
    x = finite_features(name, features, least_rows=4 if debiased else 2)
    if len(x) != n:
        raise ValueError(f"{name} has {len(x)} rows where x has {n}; allowed: the same number")
    # CKA is free of scale: with entries and norms of order 1 no product overflows or underflows.
    x = x / x.abs().max().clamp_min(torch.finfo(torch.float64).tiny)
    floor = 4 * torch.finfo(torch.float64).eps * x.norm()
    x = x - x.mean(0)
    norm = x.norm()
    return x / norm if norm > floor else torch.zeros_like(x)


def _hsic(x: Tensor, y: Tensor, debiased: bool) -> float:
    """Return HSIC up to a factor of N alone, which cancels in CKA."""
    n = len(x)
    # |x^T y|^2 = sum of K o L: the smaller of the two matrices.
    if x.shape[1] * y.shape[1] <= n * n:
        product = (x.T @ y).square().sum()
    else:
        product = ((x @ x.T) * (y @ y.T)).sum()
    if not debiased:
        return product.item()
    # The estimator of Song et al. 2012 without forming its K~ and L~ (K and L with zero diagonals). The
    # features are centred, which leaves it unchanged, so the rows of K sum to 0 and those of K~ to -diag K.
    k, m = x.square().sum(1), y.square().sum(1)
    trace = product - k @ m
    sums = k.sum() * m.sum() / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * (k @ m)).item()
