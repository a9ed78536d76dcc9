"""Class separation: the spread of the features between classes against that within them."""

import torch
from torch import Tensor

from dlexp.measures.geometry.features import finite_features, require_labels


def fisher_ratio(features: Tensor, labels: Tensor) -> float:
    """Return ``tr(Sigma_B) / tr(Sigma_W)``: the variance between the classes over that within them.

    With class means mu_c, their mean mu_G, and the average over a class's samples inside an average over the
    classes (every class counts the same, however many samples it has): ``Sigma_W = Ave_c Ave_i (h_ic -
    mu_c)(h_ic - mu_c)^T`` and ``Sigma_B = Ave_c (mu_c - mu_G)(mu_c - mu_G)^T``.

    0 when all class means coincide, infinite when every class has collapsed to its mean (NaN when both, for
    constant features). Invariant under rotations and scale.

    Shapes: ``features`` (N, P), ``labels`` (N,) integers. Raises ``ValueError`` for other shapes or types,
    features that are not finite and fewer than two classes.

    >>> x, labels = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    >>> fisher_ratio(x, labels) > 10
    True
    """
    x = finite_features("features", features)
    require_labels("labels", labels, len(x))
    _, index, counts = labels.to(x.device).unique(return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise ValueError("labels holds one class; allowed: two or more")
    means = torch.nn.functional.one_hot(index).double().T @ x / counts[:, None]
    weights = 1 / (len(counts) * counts.double())[index]
    within = weights @ (x - means[index]).square().sum(1)
    between = (means - means.mean(0)).square().sum() / len(means)
    ratio: float = (between / within).item()
    return ratio
