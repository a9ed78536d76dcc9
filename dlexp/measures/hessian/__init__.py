"""Curvature of the loss: products with the Hessian, its spectrum, its trace, critical points.

Every function takes ``(model, loss_fn, x, y)``: any ``nn.Module``, a loss of (outputs, targets) that returns
the mean over the rows, and the data. Vectors are flat, (P,) or (B, P), in the order of
``model.named_parameters()``, trainable parameters only. Second derivatives are exact; use smooth activations
(tanh, GELU) where they matter: those of ReLU are zero almost everywhere and miss the kinks.
"""

from dlexp.measures.hessian.critical_point_search import FoundPoint as FoundPoint
from dlexp.measures.hessian.critical_point_search import distinct_points as distinct_points
from dlexp.measures.hessian.critical_point_search import find_critical_point as find_critical_point
from dlexp.measures.hessian.critical_points import classify_critical_point as classify_critical_point
from dlexp.measures.hessian.critical_points import kind_of as kind_of
from dlexp.measures.hessian.eigenvalues import lanczos_eigenvalues as lanczos_eigenvalues
from dlexp.measures.hessian.eigenvalues import top_eigenvalues as top_eigenvalues
from dlexp.measures.hessian.operators import hessian_operator as hessian_operator
from dlexp.measures.hessian.operators import hvp as hvp
from dlexp.measures.hessian.random import goe_positive_definite_share as goe_positive_definite_share
from dlexp.measures.hessian.spectral_density import lanczos_quadrature as lanczos_quadrature
from dlexp.measures.hessian.spectral_density import spectral_density as spectral_density
from dlexp.measures.hessian.spectrum import Inertia as Inertia
from dlexp.measures.hessian.spectrum import hessian_matrix as hessian_matrix
from dlexp.measures.hessian.spectrum import inertia as inertia
from dlexp.measures.hessian.spectrum import is_degenerate as is_degenerate
from dlexp.measures.hessian.spectrum import negative_fraction as negative_fraction
from dlexp.measures.hessian.spectrum import spectrum as spectrum
from dlexp.measures.hessian.trace import hutchinson_trace as hutchinson_trace
from dlexp.measures.hessian.trace import trace as trace
