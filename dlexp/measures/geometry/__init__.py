"""The geometry of a network's representations: what each layer's features tell and how they are spread."""

from dlexp.measures.geometry.dimension import (
    participation_ratio,
    principal_component_dimension,
    two_nn_dimension,
)
from dlexp.measures.geometry.features import layer_features, leaf_modules, nonlinear_modules
from dlexp.measures.geometry.probe import ProbeResult, classification_probe, regression_probe
from dlexp.measures.geometry.separation import fisher_ratio, variability_collapse
from dlexp.measures.geometry.similarity import cka_matrix, cka_to_reference, linear_cka

__all__ = [
    "ProbeResult",
    "cka_matrix",
    "cka_to_reference",
    "classification_probe",
    "fisher_ratio",
    "layer_features",
    "leaf_modules",
    "linear_cka",
    "nonlinear_modules",
    "participation_ratio",
    "principal_component_dimension",
    "regression_probe",
    "two_nn_dimension",
    "variability_collapse",
]
