"""Double descent in closed form: the risk of least squares on Gaussian and on random features."""

import math

from scipy.optimize import brentq

from dlexp.measures.arguments import require_at_least

# E relu(G), E G relu(G) and E relu(G)^2 for a standard normal G.
_MEAN, _LINEAR, _SQUARE = 1 / math.sqrt(2 * math.pi), 0.5, 0.5


def isotropic_risk(
    n_samples: int,
    n_features: int,
    *,
    signal_inside: float,
    signal_outside: float,
    noise_std: float,
    include_noise: bool = True,
) -> float:
    """Return the exact expected risk of minimum-norm least squares on p of D standard normal features.

    With y = x.beta + noise, |beta_inside|^2 = ``signal_inside`` on the p features used, |beta_outside|^2 =
    ``signal_outside`` on the others, s = signal_outside + noise_std^2 and n samples:
    ``s (1 + p / (n - p - 1))`` for p <= n - 2, ``signal_inside (1 - n / p) + s (1 + n / (p - n - 1))`` for
    p >= n + 2, infinite between (Belkin, Hsu & Xu 2020, Theorem 1). ``include_noise`` False takes the noise
    floor noise_std^2 of a noisy test target off.

    Raises ``ValueError`` for n_samples < 1 or a negative argument.

    >>> isotropic_risk(12, 5, signal_inside=1.0, signal_outside=1.0, noise_std=1.0)  # 2 (1 + 5 / 6)
    3.666666666666667
    """
    n, p = n_samples, n_features
    require_at_least(1, n_samples=n)
    require_at_least(0, n_features=p, signal_inside=signal_inside, noise_std=noise_std)
    require_at_least(0, signal_outside=signal_outside)
    unexplained = signal_outside + noise_std**2
    if p <= n - 2:
        risk = unexplained * (1 + p / (n - p - 1))
    elif p >= n + 2:
        risk = signal_inside * (1 - n / p) + unexplained * (1 + n / (p - n - 1))
    else:
        return math.inf if unexplained > 0 else (0.0 if p <= n else signal_inside * (1 - n / p))
    return risk if include_noise else risk - noise_std**2


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
    sqrt(d) (Mei & Montanari 2019): ``f(x) = a . relu(W x / sqrt(d)) / sqrt(p)`` with W ~ N(0, 1) fixed
    minimises ``|f - y|^2 / n + ridge |a|^2``. It is close for finite sizes where n is well below d^2: beyond,
    features of second degree are fitted too. Without ridge it is infinite at p = n, the peak.
    ``include_noise`` as in :func:`isotropic_risk`.

    Raises ``ValueError`` for counts below 1 and negative numbers.

    >>> random_feature_risk(100, 100, 20), random_feature_risk(100, 400, 20) < 1
    (inf, True)
    """
    require_at_least(1, n_samples=n_samples, n_features=n_features, input_dim=input_dim)
    require_at_least(0, signal=signal, noise_std=noise_std, ridge=ridge)
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
