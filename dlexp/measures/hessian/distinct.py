"""What searches of critical points have found: which points are the same, how index and loss go together."""

import math

from torch import Tensor

from dlexp.measures.hessian.critical_point_search import FoundPoint

# Copies of a point under the network's symmetries have its loss; other points differ by much more.
_SAME_LOSS = 1e-6


def distinct_points(found: FoundPoint) -> list[int]:
    """Return the positions of one converged search for each pair of index and loss, by index, then loss.

    Points that a symmetry of the network maps onto each other have the same of both.

    >>> import torch
    >>> zeros, same = torch.zeros(3), torch.ones(3, dtype=torch.bool)
    >>> loss = torch.tensor([2.0, 1.0, 2.0])
    >>> distinct_points(FoundPoint(zeros, loss, zeros, zeros, zeros, same, zeros))
    [1, 0]
    """
    converged = found.converged.nonzero()[:, 0].tolist()
    points: list[int] = []
    for i in sorted(converged, key=lambda i: (int(found.index[i]), float(found.loss[i]))):
        is_known = (
            bool(points)
            and bool(found.index[points[-1]] == found.index[i])
            and math.isclose(found.loss[points[-1]], found.loss[i], rel_tol=_SAME_LOSS)
        )
        if not is_known:
            points.append(i)
    return points


def rank_correlation(x: Tensor, y: Tensor) -> float:
    """Return Spearman's rank correlation of two quantities (n,); NaN where one does not vary.

    >>> import torch
    >>> rank_correlation(torch.tensor([0, 1, 2]), torch.tensor([0.1, 0.5, 7.0]))
    1.0
    """
    from scipy.stats import spearmanr

    varies = len(x.unique()) > 1 and len(y.unique()) > 1
    return float(spearmanr(x, y).statistic) if varies else math.nan
