import pytest
import torch

from dlexp.measures.hessian import hutchinson_trace

DOUBLE = torch.float64


@pytest.mark.parametrize("distribution", ["rademacher", "gaussian"])
def test_mean_and_variance_of_the_probes(random_symmetric, distribution):
    matrix = random_symmetric(torch.linspace(-1, 4, 12, dtype=DOUBLE)) + torch.diag(
        torch.arange(12, dtype=DOUBLE)
    )
    n = 20000
    estimate = hutchinson_trace(
        lambda v: v @ matrix, torch.zeros(12, dtype=DOUBLE), n_probes=n, distribution=distribution
    )
    variance = 2 * (matrix**2).sum()
    if distribution == "rademacher":
        variance = variance - 2 * (matrix.diagonal() ** 2).sum()
    # The relative standard error of a variance from n samples is about sqrt(2/n) = 1 %.
    assert float(estimate.samples.var()) == pytest.approx(float(variance), rel=0.05)
    assert estimate.standard_error == pytest.approx(float((variance / n).sqrt()), rel=0.03)
    assert abs(estimate.trace - float(matrix.trace())) < 4 * estimate.standard_error


def test_rademacher_is_exact_for_a_diagonal():
    diagonal = torch.tensor([3.0, -1.0, 0.5], dtype=DOUBLE)
    estimate = hutchinson_trace(lambda v: v * diagonal, diagonal, n_probes=5)
    assert estimate.trace == pytest.approx(2.5, abs=1e-12)
    assert estimate.standard_error == pytest.approx(0, abs=1e-12)
