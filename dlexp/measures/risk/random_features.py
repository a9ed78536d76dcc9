"""Regression on random features: its errors on data, and its risk in closed form, with the peak at p = n."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from scipy.optimize import brentq
from torch import Tensor

from dlexp.measures.risk.minimum_norm import ridge_solution

# E relu(G), E G relu(G) and E relu(G)^2 for a standard normal G.
_MEAN, _LINEAR, _SQUARE = 1 / math.sqrt(2 * math.pi), 0.5, 0.5


class FitErrors(NamedTuple):
    """Mean squared errors of one fit."""

    train: float
    test: float


def random_feature_errors(
    train_x: Tensor,
    train_y: Tensor,
    test_x: Tensor,
    test_y: Tensor,
    *,
    n_features: int,
    generator: torch.Generator,
    ridge: float = 0.0,
    activation: Callable[[Tensor], Tensor] = torch.relu,
) -> FitErrors:
    """Fit ``a`` in ``f(x) = a . phi(W x / sqrt(d)) / sqrt(p)`` with W ~ N(0, 1) fixed, and return the errors.

    Minimises ``|f - y|^2 / n + ridge |a|^2``; ``ridge`` 0 gives the minimum-norm least-squares solution. W is
    drawn in float64 on the generator's device, so every dtype and device gets the same features.

    Shapes: x (N, d), y (N,) or (N, K). Raises ``ValueError`` for other shapes, n_features < 1 and ridge < 0.

    >>> x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    >>> generator = torch.Generator().manual_seed(1)
    >>> random_feature_errors(x, x[:, 0], x, x[:, 0], n_features=100, generator=generator).train < 1e-6
    True
    """
    if n_features < 1 or not ridge >= 0:
        raise ValueError(f"n_features={n_features}, ridge={ridge}; allowed: n_features >= 1, ridge >= 0")
    for name, x, y in (("train", train_x, train_y), ("test", test_x, test_y)):
        if (
            x.ndim != 2
            or len(x) == 0
            or x.shape[1] != train_x.shape[1]
            or y.shape != (len(x), *train_y.shape[1:])
        ):
            raise ValueError(
                f"{name}_x is {tuple(x.shape)} and {name}_y {tuple(y.shape)}; "
                "allowed: (N, d) and (N,) or (N, K), with the same d and K in both sets"
            )
    n, d = train_x.shape
    weights = torch.randn(n_features, d, dtype=torch.float64, generator=generator, device=generator.device)
    weights = weights.to(train_x) / math.sqrt(d)
    train_f, test_f = (activation(x @ weights.T) / math.sqrt(n_features) for x in (train_x, test_x))
    solution = ridge_solution(train_f, train_y.reshape(n, -1), ridge)
    return FitErrors(
        train=(train_f @ solution - train_y.reshape(n, -1)).square().mean().item(),
        test=(test_f @ solution - test_y.reshape(len(test_y), -1)).square().mean().item(),
    )


def random_feature_risk(
    n_samples: int,
    n_features: int,
    input_dim: int,
    *,
    signal: float = 1.0,
    noise_std: float = 0.0,
    ridge: float = 0.0,
    include_noise: bool = True,
) -> float:
    """Return the risk of ReLU random-feature regression for a linear target with |beta|^2 = ``signal``.

    The limit n, p, d -> infinity at fixed psi_1 = p / d and psi_2 = n / d, for isotropic inputs of norm
    sqrt(d) (Mei & Montanari 2019), in the setting of
    :func:`random_feature_errors`. It is close for finite sizes where n is well below d^2: beyond, features of
    second degree are fitted too. Without ridge it is infinite at p = n, the peak. ``include_noise`` as in
    :func:`isotropic_risk`.

    Raises ``ValueError`` for counts below 1 and negative numbers.

    >>> random_feature_risk(100, 100, 20), random_feature_risk(100, 400, 20) < 1
    (inf, True)
    """
    if min(n_samples, n_features, input_dim) < 1 or not all(v >= 0 for v in (signal, noise_std, ridge)):
        raise ValueError(
            f"n_samples={n_samples}, n_features={n_features}, input_dim={input_dim}, signal={signal}, "
            f"noise_std={noise_std}, ridge={ridge}; allowed: counts of at least 1, the others at least 0"
        )
    if ridge == 0 and n_features == n_samples:
        return math.inf
    nonlinear = _SQUARE - _LINEAR**2 - _MEAN**2
    zeta2 = _LINEAR**2 / nonlinear
    psi1, psi2 = n_features / input_dim, n_samples / input_dim
    # The paper's penalty is (p lambda / d) |a|^2 for features without the 1 / sqrt(p).
    chi = -_product(psi1, psi2, zeta2, psi1 * psi2 * ridge * input_dim / nonlinear)
    e0 = (
        -(chi**5) * zeta2**3
        + 3 * chi**4 * zeta2**2
        + (psi1 * psi2 - psi2 - psi1 + 1) * chi**3 * zeta2**3
        - 2 * chi**3 * zeta2**2
        - 3 * chi**3 * zeta2
        + (psi1 + psi2 - 3 * psi1 * psi2 + 1) * chi**2 * zeta2**2
        + 2 * chi**2 * zeta2
        + chi**2
        + 3 * psi1 * psi2 * chi * zeta2
        - psi1 * psi2
    )
    e1 = psi2 * chi**3 * zeta2**2 - psi2 * chi**2 * zeta2 + psi1 * psi2 * chi * zeta2 - psi1 * psi2
    e2 = (
        chi**5 * zeta2**3
        - 3 * chi**4 * zeta2**2
        + (psi1 - 1) * chi**3 * zeta2**3
        + 2 * chi**3 * zeta2**2
        + 3 * chi**3 * zeta2
        - (psi1 + 1) * chi**2 * zeta2**2
        - 2 * chi**2 * zeta2
        - chi**2
    )
    risk = signal * e1 / e0 + noise_std**2 * e2 / e0
    return risk + noise_std**2 if include_noise else risk


def _product(psi1: float, psi2: float, zeta2: float, penalty: float) -> float:
    """Return u1 u2 of the paper's fixed point nu_j = i u_j at xi = i sqrt(penalty).

    With P = u1 u2 and q(P) = P + zeta^2 P / (1 + zeta^2 P) its two equations read xi u_j / i + q = psi_j,
    so that penalty P = (psi_1 - q)(psi_2 - q); without penalty q is the smaller psi.
    """

    def q(product: float) -> float:
        return product + zeta2 * product / (1 + zeta2 * product)

    smaller = min(psi1, psi2)
    # q(P) = smaller, a quadratic: the largest P for which both u_j are positive.
    b = 1 + zeta2 - zeta2 * smaller
    largest = 2 * smaller / (b + math.sqrt(b * b + 4 * zeta2 * smaller))
    if penalty == 0:
        return largest
    root: float = brentq(
        lambda p: (psi1 - q(p)) * (psi2 - q(p)) - penalty * p, 0.0, largest, xtol=1e-15, rtol=1e-13
    )
    return root
