"""The laws that samples are drawn from: pure functions ``(n, generator, *, settings) -> (x, y)``.

``x`` is (n, input_dim) in float64. ``y`` is (n, 1) in float64 without noise for a regression, and (n,) int64
labels for a classification: the data module adds the noise, from a stream of its own, and casts to the
training type, so that float32 and float64 runs see the same samples. Every function raises ``ValueError`` for
an ``input_dim`` too small for its target.

What is random in the law itself (a teacher, the centres of a mixture) has its own seed, the same for the
training set and the test set.

A data set that is no law to draw from (a grid, a finite collection) makes its two sets together: ``(n_train,
n_test, generator, *, settings) -> (x_train, y_train, x_test, y_test)``, marked :func:`draws_both_sets`.
"""

from dlexp.data.generators.classification import gaussian_mixture, parity
from dlexp.data.generators.fixed import chebyshev, damped_wave_grid, digits, draws_both_sets, tent
from dlexp.data.generators.regression import (
    additive,
    compositional,
    damped_wave,
    linear_teacher,
    plane_wave,
    radial,
    sine_all,
    sine_cosine,
    sine_first,
    sine_sum,
    sphere,
)

__all__ = [
    "additive",
    "chebyshev",
    "compositional",
    "damped_wave",
    "damped_wave_grid",
    "digits",
    "draws_both_sets",
    "gaussian_mixture",
    "linear_teacher",
    "parity",
    "plane_wave",
    "radial",
    "sine_all",
    "sine_cosine",
    "sine_first",
    "sine_sum",
    "sphere",
    "tent",
]
