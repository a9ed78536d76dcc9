"""The exact risk of least squares on isotropic Gaussian features: double descent in closed form."""

import math


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
    if n < 1 or p < 0 or not all(v >= 0 for v in (signal_inside, signal_outside, noise_std)):
        raise ValueError(
            f"n_samples={n}, n_features={p}, signal_inside={signal_inside}, signal_outside={signal_outside}, "
            f"noise_std={noise_std}; allowed: n_samples >= 1, the others at least 0"
        )
    unexplained = signal_outside + noise_std**2
    if p <= n - 2:
        risk = unexplained * (1 + p / (n - p - 1))
    elif p >= n + 2:
        risk = signal_inside * (1 - n / p) + unexplained * (1 + n / (p - n - 1))
    else:
        return math.inf if unexplained > 0 else (0.0 if p <= n else signal_inside * (1 - n / p))
    return risk if include_noise else risk - noise_std**2
