"""Neural tangent kernels: of a network as it is, of infinite width, and what training they predict.

- :func:`empirical_ntk`: the kernel of any module at its present parameters.
- :func:`infinite_ntk`: the NTK and the Gaussian-process kernel of infinitely wide fully connected networks.
- :func:`linearized_predictions`: gradient descent and gradient flow of the linearised network.
- :func:`kernel_statistics`, :func:`target_alignment`, :func:`kernel_eigenvalues`: what studies report of a
  kernel.
"""

from dlexp.measures.ntk.empirical import empirical_ntk as empirical_ntk
from dlexp.measures.ntk.infinite import infinite_ntk as infinite_ntk
from dlexp.measures.ntk.linearized import linearized_predictions as linearized_predictions
from dlexp.measures.ntk.statistics import kernel_eigenvalues as kernel_eigenvalues
from dlexp.measures.ntk.statistics import kernel_matrix as kernel_matrix
from dlexp.measures.ntk.statistics import kernel_statistics as kernel_statistics
from dlexp.measures.ntk.statistics import mean_kernel as mean_kernel
from dlexp.measures.ntk.statistics import relative_distance as relative_distance
from dlexp.measures.ntk.statistics import target_alignment as target_alignment
