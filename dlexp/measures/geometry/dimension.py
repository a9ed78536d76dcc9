"""How many dimensions a cloud of features fills: linearly, effectively, and as a curved manifold.

Computed in float64 on the features' device. Constant features have dimension 0 in every sense.
"""

import math

import torch
from torch import Tensor


def principal_component_dimension(features: Tensor, *, threshold: float = 0.95) -> int:
    """Return the least number of principal components that hold the share ``threshold`` of the variance.

    Shapes: ``features`` (N, P). Raises ``ValueError`` for other shapes, features that are not finite and a
    threshold outside (0, 1].
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
    """
    variances = _principal_variances(features)
    total = variances.sum()
    return (total**2 / variances.square().sum()).item() if total > 0 else 0.0


def two_nn_dimension(features: Tensor, *, discard: float = 0.1, chunk_size: int = 512) -> float:
    """Return the intrinsic dimension from the ratio of the distances to the two nearest neighbours.

    On a manifold of dimension d that is sampled evenly at the scale of two neighbours, mu = r2 / r1 has the
    distribution F(mu) = 1 - mu^-d. With the ratios sorted and F(mu_i) = i / N, d is the slope of the line
    through the origin fitted to (log mu_i, -log(1 - F_i)), without the largest share ``discard`` of the
    ratios (Facco et al. 2017, section "TWO-NN"). Repeated rows count once; with two distinct rows there is no
    second neighbour and the result is NaN. The estimate is low for d above about 10 at practical N.

    Shapes: ``features`` (N, P). Raises ``ValueError`` for other shapes, features that are not finite, and
    ``discard`` outside [0, 1).
    """
    _check(features)
    if not 0 <= discard < 1:
        raise ValueError(f"discard={discard} is no share of the ratios; allowed: at least 0, below 1")
    points = torch.unique(features.double(), dim=0)
    n = len(points)
    if n == 1:
        return 0.0
    if n == 2:
        return math.nan
    nearest = []
    for chunk in points.split(chunk_size):
        # The expanded square (the default for wide rows) would lose the distance of close points.
        distances = torch.cdist(chunk, points, compute_mode="donot_use_mm_for_euclid_dist")
        nearest.append(distances.topk(3, dim=1, largest=False).values[:, 1:])
    first, second = torch.cat(nearest).unbind(1)
    log_ratios = (second / first).log().sort().values
    # F_N = 1 has no logarithm: at least the largest ratio is left out.
    kept = max(1, min(n - 1, math.floor(n * (1 - discard))))
    ranks = torch.arange(1, kept + 1, dtype=torch.float64, device=points.device)
    x, y = log_ratios[:kept], -torch.log1p(-ranks / n)
    return (x @ y / (x @ x)).item()


def _principal_variances(features: Tensor) -> Tensor:
    """Return the descending eigenvalues of the covariance (up to a factor), zero for constant features."""
    _check(features)
    x = features.double()
    centred = x - x.mean(0)
    variances = torch.linalg.svdvals(centred).square()
    # Round-off in the mean leaves constant features a variance of this order.
    floor = (torch.finfo(torch.float64).eps * x.abs().max()) ** 2 * x.numel() * 4
    return torch.where(variances > floor, variances, 0.0)


def _check(features: Tensor) -> None:
    if features.ndim != 2 or features.numel() == 0:
        raise ValueError(f"features has the shape {tuple(features.shape)}; allowed: (N, P) with N, P >= 1")
    if not bool(torch.isfinite(features).all()):
        raise ValueError("features holds numbers that are not finite; allowed: finite numbers")
