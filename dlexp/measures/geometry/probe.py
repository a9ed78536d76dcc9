"""Linear probes: how well a linear model reads the targets off a layer's features (Alain & Bengio 2017)."""

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor

from dlexp.measures.arguments import require_positive
from dlexp.measures.geometry.features import finite_features, require_labels

FloatArray = npt.NDArray[np.float64]


class ProbeResult(NamedTuple):
    """Errors of a probe; ``converged`` is False if the optimiser stopped at its limit of iterations."""

    train_error: float
    test_error: float
    converged: bool


def classification_probe(
    train_features: Tensor,
    train_labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    *,
    regularization: float = 1.0,
    max_iterations: int = 1000,
) -> ProbeResult:
    """Return the fractions of samples that multinomial logistic regression puts into the wrong class.

    Minimises ``sum_i cross_entropy_i + regularization / 2 |W|^2`` on features standardised by the mean and
    the standard deviation of the training features (constant features are only centred); the intercept is
    free. With two classes W is the one weight vector of binary logistic regression.

    Shapes: features (N, P), labels (N,) of an integer type. Raises ``ValueError`` for other shapes or types,
    features that are not finite, fewer than two classes and regularization <= 0.

    >>> x, labels = torch.tensor([[0.0], [1.0], [10.0], [11.0]]), torch.tensor([0, 0, 1, 1])
    >>> classification_probe(x, labels, x, labels).test_error
    0.0
    """
    train, test = _standardised(train_features, test_features)
    require_labels("train_labels", train_labels, len(train))
    require_labels("test_labels", test_labels, len(test))
    require_positive(regularization=regularization)
    targets = [labels.long().cpu().numpy() for labels in (train_labels, test_labels)]
    if len(np.unique(targets[0])) < 2:
        raise ValueError("train_labels holds one class; allowed: two or more")
    probe = LogisticRegression(C=1 / regularization, max_iter=max_iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by `converged`
        probe.fit(train, targets[0])
    errors = [float(np.mean(probe.predict(x) != y)) for x, y in zip((train, test), targets, strict=True)]
    return ProbeResult(errors[0], errors[1], bool(np.max(probe.n_iter_) < max_iterations))


def regression_probe(
    train_features: Tensor,
    train_targets: Tensor,
    test_features: Tensor,
    test_targets: Tensor,
    *,
    regularization: float = 1.0,
) -> ProbeResult:
    """Return the mean squared errors, over all entries of the targets, of ridge regression.

    Minimises ``sum_i |y_i - W x_i - b|^2 + regularization |W|^2`` on features standardised by the mean and
    the standard deviation of the training features (constant features are only centred); the intercept is
    free.

    Shapes: features (N, P), targets (N,) or (N, K). Raises ``ValueError`` for other shapes, numbers that are
    not finite and regularization <= 0.

    >>> x = torch.arange(10.0)[:, None]
    >>> regression_probe(x, 2 * x[:, 0], x, 2 * x[:, 0], regularization=1e-8).test_error < 1e-12
    True
    """
    train, test = _standardised(train_features, test_features)
    targets = [_targets("train_targets", train_targets, train), _targets("test_targets", test_targets, test)]
    if targets[0].shape[1] != targets[1].shape[1]:
        raise ValueError(
            f"train_targets has {targets[0].shape[1]} columns, test_targets {targets[1].shape[1]}; "
            "allowed: the same number"
        )
    require_positive(regularization=regularization)
    # The singular value decomposition needs no well-conditioned Gram matrix.
    probe = Ridge(alpha=regularization, solver="svd").fit(train, targets[0])
    predictions = [probe.predict(x).reshape(y.shape) for x, y in zip((train, test), targets, strict=True)]
    errors = [float(np.mean((p - y) ** 2)) for p, y in zip(predictions, targets, strict=True)]
    return ProbeResult(errors[0], errors[1], True)


def _standardised(train: Tensor, test: Tensor) -> tuple[FloatArray, FloatArray]:
    x, z = finite_features("train_features", train), finite_features("test_features", test)
    if x.shape[1] != z.shape[1]:
        raise ValueError(f"test_features has {z.shape[1]} columns where train_features has {x.shape[1]}")
    mean = x.mean(0)
    deviation = (x - mean).square().mean(0).sqrt()
    # A constant feature has a deviation of the order of round-off, which must not be divided by.
    constant = deviation <= 10 * torch.finfo(train.dtype).eps * x.abs().amax(0)
    scale = torch.where(constant, 1.0, deviation)
    return ((x - mean) / scale).cpu().numpy(), ((z - mean) / scale).cpu().numpy()


def _targets(name: str, targets: Tensor, features: FloatArray) -> FloatArray:
    n = len(features)
    if targets.ndim not in (1, 2) or len(targets) != n or not bool(torch.isfinite(targets).all()):
        raise ValueError(f"{name} has the shape {tuple(targets.shape)}; allowed: finite ({n},) or ({n}, K)")
    array: FloatArray = targets.double().reshape(n, -1).cpu().numpy()
    return array
