"""What each layer of a network represents while it trains: probes, dimensions, class separation, CKA."""

import logging
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dlexp.callbacks.base import MeasureCallback
from dlexp.config.callbacks import GEOMETRY_MEASURES, GeometrySettings
from dlexp.measures.geometry import (
    cka_matrix,
    classification_probe,
    fisher_ratio,
    layer_features,
    linear_cka,
    nonlinear_modules,
    participation_ratio,
    principal_component_dimension,
    regression_probe,
    two_nn_dimension,
)
from dlexp.plots.runs.geometry import draw_geometry
from dlexp.train.member import Member

FloatArray = npt.NDArray[np.float64]

log = logging.getLogger(__name__)


class Geometry(MeasureCallback):
    """Measures the features of each layer: layer 0 is the input, layer k the output of the k-th activation.

    Metrics ``geometry/<measure>/layer_<k>``, and ``geometry/<measure>`` for the last layer. The probe is
    fitted on the training set; its error and all other measures are taken on the test set. ``cka`` compares
    a layer with itself at initialisation, ``class_separation`` is the ratio of
    :func:`~dlexp.measures.geometry.separation.fisher_ratio` and left out for a regression. A value is NaN
    where it is not defined: one class among the rows used, features that are constant or not finite.

    Arrays, of the network as it was measured last: ``geometry/layers`` (layers,) and each measure,
    ``geometry/<measure>`` (layers,); with ``cka`` the CKA of all layers with each other at the start and at
    the end, ``geometry/cka_layers_initial`` and ``geometry/cka_layers`` (layers, layers).
    Figure: ``geometry``.

    Args:
        measures: any of ``GEOMETRY_MEASURES``.
        n_samples: how many rows of each set are used, the first ones; None for all.
        layers: names of the modules that make the layers, as in ``named_modules()``; None for every module
            without parameters and buffers, the activations.
        probe_regularization: penalty on the probe's weights.
        pca_threshold: share of the variance that the principal components hold.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` at the start of training for layers that the network does not have or calls more
    than once.
    """

    name = "geometry"
    settings_model = GeometrySettings
    settings: GeometrySettings

    def begin(self, member: Member) -> None:
        """Keep the initial features, with which CKA compares."""
        self._has_classes = member.loss.error is not None
        names = [name for name in GEOMETRY_MEASURES if name in self.settings.measures]
        self._measures = [name for name in names if self._has_classes or name != "class_separation"]
        self._initial_features = self._features(member, "test")

    def measure(self, member: Member) -> Mapping[str, float]:
        """Return every measure of every layer."""
        test = self._features(member, "test")
        train = self._features(member, "train") if "probe_error" in self._measures else test
        y_train, y_test = self._rows(member.tensors.y_train), self._rows(member.tensors.y_test)
        metrics: dict[str, float] = {}
        for measure in self._measures:
            values = [
                layer_measure(measure, *features, y_train, y_test, self.settings)
                for features in zip(train, test, self._initial_features, strict=True)
            ]
            undefined = [layer for layer, value in enumerate(values) if math.isnan(value)]
            if undefined:
                log.info("geometry/%s is not defined in layers %s, step %d", measure, undefined, member.step)
            metrics[f"geometry/{measure}"] = values[-1]
            metrics |= {f"geometry/{measure}/layer_{layer}": value for layer, value in enumerate(values)}
        return metrics

    def finish(self, member: Member) -> None:
        """Keep the last values by layer and the CKA between layers; draw all."""
        recorder, layers = member.recorder, range(len(self._initial_features))
        steps, _ = recorder.series(f"geometry/{self._measures[0]}")
        if not steps:
            return
        recorder.record_array("geometry/layers", layers)
        values = {}
        for measure in self._measures:
            series = [recorder.series(f"geometry/{measure}/layer_{layer}")[1] for layer in layers]
            values[measure] = np.array(series).T
            recorder.record_array(f"geometry/{measure}", values[measure][-1])
        cka_layers = {}
        if "cka" in self._measures:
            final_features = self._features(member, "test")
            cka_layers[0] = cka_between_layers(self._initial_features)
            cka_layers[member.step] = cka_between_layers(final_features)
            recorder.record_array("geometry/cka_layers_initial", cka_layers[0])
            recorder.record_array("geometry/cka_layers", cka_layers[member.step])
        labels = {
            "probe_error": "error rate" if self._has_classes else "mean squared error",
            "pca_dimension": f"components for {100 * self.settings.pca_threshold:.4g} %",
        }
        self.draw(member, "geometry", draw_geometry, steps, values, cka_layers, labels=labels)

    def _rows(self, values: Tensor) -> Tensor:
        return values[: self.settings.n_samples]

    def _features(self, member: Member, split: str) -> list[Tensor]:
        x = self._rows(getattr(member.tensors, f"x_{split}"))
        names = nonlinear_modules(member.network) if self.settings.layers is None else self.settings.layers
        return [x.flatten(1), *layer_features(member.network, x, layers=names).values()]


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


def _holds_classes(labels: Tensor) -> bool:
    return len(labels.unique()) > 1


def cka_between_layers(features: Sequence[Tensor]) -> FloatArray:
    """Return the CKA of all layers' features (N, k) with each other, (layers, layers)."""
    # Layers that are not finite count as constant: the CKA of both is NaN.
    finite = [x if bool(torch.isfinite(x).all()) else torch.zeros_like(x) for x in features]
    array: FloatArray = cka_matrix({str(layer): x for layer, x in enumerate(finite)}).numpy()
    return array
