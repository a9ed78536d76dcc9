"""What each layer of a network represents while it trains: probes, dimensions, class separation, CKA."""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dlexp.callbacks.base import MeasureCallback
from dlexp.callbacks.settings import require_count, require_names, require_positive
from dlexp.losses import LOSSES
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
from dlexp.train.member import Member, evaluation_mode
from dlexp.train.plan import Plan

FloatArray = npt.NDArray[np.float64]

log = logging.getLogger(__name__)

MEASURES = (
    "probe_error",
    "pca_dimension",
    "participation_ratio",
    "twonn_dimension",
    "class_separation",
    "cka",
)
FEWEST_SAMPLES = 4  # of the debiased CKA


class Geometry(MeasureCallback):
    """Measures the features of each layer: layer 0 is the input, layer k the output of the k-th activation.

    Metrics ``geometry/<measure>/layer_<k>``, and ``geometry/<measure>`` for the last layer. The probe is
    fitted on the training set; its error and all other measures are taken on the test set. ``cka`` compares
    a layer with itself at initialisation, ``class_separation`` is the ratio of
    :func:`~dlexp.measures.geometry.separation.fisher_ratio` and left out for a regression. A value is NaN
    where it is not defined: one class among the rows used, features that are constant or not finite.

    Arrays: ``geometry/steps`` (T,), ``geometry/layers`` (layers,), ``geometry/<measure>`` (T, layers) and,
    with ``cka``, the CKA of all layers with each other, ``geometry/cka_layers_initial`` and
    ``geometry/cka_layers`` (layers, layers).
    Figure: ``geometry``.

    Args:
        measures: any of ``MEASURES``.
        n_samples: how many rows of each set are used, the first ones; None for all.
        layers: names of the modules that make the layers, as in ``named_modules()``; None for every module
            without parameters and buffers, the activations.
        probe_regularization: penalty on the probe's weights.
        pca_threshold: share of the variance that the principal components hold.
        schedule: arguments of :class:`~dlexp.callbacks.base.MeasureCallback`.

    Raises ``ValueError`` for settings that are not allowed; at the start of training for layers that the
    network does not have or calls more than once.
    """

    name = "geometry"

    def __init__(
        self,
        *,
        measures: Sequence[str] = MEASURES,
        n_samples: int | None = 1000,
        layers: Sequence[str] | None = None,
        probe_regularization: float = 1.0,
        pca_threshold: float = 0.95,
        **schedule: Any,
    ) -> None:
        super().__init__(**schedule)
        require_names("measures", measures, MEASURES)
        require_count("n_samples", n_samples, minimum=FEWEST_SAMPLES, null="all")
        require_positive("probe_regularization", probe_regularization)
        if isinstance(layers, str):
            raise ValueError(f"layers={layers} is not allowed: it must be a list of names, or null")
        if not (isinstance(pca_threshold, int | float) and 0 < pca_threshold <= 1):
            raise ValueError(
                f"pca_threshold={pca_threshold} is not allowed: it must be above 0 and at most 1"
            )
        self.measures = [name for name in MEASURES if name in measures]
        self.n_samples = n_samples
        self.layers = None if layers is None else list(layers)
        self.probe_regularization = probe_regularization
        self.pca_threshold = pca_threshold

    def find_problems(self, config: Mapping[str, Any], plan: Plan) -> list[str]:
        """Return what leaves too little to be measured."""
        problems = []
        n_test, loss = config["data"]["n_test"], config["training"]["loss"]
        if n_test < FEWEST_SAMPLES:
            problems.append(
                f"data.n_test={n_test} is not allowed: callbacks.geometry needs at least {FEWEST_SAMPLES}."
            )
        if self.measures == ["class_separation"] and LOSSES[loss].error is None:
            problems.append(
                "callbacks.geometry.measures=[class_separation] is not allowed: "
                f"with training.loss={loss} there are no classes."
            )
        return problems

    def begin(self, module: Member) -> None:
        """Keep the initial features, with which CKA compares."""
        self._has_classes = module.loss.error is not None
        measured = [m for m in self.measures if self._has_classes or m != "class_separation"]
        self._steps: list[int] = []
        self._values: dict[str, list[list[float]]] = {measure: [] for measure in measured}
        try:
            with self._timed(), evaluation_mode(module.network):
                self._initial_features = self._features(module, "test")
        except ValueError as error:
            raise ValueError(f"callbacks.geometry: {error}") from None

    def measure(self, module: Member) -> Mapping[str, float]:
        """Return every measure of every layer."""
        test = self._features(module, "test")
        train = self._features(module, "train") if "probe_error" in self._values else test
        y_train, y_test = self._rows(module.tensors.y_train), self._rows(module.tensors.y_test)
        metrics: dict[str, float] = {}
        for measure, past in self._values.items():
            values = [
                self._value(measure, *features, y_train, y_test)
                for features in zip(train, test, self._initial_features, strict=True)
            ]
            past.append(values)
            metrics[f"geometry/{measure}"] = values[-1]
            metrics |= {f"geometry/{measure}/layer_{layer}": value for layer, value in enumerate(values)}
        self._steps.append(module.step)
        return metrics

    def finish(self, module: Member) -> None:
        """Keep the values over time and the CKA between layers; draw both."""
        if not self._steps:
            return
        cka_layers = {}
        if "cka" in self._values:
            final_features = self._features(module, "test")
            cka_layers = {
                0: _cka_between_layers(self._initial_features),
                module.step: _cka_between_layers(final_features),
            }
            module.recorder.record_array("geometry/cka_layers_initial", cka_layers[0])
            module.recorder.record_array("geometry/cka_layers", cka_layers[module.step])
        values = {measure: np.array(past) for measure, past in self._values.items()}
        module.recorder.record_array("geometry/steps", self._steps)
        module.recorder.record_array("geometry/layers", range(len(self._initial_features)))
        for measure, array in values.items():
            module.recorder.record_array(f"geometry/{measure}", array)
        if not self.figures:
            return
        labels = {
            "probe_error": "error rate" if self._has_classes else "mean squared error",
            "pca_dimension": f"components for {100 * self.pca_threshold:.4g} %",
        }
        figure = draw_geometry(self._steps, values, cka_layers, labels=labels)
        module.recorder.record_figure("geometry", figure, step=module.step)

    def _rows(self, values: Tensor) -> Tensor:
        return values[: self.n_samples]

    def _features(self, module: Member, split: str) -> list[Tensor]:
        x = self._rows(getattr(module.tensors, f"x_{split}"))
        names = hidden_layers(module.network) if self.layers is None else self.layers
        return [x.flatten(1), *layer_features(module.network, x, layers=names).values()]

    def _value(
        self, measure: str, train: Tensor, test: Tensor, initial: Tensor, y_train: Tensor, y_test: Tensor
    ) -> float:
        """Return one measure of one layer, NaN where it is not defined."""
        if not all(bool(torch.isfinite(features).all()) for features in (train, test, initial)):
            return math.nan
        match measure:
            case "probe_error":
                return self._probe_error(train, test, y_train, y_test)
            case "pca_dimension":
                return principal_component_dimension(test, threshold=self.pca_threshold)
            case "participation_ratio":
                return participation_ratio(test)
            case "twonn_dimension":
                return two_nn_dimension(test)
            case "class_separation":
                return fisher_ratio(test, y_test) if _holds_classes(y_test) else math.nan
            case _:
                return linear_cka(test, initial)

    def _probe_error(self, train: Tensor, test: Tensor, y_train: Tensor, y_test: Tensor) -> float:
        if not self._has_classes:
            return regression_probe(
                train, y_train, test, y_test, regularization=self.probe_regularization
            ).test_error
        if not _holds_classes(y_train):
            return math.nan
        probe = classification_probe(train, y_train, test, y_test, regularization=self.probe_regularization)
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


def _cka_between_layers(features: Sequence[Tensor]) -> FloatArray:
    # Layers that are not finite count as constant: the CKA of both is NaN.
    finite = [x if bool(torch.isfinite(x).all()) else torch.zeros_like(x) for x in features]
    array: FloatArray = cka_matrix({str(layer): x for layer, x in enumerate(finite)}).numpy()
    return array
