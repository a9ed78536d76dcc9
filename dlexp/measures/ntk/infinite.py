"""The neural tangent kernel and the Gaussian-process kernel of infinitely wide networks."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from dlexp.measures.arguments import require_at_least, require_one_of
from dlexp.measures.memory import require_memory
from dlexp.measures.ntk.duals import Dual, Pairs, erf_dual, linear_dual, relu_dual
from dlexp.measures.ntk.quadrature import SMOOTH_ACTIVATIONS, smooth_dual

_DUALS: dict[str, Callable[[Pairs], Dual]] = {
    "relu": relu_dual,
    "erf": erf_dual,
    "linear": linear_dual,
    **{name: partial(smooth_dual, *both, name=name) for name, both in SMOOTH_ACTIVATIONS.items()},
}


class InfiniteKernels(NamedTuple):
    """The limits at infinite width, each (N1, N2): covariance of the outputs at initialisation and NTK."""

    nngp: Tensor
    ntk: Tensor


def infinite_ntk(
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    depth: int,
    activation: str,
    weight_std: float,
    bias_std: float,
    readout_weight_std: float,
    readout_bias_std: float,
    random_bias: bool = True,
) -> InfiniteKernels:
    """Return the kernels of a fully connected network with ``depth`` hidden layers, all infinitely wide.

    Layers are ``h = weight_std / sqrt(fan_in) W a + bias_std b`` with standard normal W and b (the readout
    with its own scales) and every W and b is trained (Jacot et al. 2018; Lee et al. 2019, appendix). With
    s_w^2, s_b^2 the variances of the layer after the activation phi, and z Gaussian of covariance K:

        K <- s_w^2 E phi(z) phi(z') + s_b^2,    T <- K + s_w^2 E phi'(z) phi'(z') T

    from ``K = T = s_w^2 x.x'/d + s_b^2``. ``random_bias=False``: biases start at zero, as our MLP's in
    the NTK parametrisation by default; s_b^2 then counts in T only.

    ``activation``: relu, erf and linear in closed form (about 1e-14 relative); gelu (exact, not the tanh
    approximation), tanh and sigmoid by quadrature, each expectation to 1e-12 relative. One output; K outputs
    have this kernel times the identity. Shapes: ``x1`` (N1, d), ``x2`` (N2, d), None for x1 itself. Computed
    in float64, returned in x1's type.

    Raises ``ValueError`` for unknown activations, depth < 0, negative or infinite scales, inputs that are not
    (N, d), or variances too large for the quadrature; ``MemoryError`` if the kernel would not fit.

    >>> scales = {"weight_std": 2**0.5, "bias_std": 0.0, "readout_weight_std": 1.0, "readout_bias_std": 0.0}
    >>> infinite_ntk(torch.eye(2), depth=1, activation="relu", **scales).ntk.shape
    torch.Size([2, 2])
    """
    require_one_of(_DUALS, activation=activation)
    require_at_least(0, depth=depth, weight_std=weight_std, bias_std=bias_std)
    require_at_least(0, readout_weight_std=readout_weight_std, readout_bias_std=readout_bias_std)
    for name, x in (("x1", x1), ("x2", x1 if x2 is None else x2)):
        if x.ndim != 2 or x.shape[1] != x1.shape[1] or x.numel() == 0 or not x.is_floating_point():
            raise ValueError(f"{name} is {x.dtype} of shape {tuple(x.shape)}; allowed: real numbers, (N, d)")

    second_rows = len(x1) if x2 is None else len(x2)
    require_memory(12 * 8 * len(x1) * second_rows, x1.device, f"the {len(x1)} x {second_rows} kernel")
    hidden, readout = (weight_std, bias_std), (readout_weight_std, readout_bias_std)
    layers = [hidden] * depth + [readout]
    first = x1.double()
    second = first if x2 is None else x2.double()
    with torch.no_grad():
        weight_std, bias_std = layers[0]
        pairs = _input_pairs(first, second, weight_std, bias_std if random_bias else 0.0)
        ntk = pairs.covariance if random_bias else pairs.covariance + bias_std**2
        for weight_std, bias_std in layers[1:]:
            dual = _DUALS[activation](pairs)
            ntk = weight_std**2 * (dual.covariance + dual.derivative * ntk) + bias_std**2
            pairs = _next_pairs(dual, weight_std**2, bias_std**2 if random_bias else 0.0)
        kernels = [pairs.covariance, ntk]
        if x2 is None:
            # Exactly symmetric, which vectorised functions are only up to rounding.
            kernels = [(kernel + kernel.T) / 2 for kernel in kernels]
        return InfiniteKernels(*(kernel.to(x1.dtype) for kernel in kernels))


def _input_pairs(x1: Tensor, x2: Tensor, weight_std: float, bias_std: float) -> Pairs:
    """Return the first layer's pre-activations: covariances are products of (s_w x / sqrt(d), s_b)."""
    vectors = [
        torch.cat([weight_std / x.shape[1] ** 0.5 * x, x.new_full((len(x), 1), bias_std)], dim=1)
        for x in (x1, x2)
    ]
    norm1, norm2 = (vector.norm(dim=1) for vector in vectors)
    unit1, unit2 = (torch.nn.functional.normalize(vector, dim=1) for vector in vectors)
    # Accurate at all angles (Kahan 2006, section 12), which the arccosine of the correlation is not.
    distance = partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")
    angle = 2 * torch.atan2(distance(unit1, unit2), distance(unit1, -unit2))
    covariance = norm1[:, None] * norm2[None, :] * angle.cos()
    return Pairs((norm1**2)[:, None], (norm2**2)[None, :], covariance, angle)


def _next_pairs(dual: Dual, weight_variance: float, bias_variance: float) -> Pairs:
    """Return the pre-activations of the next layer, its angle from the gap and not from the correlation."""
    one, two = weight_variance * dual.variance1, weight_variance * dual.variance2
    variance1, variance2 = one + bias_variance, two + bias_variance
    covariance = weight_variance * dual.covariance + bias_variance
    scale = (variance1 * variance2).sqrt()
    # scale - covariance, where scale^2 - (sqrt(one two) + bias)^2 = bias (sqrt one - sqrt two)^2.
    parallel = (one * two).sqrt() + bias_variance
    spread = (one.sqrt() - two.sqrt()) ** 2
    gap = weight_variance * dual.gap + bias_variance * spread / (scale + parallel)
    half = torch.where(scale > 0, gap / (2 * scale), 0.5).clamp(0, 1)
    return Pairs(variance1, variance2, covariance, 2 * half.sqrt().asin())
