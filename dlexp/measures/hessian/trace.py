"""The trace of the Hessian, estimated with its standard error."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dlexp.measures.arguments import require_at_least
from dlexp.measures.functional import Loss, parameter_vector
from dlexp.measures.hessian.operators import Operator, hessian_operator
from dlexp.measures.hessian.random import Distribution, random_vectors

_PROBES_AT_ONCE = 32


class TraceEstimate(NamedTuple):
    """A mean over random probes.

    Attributes:
        trace: the estimate.
        standard_error: the probes' standard deviation over sqrt(n).
        samples: (n,) the quadratic forms z^T H z.
    """

    trace: float
    standard_error: float
    samples: Tensor


def trace(
    model: nn.Module,
    loss_fn: Loss,
    x: Tensor,
    y: Tensor,
    *,
    n_probes: int = 64,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
    batch_size: int | None = None,
) -> TraceEstimate:
    """Return Hutchinson's estimate of tr H, the mean of z^T H z over random z with E z z^T = I.

    Its variance for each probe is 2 (|H|_F^2 - sum_i H_ii^2) with Rademacher and 2 |H|_F^2 with Gaussian
    probes (Hutchinson 1990; Avron & Toledo 2011).

    ``generator`` None starts a fresh one at seed 0; ``batch_size`` as in
    :func:`~dlexp.measures.hessian.operators.hessian_operator`.

    Raises ``ValueError`` for fewer than 2 probes, which have no standard error, and an unknown distribution.

    >>> from dlexp.measures.functional import mean_squared_error
    >>> model, x, y = nn.Linear(1, 1), torch.ones(4, 1), torch.zeros(4, 1)
    >>> estimate = trace(model, mean_squared_error, x, y)
    >>> abs(estimate.trace - 4) < 4 * estimate.standard_error
    True
    """
    operator = hessian_operator(model, loss_fn, x, y, batch_size=batch_size)
    return hutchinson_trace(
        operator, parameter_vector(model), n_probes=n_probes, distribution=distribution, generator=generator
    )


def hutchinson_trace(
    operator: Operator,
    like: Tensor,
    *,
    n_probes: int = 64,
    distribution: Distribution = "rademacher",
    generator: torch.Generator | None = None,
) -> TraceEstimate:
    """Return Hutchinson's estimate for any operator on vectors like ``like`` (P,); see :func:`trace`.

    >>> hutchinson_trace(lambda v: 2 * v, torch.zeros(5)).trace
    10.0
    """
    require_at_least(2, n_probes=n_probes)  # one has no standard error
    generator = generator or torch.Generator().manual_seed(0)
    samples = []
    for start in range(0, n_probes, _PROBES_AT_ONCE):
        count = min(_PROBES_AT_ONCE, n_probes - start)
        probes = random_vectors(count, like, distribution=distribution, generator=generator)
        samples.append((probes * operator(probes)).sum(dim=1))
    values = torch.cat(samples)
    return TraceEstimate(float(values.mean()), float(values.std()) / n_probes**0.5, values)
