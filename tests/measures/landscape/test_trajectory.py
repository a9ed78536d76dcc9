import pytest
import torch
from sklearn.decomposition import PCA

from dlexp.measures.landscape import random_walk_explained_variance, trajectory_components


def walk(points: int, dimension: int, seed: int = 0) -> torch.Tensor:
    steps = torch.randn(points, dimension, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return steps.cumsum(dim=0)


def test_equals_scikit_learn() -> None:
    vectors = walk(30, 12) + 3
    result = trajectory_components(vectors, 3)
    pca = PCA(3).fit(vectors.numpy())
    torch.testing.assert_close(result.explained_variance, torch.from_numpy(pca.explained_variance_ratio_))
    cosines = (result.directions * torch.from_numpy(pca.components_)).sum(dim=1)
    torch.testing.assert_close(cosines.abs(), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(result.origin, vectors.mean(dim=0))


@pytest.mark.parametrize("center", ["mean", "last"])
def test_coordinates_place_a_planar_trajectory(center: str) -> None:
    t = torch.linspace(0, 1, 20, dtype=torch.float64)
    plane = torch.randn(2, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    vectors = torch.stack([t, t**2], dim=1) @ plane + 1
    result = trajectory_components(vectors, center=center)
    torch.testing.assert_close(result.origin + result.coordinates @ result.directions, vectors)
    torch.testing.assert_close(result.directions @ result.directions.T, torch.eye(2, dtype=torch.float64))
    assert float(result.explained_variance.sum()) == pytest.approx(1)
    assert bool((result.coordinates[0] <= 1e-12).all())
    if center == "last":
        assert torch.equal(result.origin, vectors[-1])
        torch.testing.assert_close(result.coordinates[-1], torch.zeros(2, dtype=torch.float64))


def test_random_walk_shares_of_antognini_and_sohl_dickstein() -> None:
    shares = random_walk_explained_variance(3)
    assert shares.tolist() == pytest.approx([0.608, 0.152, 0.0675], abs=5e-4)
    assert float(random_walk_explained_variance(100000).sum()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(random_walk_explained_variance(3, steps=5000), shares, atol=1e-4, rtol=1e-3)


def test_random_walk_shares_of_a_short_walk() -> None:
    # The covariance over time of a walk of T points with many independent coordinates: C S S^T C, S the sums.
    T = 12
    sums = torch.ones(T, T, dtype=torch.float64).tril()
    centring = torch.eye(T, dtype=torch.float64) - 1 / T
    eigenvalues = torch.linalg.eigvalsh(centring @ sums @ sums.T @ centring).flip(0)
    torch.testing.assert_close(
        random_walk_explained_variance(T - 1, steps=T), eigenvalues[:-1] / eigenvalues.sum()
    )
    measured = trajectory_components(walk(T, 20000), 3).explained_variance
    torch.testing.assert_close(random_walk_explained_variance(3, steps=T), measured, rtol=0.03, atol=0)
