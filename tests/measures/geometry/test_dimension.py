"""Dimensions of clouds whose dimension is known, and brute force in numpy."""

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from dlexp.measures.geometry import participation_ratio, principal_component_dimension, two_nn_dimension


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_variances(variances, n=200):
    """Return features whose covariance has exactly these eigenvalues, rotated and shifted."""
    p = len(variances)
    x = randn(n, p)
    x = torch.linalg.qr(x - x.mean(0)).Q * torch.tensor(variances, dtype=torch.float64).sqrt() * math.sqrt(n)
    return x @ torch.linalg.qr(randn(p, p, seed=1)).Q + 3


@pytest.mark.parametrize(
    ("variances", "threshold", "expected"),
    [
        ([90, 4, 3, 2, 1], 0.95, 3),
        ([90, 5, 3, 2], 0.95, 2),
        ([90, 5, 3, 2], 0.90, 1),
        ([1, 1, 1, 1], 0.95, 4),
        ([1, 1, 1, 1], 0.50, 2),
        ([5, 0, 0], 1.0, 1),
        ([3, 2, 1], 1.0, 3),
    ],
)
def test_principal_components_of_planted_variances(variances, threshold, expected):
    assert principal_component_dimension(with_variances(variances), threshold=threshold) == expected


def test_round_off_does_not_decide_a_share_on_the_threshold():
    for p in range(2, 25):
        # The corners of a cross polytope: p equal variances.
        x = torch.cat([torch.eye(p, dtype=torch.float64), -torch.eye(p, dtype=torch.float64)])
        found = [principal_component_dimension(x, threshold=k / p) for k in range(1, p + 1)]
        assert found == [*range(1, p + 1)]


@pytest.mark.parametrize("variances", [[1.0], [2, 2, 2], [4, 1], [9, 3, 1, 1]])
def test_participation_ratio_of_planted_variances(variances):
    expected = sum(variances) ** 2 / sum(v * v for v in variances)
    assert participation_ratio(with_variances(variances)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_constant_features_have_no_dimension(value, dtype):
    x = torch.full((37, 5), value, dtype=dtype)
    assert principal_component_dimension(x) == 0
    assert participation_ratio(x) == 0
    assert two_nn_dimension(x) == 0


def brute_force_two_nn(x, discard):
    distances, _ = NearestNeighbors(n_neighbors=3, algorithm="kd_tree").fit(x).kneighbors(x)
    ratios = np.sort(distances[:, 2] / distances[:, 1])
    n = len(ratios)
    cumulative = np.arange(1, n + 1) / n
    kept = int(np.floor(n * (1 - discard)))
    slope, *_ = np.linalg.lstsq(np.log(ratios[:kept, None]), -np.log(1 - cumulative[:kept]), rcond=None)
    return slope[0]


@pytest.mark.parametrize("discard", [0.1, 0.3])
@pytest.mark.parametrize("p", [3, 40])
def test_two_nn_agrees_with_brute_force(discard, p):
    x = randn(300, p) + 1e6
    expected = brute_force_two_nn(x.numpy(), discard)
    assert two_nn_dimension(x, discard=discard, chunk_size=77) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("d", "reference"), [(2, 2.13), (5, 4.59), (10, 8.80)])
def test_two_nn_sees_the_dimension_of_a_curved_embedding(d, reference):
    x = randn(1000, d, seed=d)
    embedded = torch.cat([x, x.square() / 10, torch.sin(x) / 10], 1) @ randn(3 * d, 40, seed=5)
    flat = two_nn_dimension(x)
    assert flat == pytest.approx(reference, rel=0.15)
    assert two_nn_dimension(embedded) == pytest.approx(d, rel=0.2)
    assert two_nn_dimension(torch.cat([x, x[:400]])) == pytest.approx(flat, rel=1e-12)


def test_two_nn_of_a_line_and_of_too_few_points():
    line = torch.rand(2000, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert two_nn_dimension(line * torch.tensor([[1.0, 2.0, -3.0]])) == pytest.approx(1, abs=0.08)
    assert math.isnan(two_nn_dimension(torch.tensor([[0.0], [1.0], [1.0]])))
    # Three points 0, 1, 3: ratios 3, 2, 3/2; the last has no logarithm of 1 - F and is left out.
    x = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    logs = np.log([1.5, 2.0])
    expected = logs @ -np.log1p([-1 / 3, -2 / 3]) / (logs @ logs)
    assert two_nn_dimension(x, discard=0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-170, 1.0, 1e150])
def test_two_nn_does_not_depend_on_the_scale(scale):
    x = randn(300, 4)
    assert two_nn_dimension(scale * x) == pytest.approx(two_nn_dimension(x), rel=1e-10)


def test_points_closer_than_their_precision_are_one():
    x = randn(300, 3).float()
    repeated = torch.cat([x, x * (1 + 1e-7)])
    assert two_nn_dimension(repeated) == pytest.approx(two_nn_dimension(x), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_regular_grid_has_no_estimate(dtype, caplog):
    line = torch.linspace(0, 1, 20, dtype=dtype)
    for grid in (line[:, None], torch.cartesian_prod(line, line)):
        assert math.isnan(two_nn_dimension(grid))
    assert "have two neighbours at one distance" in caplog.text
