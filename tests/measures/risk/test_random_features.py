"""The risk of random features: theory against simulation, and its limits."""

import math

import numpy as np
import pytest
import torch

from dlexp.measures.risk import random_feature_risk


def data(n, d, *, noise_std, seed, sphere=False):
    """Return train and test inputs, noisy train targets and noise-free test targets of a linear teacher."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    x, test_x = randn(n, d), randn(1000, d)
    if sphere:
        x, test_x = (z * math.sqrt(d) / z.norm(dim=1, keepdim=True) for z in (x, test_x))
    beta = randn(d)
    beta = beta / beta.norm()
    return x, x @ beta + noise_std * randn(n), test_x, test_x @ beta, generator


@pytest.mark.parametrize(
    ("ratio", "ridge", "tolerance"), [(0.5, 0.0, 0.12), (3.0, 0.0, 0.1), (1.0, 1e-3, 0.1), (2.0, 1e-2, 0.1)]
)
@pytest.mark.parametrize("noise_std", [0.0, 0.5])
def test_theory_meets_simulation(ratio, ridge, tolerance, noise_std):
    n, d = 200, 100
    errors = []
    for seed in range(8):
        x, y, test_x, test_y, generator = data(n, d, noise_std=noise_std, seed=seed, sphere=True)
        p = int(ratio * n)
        weights = torch.randn(p, d, dtype=torch.float64, generator=generator) / math.sqrt(d)
        train_f, test_f = (torch.relu(z @ weights.T) / math.sqrt(p) for z in (x, test_x))
        rows = torch.cat([train_f, math.sqrt(n * ridge) * torch.eye(p, dtype=torch.float64)])
        columns = torch.cat([y, torch.zeros(p, dtype=torch.float64)])
        solution = torch.linalg.lstsq(rows, columns[:, None], driver="gelsd").solution[:, 0]
        errors.append(float((test_f @ solution - test_y).square().mean()))
    expected = random_feature_risk(
        n, int(ratio * n), d, noise_std=noise_std, ridge=ridge, include_noise=False
    )
    assert np.mean(errors) == pytest.approx(expected, rel=tolerance)


def test_risk_in_its_limits():
    assert random_feature_risk(200, 200, 20, noise_std=0.5) == math.inf
    # Near the peak it grows without bound from both sides.
    below, above = (random_feature_risk(20_000, p, 2000, noise_std=0.5) for p in (19_990, 20_010))
    assert min(below, above) > 100
    # A small penalty is continuous with none, a huge one leaves the target itself.
    plain = random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5)
    assert random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5, ridge=1e-9) == pytest.approx(
        plain, rel=1e-5
    )
    assert random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5, ridge=1e9) == pytest.approx(
        2.25, rel=1e-5
    )
    noise_free = random_feature_risk(100, 300, 50, signal=2.0, noise_std=0.5, include_noise=False)
    assert plain - noise_free == pytest.approx(0.25)
