"""Training of the linearised network in closed form, from its kernel at initialisation."""

from typing import Literal

import torch
from torch import Tensor

from dlexp.measures.arguments import require_one_of, require_positive
from dlexp.measures.ntk.statistics import kernel_matrix

SquaredLoss = Literal["half_sum", "half_mean", "mean"]
Dynamics = Literal["gradient_descent", "gradient_flow"]


def linearized_predictions(
    kernel_tt: Tensor,
    kernel_xt: Tensor,
    f0_t: Tensor,
    f0_x: Tensor,
    y: Tensor,
    lr: float,
    steps: float | Tensor,
    *,
    loss: SquaredLoss = "half_sum",
    dynamics: Dynamics = "gradient_descent",
) -> Tensor:
    """Return the predictions at x of the network linearised at initialisation, trained on (t, y) from there.

    ``f(x) = f0(x) - K_xt g(K_tt) (f0(t) - y)`` (Lee et al. 2019, eq. 10 and 11, without the inverse), with
    ``g(k) = (1 - (1 - lr c k)^steps) / k`` for full-batch gradient descent, ``(1 - exp(-lr c k steps)) / k``
    for gradient flow at time ``lr * steps``, and the limit ``lr c steps`` where k = 0. On the training points
    this is ``y + (I - lr c K)^steps (f0 - y)``. The constant c belongs to the loss trained: 1 for
    ``half_sum``, 1/2 sum of squared errors (Lee et al.'s); 1/(N K) for ``half_mean`` and 2/(N K) for
    ``mean``, over all N K entries as in ``mean_squared_error``.

    Shapes: ``kernel_tt`` (N, N) and ``kernel_xt`` (M, N) with outputs ``f0_t``, ``y`` (N,) or (N, K), every
    output by the same kernel, and ``f0_x`` (M,) or (M, K); or kernels (N, N, K, K), (M, N, K, K) with outputs
    (N, K). Returns a tensor like ``f0_x``; with ``steps`` a tensor (T,), (T, *f0_x.shape). ``steps=math.inf``
    is the end of gradient flow: kernel interpolation, by the pseudo-inverse. Computed in float64 and returned
    in f0_x's type. For the training points, pass ``kernel_tt`` and ``f0_t`` again.

    Raises ``ValueError`` for shapes that do not fit, an unknown loss or dynamics, lr <= 0 and steps < 0, or
    not whole for gradient descent.

    >>> kernel, zero, y = torch.eye(2), torch.zeros(2), torch.tensor([1.0, 2.0])
    >>> linearized_predictions(kernel, kernel, zero, zero, y, lr=0.5, steps=1)
    tensor([0.5000, 1.0000])
    """
    require_one_of(("half_sum", "half_mean", "mean"), loss=loss)
    require_one_of(("gradient_descent", "gradient_flow"), dynamics=dynamics)
    require_positive(lr=lr)
    _require_shapes(kernel_tt, kernel_xt, f0_t, f0_x, y)
    times = torch.as_tensor(steps, dtype=torch.float64, device=f0_x.device)
    whole = bool((times == times.round()).all())
    if times.ndim > 1 or not bool((times >= 0).all()) or (dynamics == "gradient_descent" and not whole):
        number = "whole" if dynamics == "gradient_descent" else "real"
        raise ValueError(f"steps={steps} must be a {number} number >= 0 or a vector of such")

    scale = {"half_sum": 1.0, "half_mean": 1 / y.numel(), "mean": 2 / y.numel()}[loss]
    matrix_tt, matrix_xt = kernel_matrix(kernel_tt).double(), kernel_matrix(kernel_xt).double()
    columns = 1 if kernel_tt.ndim == 4 else f0_t.numel() // len(f0_t)
    residual = (f0_t.double() - y.double()).reshape(-1, columns)
    values, vectors = torch.linalg.eigh((matrix_tt + matrix_tt.T) / 2)
    # numpy.linalg.matrix_rank's tolerance, with the precision of the kernel as it was given.
    rounding = torch.finfo(kernel_tt.dtype).eps * len(values) * values.amax()
    travelled = _travelled(values, lr * scale, times.reshape(-1), dynamics, rounding)
    change = matrix_xt @ vectors @ (travelled[:, :, None] * (vectors.T @ residual))
    predictions: Tensor = f0_x.double() - change.reshape(-1, *f0_x.shape)
    return predictions.reshape(*times.shape, *f0_x.shape).to(f0_x.dtype)


def _travelled(values: Tensor, rate: float, times: Tensor, dynamics: Dynamics, rounding: Tensor) -> Tensor:
    """Return g (T, N): what of residual/k the eigendirection k has travelled at each time."""
    times = times[:, None]
    if dynamics == "gradient_flow":
        remaining = -torch.expm1(-rate * values * times)
    else:
        # expm1(t log1p(-a)) keeps the digits of 1 - (1 - a)^t for small a; the power serves a >= 1.
        small = (rate * values).clamp(max=0.5)
        powers = 1 - (1 - rate * values) ** times
        remaining = torch.where(rate * values < 0.5, -torch.expm1(times * torch.log1p(-small)), powers)
    # Eigenvalues below zero are rounding: left alone they would grow as exp(steps).
    travelled = torch.where(values > 0, remaining / values, rate * times)
    # In the limit a direction of the kernel's null space has not moved: K_xt vanishes on it, too.
    pseudo_inverse = torch.where(values > rounding, 1 / values, 0.0)
    if dynamics == "gradient_descent":
        pseudo_inverse = torch.where(rate * values < 2, pseudo_inverse, torch.nan)
    return torch.where(times.isinf(), pseudo_inverse, travelled)


def _require_shapes(kernel_tt: Tensor, kernel_xt: Tensor, f0_t: Tensor, f0_x: Tensor, y: Tensor) -> None:
    n, outputs = len(f0_t), tuple(f0_t.shape[1:])
    if f0_t.ndim not in (1, 2) or y.shape != f0_t.shape or tuple(f0_x.shape[1:]) != outputs:
        raise ValueError(
            f"f0_t, y and f0_x have shapes {tuple(f0_t.shape)}, {tuple(y.shape)} and {tuple(f0_x.shape)}; "
            "allowed: (N,), (N,), (M,) or (N, K), (N, K), (M, K)"
        )
    pair = tuple(kernel_tt.shape[2:])
    allowed = [()] if f0_t.ndim == 1 else [(), outputs * 2]
    for name, kernel, rows in (("kernel_tt", kernel_tt, n), ("kernel_xt", kernel_xt, len(f0_x))):
        if tuple(kernel.shape) not in [(rows, n, *last) for last in allowed] or kernel.shape[2:] != pair:
            shapes = " or ".join(str((rows, n, *last)) for last in allowed)
            raise ValueError(f"{name} has shape {tuple(kernel.shape)}; allowed for these outputs: {shapes}")
