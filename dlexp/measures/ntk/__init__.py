"""Neural tangent kernels: of a network as it is, of infinite width, and what training they predict.

- :func:`empirical_ntk`: the kernel of any module at its present parameters.
- :func:`infinite_ntk`: the NTK and the Gaussian-process kernel of infinitely wide fully connected networks.
- :func:`linearized_predictions`: gradient descent and gradient flow of the linearised network.
- :func:`kernel_drift`, :func:`target_alignment`, :func:`kernel_eigenvalues`, :func:`lambda_max`,
  :func:`condition_number`: what studies report of a kernel.
"""

from dlexp.measures.ntk.empirical import empirical_ntk
from dlexp.measures.ntk.infinite import InfiniteKernels, infinite_ntk
from dlexp.measures.ntk.linearized import linearized_predictions
from dlexp.measures.ntk.statistics import (
    condition_number,
    kernel_drift,
    kernel_eigenvalues,
    kernel_matrix,
    kernel_statistics,
    lambda_max,
    mean_kernel,
    relative_distance,
    target_alignment,
)

__all__ = [
    "InfiniteKernels",
    "condition_number",
    "empirical_ntk",
    "infinite_ntk",
    "kernel_drift",
    "kernel_eigenvalues",
    "kernel_matrix",
    "kernel_statistics",
    "lambda_max",
    "linearized_predictions",
    "mean_kernel",
    "relative_distance",
    "target_alignment",
]
