"""Curvature of the loss: products with the Hessian, its spectrum, its trace, critical points.

Every function takes ``(model, loss_fn, x, y)``: any ``nn.Module``, a loss of (outputs, targets) that returns
the mean over the rows, and the data. Vectors are flat, (P,) or (B, P), in the order of
``model.named_parameters()``, trainable parameters only. Second derivatives are exact; use smooth activations
(tanh, GELU) where they matter: those of ReLU are zero almost everywhere and miss the kinks.
"""

from dlexp.measures.hessian.critical_point_search import FoundPoint, find_critical_point
from dlexp.measures.hessian.critical_points import CriticalPoint, Kind, classify_critical_point, kind_of
from dlexp.measures.hessian.distinct import distinct_points, rank_correlation
from dlexp.measures.hessian.eigenvalues import Eigenpairs, lanczos_eigenvalues, top_eigenvalues
from dlexp.measures.hessian.hvp import hvp
from dlexp.measures.hessian.operators import Operator, hessian_operator
from dlexp.measures.hessian.random_matrices import goe_positive_definite_share
from dlexp.measures.hessian.spectral_density import SpectralDensity, lanczos_quadrature, spectral_density
from dlexp.measures.hessian.spectrum import (
    Inertia,
    hessian_matrix,
    inertia,
    is_degenerate,
    negative_fraction,
    spectrum,
)
from dlexp.measures.hessian.trace import TraceEstimate, hutchinson_trace, trace

__all__ = [
    "CriticalPoint",
    "Eigenpairs",
    "FoundPoint",
    "Inertia",
    "Kind",
    "Operator",
    "SpectralDensity",
    "TraceEstimate",
    "classify_critical_point",
    "distinct_points",
    "find_critical_point",
    "goe_positive_definite_share",
    "hessian_matrix",
    "hessian_operator",
    "hutchinson_trace",
    "hvp",
    "inertia",
    "is_degenerate",
    "kind_of",
    "lanczos_eigenvalues",
    "lanczos_quadrature",
    "negative_fraction",
    "rank_correlation",
    "spectral_density",
    "spectrum",
    "top_eigenvalues",
    "trace",
]
