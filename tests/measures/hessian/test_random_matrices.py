"""The share of positive definite random matrices, against closed forms."""

import math

import pytest
import torch

from dlexp.measures.hessian import goe_positive_definite_share


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("dimension", "exact"),
    [(1, 1 / 2), (2, (2 - math.sqrt(2)) / 4), (3, (math.pi - 2 * math.sqrt(2)) / (4 * math.pi))],
)
def test_shares_of_the_closed_forms(dimension, exact):
    samples = 250_000  # more than one chunk
    share = goe_positive_definite_share(dimension, samples, generator=generator())
    assert share == pytest.approx(exact, abs=4 * math.sqrt(exact / samples))


def test_eigenvalues_repel_each_other():
    """STUDIES: .00247 for d = 4, where independent signs would give .0625."""
    share = goe_positive_definite_share(4, 400_000, generator=generator())
    assert share == pytest.approx(0.00247, abs=4 * math.sqrt(0.00247 / 400_000))


def test_it_is_a_function_of_its_generator():
    shares = [goe_positive_definite_share(2, 1000, generator=generator()) for _ in range(2)]
    assert shares[0] == shares[1]


@pytest.mark.parametrize(("dimension", "samples"), [(0, 10), (2, 0)])
def test_bad_numbers_are_refused(dimension, samples):
    with pytest.raises(ValueError, match="too small; allowed: 1 or more"):
        goe_positive_definite_share(dimension, samples, generator=generator())
