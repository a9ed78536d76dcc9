"""The way of a network through weight space, in the plane of its first two principal components."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dlexp.measures.landscape import random_walk_explained_variance, trajectory_components

FEWEST_POINTS = 3  # to have two principal components


@dataclass(frozen=True)
class Trajectory:
    """A trajectory beside a random walk of as many points.

    Attributes:
        directions: (2, P), the usual, centred components, so that their shares of the variance can be
            compared with a random walk's.
        coordinates: (T, 2), relative to the last point; None where there are no two components.
        shares, random_walk: (2,) of the variance.
    """

    directions: Tensor
    coordinates: npt.NDArray[Any] | None
    shares: Tensor
    random_walk: Tensor

    @classmethod
    def of(cls, points: Sequence[Tensor]) -> "Trajectory":
        """Return that of T points (P,).

        >>> steps = torch.tensor([[0.0, 0.0], [3.0, 1.0], [6.0, 0.0]])
        >>> Trajectory.of(list(steps)).coordinates[0].round(3).tolist()
        [-6.0, 0.0]
        """
        vectors = torch.stack(list(points)).cpu().double()
        walk = random_walk_explained_variance(2, steps=max(len(vectors), FEWEST_POINTS))
        if len(vectors) < FEWEST_POINTS or vectors.shape[1] < 2 or bool((vectors == vectors[0]).all()):
            return cls(torch.zeros(2, vectors.shape[1]), None, torch.full((2,), math.nan), walk)
        found = trajectory_components(vectors)
        coordinates = (vectors - vectors[-1]) @ found.directions.T
        return cls(found.directions, np.asarray(coordinates), found.explained_variance, walk)

    @property
    def metrics(self) -> dict[str, float]:
        """The shares of the variance, by the names of the callback landscape."""
        both = {"explained_variance": self.shares, "random_walk_variance": self.random_walk}
        return {f"landscape/{name}_{k + 1}": float(both[name][k]) for name in both for k in range(2)}

    @property
    def labels(self) -> tuple[str, str]:
        """The names of the plane's axes."""
        first, second = (
            f"component {k + 1}: {100 * self.shares[k]:.0f} % of the variance\n"
            f"(random walk {100 * self.random_walk[k]:.0f} %)"
            for k in range(2)
        )
        return first, second
