"""How often a random symmetric matrix is positive definite: a null model of minima among critical points."""

import torch

_CHUNK = 100_000


def goe_positive_definite_share(dimension: int, samples: int, *, generator: torch.Generator) -> float:
    """Return the share of positive definite matrices among ``samples`` of the Gaussian orthogonal ensemble.

    A = (G + G^T) / 2 with G (d, d) of independent standard normal entries. Eigenvalues of independent signs
    would give 2^-d, but eigenvalues repel each other: the share is (2 - sqrt 2) / 4 for d = 2, (pi - 2 sqrt
    2) / (4 pi) for d = 3 and falls as exp(-d^2 log(3) / 4) (Dean & Majumdar 2006).

    Raises ``ValueError`` for a dimension or a number of samples below 1.

    >>> 0.14 < goe_positive_definite_share(2, 10_000, generator=torch.Generator().manual_seed(0)) < 0.16
    True
    """
    for name, value in (("dimension", dimension), ("samples", samples)):
        if value < 1:
            raise ValueError(f"{name}={value} is too small; allowed: 1 or more")
    positive = 0
    for first in range(0, samples, _CHUNK):
        count = min(_CHUNK, samples - first)
        g = torch.randn(count, dimension, dimension, dtype=torch.float64, generator=generator)
        # The Cholesky decomposition exists for positive definite matrices alone.
        failures = torch.linalg.cholesky_ex(g + g.mT).info
        positive += int((failures == 0).sum())
    return positive / samples
