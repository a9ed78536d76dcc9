"""Class separation: the spread of the features within classes against that between classes.

With class means mu_c, their mean mu_G, and the average over a class's samples inside an average over the
classes (every class counts the same, however many samples it has): ``Sigma_W = Ave_c Ave_i (h_ic -
mu_c)(h_ic - mu_c)^T`` and ``Sigma_B = Ave_c (mu_c - mu_G)(mu_c - mu_G)^T``.
"""

import math

import torch
from torch import Tensor


def variability_collapse(features: Tensor, labels: Tensor) -> float:
    """Return ``tr(Sigma_W pinv(Sigma_B)) / C`` for C classes: NC1 of Papyan, Han & Donoho (2020).

    0 when every class has collapsed to its mean, infinite when all class means coincide. Invariant under
    rotations and scale.

    Shapes: ``features`` (N, P), ``labels`` (N,) integers. Raises ``ValueError`` for other shapes or types,
    features that are not finite and fewer than two classes.

    >>> x, labels = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    >>> variability_collapse(x, labels) < 0.1
    True
    """
    deviations, means, weights = _scatter(features, labels)
    classes = len(means)
    _, singular, directions = torch.linalg.svd(means, full_matrices=False)
    # Centred means have rank C - 1 at most; the tolerance also knows the round-off of means that coincide.
    eps = torch.finfo(torch.float64).eps
    scale = torch.maximum(singular[0], features.double().abs().max() * math.sqrt(means.numel()))
    kept = singular > max(means.shape) * eps * scale
    if not bool(kept.any()):
        return math.inf
    within = weights @ (deviations @ directions[kept].T).square()
    between = singular[kept].square() / classes
    collapse: float = ((within / between).sum() / classes).item()
    return collapse


def fisher_ratio(features: Tensor, labels: Tensor) -> float:
    """Return ``tr(Sigma_B) / tr(Sigma_W)``: the variance between the classes over that within them.

    0 when all class means coincide, infinite when every class has collapsed to its mean (NaN when both, for
    constant features). Invariant under rotations and scale.

    Shapes and errors: as :func:`variability_collapse`.

    >>> x, labels = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    >>> fisher_ratio(x, labels) > 10
    True
    """
    deviations, means, weights = _scatter(features, labels)
    within = weights @ deviations.square().sum(1)
    between = means.square().sum() / len(means)
    ratio: float = (between / within).item()
    return ratio


def _scatter(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return deviations from the class means (N, P), centred class means (C, P), sample weights (N,)."""
    if features.ndim != 2 or features.numel() == 0:
        raise ValueError(f"features has the shape {tuple(features.shape)}; allowed: (N, P) with N, P >= 1")
    if not bool(torch.isfinite(features).all()):
        raise ValueError("features holds numbers that are not finite; allowed: finite numbers")
    n = len(features)
    if labels.shape != (n,) or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels is {labels.dtype} of shape {tuple(labels.shape)}; allowed: integers ({n},)")
    _, index, counts = labels.to(features.device).unique(return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise ValueError("labels holds one class; allowed: two or more")
    x = features.double()
    one_hot = torch.nn.functional.one_hot(index).double()
    means = one_hot.T @ x / counts[:, None]
    weights = 1 / (len(counts) * counts.double())[index]
    return x - means[index], means - means.mean(0), weights
