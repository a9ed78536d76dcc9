"""The exact risk of isotropic least squares against reference values and simulation."""

import math

import pytest
import torch

from dlexp.measures.risk import isotropic_risk, minimum_norm_solution


def spread(n, p, *, d=100, noise_std=0.5, **options):
    """Return the risk for |beta| = 1 spread evenly over d features."""
    return isotropic_risk(n, p, signal_inside=p / d, signal_outside=1 - p / d, noise_std=noise_std, **options)


@pytest.mark.parametrize(
    ("p", "expected"), [(5, 1.3765), (20, 2.1553), (35, 8.7750), (50, 4.1833), (100, 1.0195)]
)
def test_reference_values(p, expected):
    assert spread(40, p) == pytest.approx(expected, abs=5e-5)
    assert spread(40, p, include_noise=False) == pytest.approx(expected - 0.25, abs=5e-5)


@pytest.mark.parametrize(("n", "p"), [(20, 0), (20, 8), (20, 14), (20, 30), (20, 60)])
def test_simulation(n, p):
    d, runs = 60, 2000
    generator = torch.Generator().manual_seed(p)
    beta = torch.linspace(1, 2, d, dtype=torch.float64)
    beta = beta / beta.norm()
    x = torch.randn(runs, n, d, dtype=torch.float64, generator=generator)
    y = x @ beta + 0.3 * torch.randn(runs, n, dtype=torch.float64, generator=generator)
    fitted = torch.zeros(runs, d, dtype=torch.float64)
    fitted[:, :p] = (torch.linalg.pinv(x[:, :, :p]) @ y[:, :, None]).squeeze(2)
    # Isotropic inputs: given the fit, the risk is the squared distance to beta plus the noise.
    risks = (fitted - beta).square().sum(1) + 0.09
    expected = isotropic_risk(
        n,
        p,
        signal_inside=beta[:p].square().sum().item(),
        signal_outside=beta[p:].square().sum().item(),
        noise_std=0.3,
    )
    tolerance = 4 * risks.std().item() / math.sqrt(runs) + 1e-12
    assert risks.mean().item() == pytest.approx(expected, abs=tolerance)
    assert tolerance < 0.2 * expected
    if p:
        one = minimum_norm_solution(x[0, :, :p], y[0])
        torch.testing.assert_close(one, fitted[0, :p], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("p", [39, 40, 41])
def test_the_threshold_has_no_finite_risk(p):
    assert spread(40, p) == math.inf
    assert spread(40, p, noise_std=0.0) == math.inf


def test_without_noise_and_with_all_features_the_fit_is_exact_or_a_projection():
    arguments = {"signal_inside": 2.0, "signal_outside": 0.0, "noise_std": 0.0}
    assert isotropic_risk(40, 40, **arguments) == 0
    assert isotropic_risk(40, 39, **arguments) == 0
    assert isotropic_risk(40, 41, **arguments) == pytest.approx(2 / 41)
