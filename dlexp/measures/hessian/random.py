"""Random vectors, and how often a random matrix is positive definite, from an explicit generator."""

from typing import Literal

import torch
from torch import Tensor

from dlexp.measures.arguments import require_at_least, require_one_of

Distribution = Literal["rademacher", "gaussian"]

_MATRICES_AT_ONCE = 100_000


def random_vectors(
    count: int,
    like: Tensor,
    *,
    distribution: Distribution = "gaussian",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return ``count`` random vectors (count, P) with independent entries of mean 0 and variance 1.

    ``like`` (P,) gives size, type and device. The numbers are drawn in float64 on the generator's device, row
    by row, so they depend neither on the type nor on how many rows are drawn at once. ``generator`` None
    starts a fresh one at seed 0: the same vectors at every call.

    Raises ``ValueError`` for an unknown distribution or a count below 1.

    >>> random_vectors(2, torch.zeros(3), distribution="rademacher").abs()
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    require_at_least(1, count=count)
    require_one_of(("rademacher", "gaussian"), distribution=distribution)
    generator = generator or torch.Generator().manual_seed(0)
    result = like.new_empty(count, len(like))
    for row in result:
        if distribution == "gaussian":
            draw = torch.randn(len(like), dtype=torch.float64, device=generator.device, generator=generator)
        else:
            bits = torch.randint(2, (len(like),), device=generator.device, generator=generator)
            draw = 2.0 * bits - 1.0
        row.copy_(draw)
    return result


def goe_positive_definite_share(dimension: int, samples: int, *, generator: torch.Generator) -> float:
    """Return the share of positive definite matrices among ``samples`` of the Gaussian orthogonal ensemble.

    A null model of minima among critical points. A = (G + G^T) / 2 with G (d, d) of independent standard
    normal entries. Eigenvalues of independent signs would give 2^-d, but eigenvalues repel each other: the
    share is (2 - sqrt 2) / 4 for d = 2, (pi - 2 sqrt 2) / (4 pi) for d = 3 and falls as exp(-d^2 log(3) / 4)
    (Dean & Majumdar 2006).

    Raises ``ValueError`` for a dimension or a number of samples below 1.

    >>> 0.14 < goe_positive_definite_share(2, 10_000, generator=torch.Generator().manual_seed(0)) < 0.16
    True
    """
    require_at_least(1, dimension=dimension, samples=samples)
    positive = 0
    for first in range(0, samples, _MATRICES_AT_ONCE):
        count = min(_MATRICES_AT_ONCE, samples - first)
        g = torch.randn(count, dimension, dimension, dtype=torch.float64, generator=generator)
        # The Cholesky decomposition exists for positive definite matrices alone.
        failures = torch.linalg.cholesky_ex(g + g.mT).info
        positive += int((failures == 0).sum())
    return positive / samples
