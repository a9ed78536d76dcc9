"""Principal components of a trajectory of parameters, and what a random walk would show."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from dlexp.measures.arguments import require_one_of


class TrajectoryComponents(NamedTuple):
    """The principal components of a trajectory.

    ``origin`` (P,) is what was subtracted, ``directions`` (k, P) are orthonormal, ``coordinates`` (T, k)
    place the trajectory's points, ``explained_variance`` (k,) are the shares of the variance about the
    origin.
    """

    origin: Tensor
    directions: Tensor
    coordinates: Tensor
    explained_variance: Tensor


def trajectory_components(vectors: Tensor, count: int = 2, *, center: str = "mean") -> TrajectoryComponents:
    """Return the first ``count`` principal components of parameters over time, ``vectors`` (T, P).

    The singular value decomposition of the centred points; ``center="mean"`` subtracts their mean (to be
    compared with :func:`random_walk_explained_variance`), ``center="last"`` the last point, so that the
    plane goes through the solution (Li et al. 2018, section 7.2). Each direction's sign is such that the
    trajectory's first coordinate is not positive.

    Raises ``ValueError`` for an unknown ``center``, for points that are all equal or not finite, and if
    ``count`` is not between 1 and min(T - 1, P).

    >>> trajectory_components(torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]]), 1).explained_variance
    tensor([1.])
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must have shape (T, P), got {tuple(vectors.shape)}")
    require_one_of(("mean", "last"), center=center)
    largest = min(len(vectors) - 1, vectors.shape[1])
    if not 1 <= count <= largest:
        raise ValueError(f"count={count} must be between 1 and {largest} for vectors {tuple(vectors.shape)}")
    if not bool(vectors.isfinite().all()):
        raise ValueError("vectors holds values that are not finite")
    origin = vectors.mean(dim=0) if center == "mean" else vectors[-1]
    centred = vectors - origin
    left, singular, right = torch.linalg.svd(centred, full_matrices=False)
    variance = singular**2
    if not bool(variance.sum() > 0):
        raise ValueError("vectors are all equal, so the trajectory has no direction")
    signs = torch.where(left[0, :count] > 0, -1.0, 1.0).to(vectors)
    directions = right[:count] * signs[:, None]
    return TrajectoryComponents(
        origin.clone(),
        directions,
        left[:, :count] * (singular[:count] * signs),
        variance[:count] / variance.sum(),
    )


def random_walk_explained_variance(count: int, *, steps: int | None = None) -> Tensor:
    """Return the variance shares (count,) of a random walk's principal components in very high dimension.

    6 / (pi k)^2 for component k of a long walk (Antognini & Sohl-Dickstein 2018): .608, .152, .068, ... For a
    walk of ``steps`` points the exact shares are those of the eigenvalues 1 / (2 - 2 cos(pi k / steps)),
    k = 1 .. steps - 1, of the centred walk's covariance. A trajectory that explains no more than this shows
    nothing that drift in all directions would not.

    Raises ``ValueError`` if ``count`` is below 1 or not below ``steps``.

    >>> random_walk_explained_variance(2).round(decimals=3)
    tensor([0.6080, 0.1520], dtype=torch.float64)
    """
    if count < 1 or (steps is not None and count >= steps):
        raise ValueError(f"count={count} must be at least 1 and below the number of points, {steps}")
    if steps is None:
        return 6 / (math.pi * torch.arange(1, count + 1, dtype=torch.float64)) ** 2
    k = torch.arange(1, steps, dtype=torch.float64)
    eigenvalues = 1 / (2 - 2 * torch.cos(math.pi * k / steps))
    return eigenvalues[:count] / eigenvalues.sum()
