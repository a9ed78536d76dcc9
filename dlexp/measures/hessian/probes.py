"""Random vectors from an explicit generator."""

from typing import Literal

import torch
from torch import Tensor

Distribution = Literal["rademacher", "gaussian"]


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
    if count < 1:
        raise ValueError(f"the number of random vectors is {count}; allowed: 1 or more")
    if distribution not in ("rademacher", "gaussian"):
        raise ValueError(f"distribution={distribution!r} is unknown; allowed: 'rademacher', 'gaussian'")
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
