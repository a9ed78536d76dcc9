"""One measure of one layer's features, and the layers there are."""

import logging
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dlexp.config.callbacks import GeometrySettings
from dlexp.measures.geometry import (
    cka_matrix,
    classification_probe,
    fisher_ratio,
    linear_cka,
    nonlinear_modules,
    participation_ratio,
    principal_component_dimension,
    regression_probe,
    two_nn_dimension,
)

FloatArray = npt.NDArray[np.float64]

log = logging.getLogger(__name__)


def layer_measure(
    measure: str,
    train: Tensor,
    test: Tensor,
    initial: Tensor,
    y_train: Tensor,
    y_test: Tensor,
    settings: GeometrySettings,
) -> float:
    """Return one measure of one layer, NaN where it is not defined.

    Args:
        measure: one of ``GEOMETRY_MEASURES``.
        train, test: features (N, k) of the training and the test rows.
        initial: those of the test rows at initialisation.
        y_train, y_test: targets (N, K), or labels (N,).
        settings: of the callback.
    """
    if not all(bool(torch.isfinite(features).all()) for features in (train, test, initial)):
        return math.nan
    match measure:
        case "probe_error":
            return _probe_error(train, test, y_train, y_test, settings.probe_regularization)
        case "pca_dimension":
            return principal_component_dimension(test, threshold=settings.pca_threshold)
        case "participation_ratio":
            return participation_ratio(test)
        case "twonn_dimension":
            return two_nn_dimension(test)
        case "class_separation":
            return fisher_ratio(test, y_test) if _holds_classes(y_test) else math.nan
        case _:
            return linear_cka(test, initial)


def _probe_error(
    train: Tensor, test: Tensor, y_train: Tensor, y_test: Tensor, regularization: float
) -> float:
    sets = train, y_train, test, y_test
    if y_train.is_floating_point():
        return regression_probe(*sets, regularization=regularization).test_error
    if not _holds_classes(y_train):
        return math.nan
    probe = classification_probe(*sets, regularization=regularization)
    if not probe.converged:
        log.info("a linear probe reached its limit of iterations: its error is that of the last one")
    return probe.test_error


def hidden_layers(network: nn.Module) -> list[str]:
    """Return the names of the modules without parameters and buffers: the activations, in order.

    A frozen linear layer keeps its weights in a buffer and is none of them.
    """
    modules = dict(network.named_modules())
    return [name for name in nonlinear_modules(network) if next(modules[name].buffers(), None) is None]


def _holds_classes(labels: Tensor) -> bool:
    return len(labels.unique()) > 1


def cka_between_layers(features: Sequence[Tensor]) -> FloatArray:
    """Return the CKA of all layers' features (N, k) with each other, (layers, layers)."""
    # Layers that are not finite count as constant: the CKA of both is NaN.
    finite = [x if bool(torch.isfinite(x).all()) else torch.zeros_like(x) for x in features]
    array: FloatArray = cka_matrix({str(layer): x for layer, x in enumerate(finite)}).numpy()
    return array
