"""How many dimensions a cloud of features fills: linearly, effectively, and as a curved manifold.

Computed in float64 on the features' device. Constant features have dimension 0 in every sense.
"""

import logging
import math

import torch
from torch import Tensor

from dlexp.measures.geometry.features import finite_features

log = logging.getLogger(__name__)


def principal_component_dimension(features: Tensor, *, threshold: float = 0.95) -> int:
    """Return the least number of principal components that hold the share ``threshold`` of the variance.

    Shapes: ``features`` (N, P). Raises ``ValueError`` for other shapes, features that are not finite and a
    threshold outside (0, 1].

    >>> principal_component_dimension(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.1]]))
    1
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold={threshold} is no share of the variance; allowed: above 0, at most 1")
    variances = _principal_variances(features)
    total = variances.sum()
    if total == 0:
        return 0
    # Round-off can leave the last cumulative share just below 1, which a threshold of 1 would never meet.
    reached = variances.cumsum(0) / total >= threshold - 1e-12
    return int(reached.double().argmax()) + 1


def participation_ratio(features: Tensor) -> float:
    """Return ``(sum_i lambda_i)^2 / sum_i lambda_i^2`` over the eigenvalues of the features' covariance.

    It is p for p equal eigenvalues and 1 for one. For n Gaussian samples in p dimensions, about
    p n / (n + p + 1): it cannot exceed the number of samples.

    Shapes: ``features`` (N, P). Raises ``ValueError`` for other shapes and features that are not finite.

    >>> participation_ratio(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))
    2.0
    """
    variances = _principal_variances(features)
    total = variances.sum()
    return (total**2 / variances.square().sum()).item() if total > 0 else 0.0


def two_nn_dimension(features: Tensor, *, discard: float = 0.1, chunk_size: int = 512) -> float:
    """Return the intrinsic dimension from the ratio of the distances to the two nearest neighbours.

    On a manifold of dimension d that is sampled evenly at the scale of two neighbours, mu = r2 / r1 has the
    distribution F(mu) = 1 - mu^-d. With the ratios sorted and F(mu_i) = i / N, d is the slope of the line
    through the origin fitted to (log mu_i, -log(1 - F_i)), without the largest share ``discard`` of the
    ratios (Facco et al. 2017, section "TWO-NN"). Rows that are closer than the precision of their type count
    once. The estimate is low for d above about 10 at practical N.

    There is no estimate, NaN with a line in the log, for two distinct rows, which have no second neighbour,
    and where the median ratio is 1 within that precision, as on a regular grid.

    Shapes: ``features`` (N, P). Raises ``ValueError`` for other shapes, features that are not finite, and
    ``discard`` outside [0, 1).

    >>> line = torch.rand(1000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    >>> round(two_nn_dimension(line * torch.tensor([[1.0, 2.0]])))
    1
    """
    rows = finite_features("features", features)
    if not 0 <= discard < 1:
        raise ValueError(f"discard={discard} is no share of the ratios; allowed: at least 0, below 1")
    points, precision = _distinct(rows, float(torch.finfo(features.dtype).eps), chunk_size)
    n = len(points)
    if n == 1:
        return 0.0
    if n == 2:
        log.warning("two_nn_dimension is NaN: the %d rows are two distinct points", len(features))
        return math.nan
    nearest = [
        # The nearest of all is the point itself.
        _distances(part, points).topk(3, dim=1, largest=False).values[:, 1:]
        for part in points.split(chunk_size)
    ]
    first, second = torch.cat(nearest).unbind(1)
    if int((second - first <= precision).sum()) > n / 2:
        log.warning("two_nn_dimension is NaN: most of %d points have two neighbours at one distance", n)
        return math.nan
    log_ratios = (second / first).log().sort().values
    # F_N = 1 has no logarithm: at least the largest ratio is left out.
    kept = max(1, min(n - 1, math.floor(n * (1 - discard))))
    ranks = torch.arange(1, kept + 1, dtype=torch.float64, device=points.device)
    x, y = log_ratios[:kept], -torch.log1p(-ranks / n)
    return (x @ y / (x @ x)).item()


def _distinct(rows: Tensor, eps: float, chunk_size: int) -> tuple[Tensor, float]:
    """Return the distinct rows (n, P), scaled to size 1, and the precision of their distances."""
    size = rows.abs().max()
    rows = torch.unique(rows, dim=0)
    rows = rows - rows.mean(dim=0)
    # Squares of very small or large numbers would leave the range of float64.
    spread = rows.abs().max()
    if spread == 0:
        return rows[:1], 0.0
    rows = rows / spread
    precision = float(2 * eps * (size / spread) * rows.shape[1] ** 0.5)
    kept = []
    for start in range(0, len(rows), chunk_size):
        part = rows[start : start + chunk_size]
        places = torch.arange(start, start + len(part), device=rows.device)
        earlier = places[:, None] > torch.arange(len(rows), device=rows.device)
        kept.append(~((_distances(part, rows) <= precision) & earlier).any(dim=1))
    return rows[torch.cat(kept)], precision


def _distances(one: Tensor, other: Tensor) -> Tensor:
    # The expanded square (the default for wide rows) would lose the distance of close points.
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")


def _principal_variances(features: Tensor) -> Tensor:
    """Return the descending eigenvalues of the covariance (up to a factor), zero for constant features."""
    x = finite_features("features", features)
    centred = x - x.mean(0)
    variances = torch.linalg.svdvals(centred).square()
    # Round-off in the mean leaves constant features a variance of this order.
    floor = (torch.finfo(torch.float64).eps * x.abs().max()) ** 2 * x.numel() * 4
    return torch.where(variances > floor, variances, 0.0)
